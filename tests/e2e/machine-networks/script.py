# What the driver's switch carries: a lease from one machine to another, large and many packets, and
# nothing while the link is cut. The client is a gateway too, on the other's LAN by its own WAN port.
start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")

with subtest("each machine has addresses of its own"):
    addresses = [m.succeed(f"cat /sys/class/net/{n}/address") for m in machines for n in ("wan", "lan")]
    t.assertEqual(4, len(set(addresses)), addresses)

with subtest("the client gets a lease from the gateway"):
    client.succeed("ip address flush dev lan", "ip link set lan down")
    client.wait_until_succeeds("ip -4 -o address show dev wan | grep -w 172.20.30")
    t.assertIn("dhcp", client.succeed("ip -4 -o route show dev wan"))
    gateway.succeed("grep -q . /data/dnsmasq.leases")

with subtest("much gets through unharmed"):
    # sshd is the one that listens; a file goes through it with a key made for that
    client.succeed("ssh-keygen -q -t ed25519 -N '' -f /run/key", "head -c 20000000 /dev/urandom >/run/sent")
    key = client.succeed("cat /run/key.pub")
    gateway.succeed(f"mkdir -p -m 700 /root/.ssh; echo '{key}' >/root/.ssh/authorized_keys")
    client.succeed(
        "ssh -i /run/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "
        "root@172.20.30.1 'cat >/run/received' </run/sent"
    )
    t.assertEqual(client.succeed("md5sum </run/sent"), gateway.succeed("md5sum </run/received"))

with subtest("a link that is cut carries nothing, and is seen by the guest"):
    gateway.block()
    gateway.wait_until_succeeds("grep -q 0 /sys/class/net/lan/carrier")
    client.fail("timeout 3 bash -c 'exec 3<>/dev/tcp/172.20.30.1/22'")
    gateway.unblock()
    gateway.wait_until_succeeds("grep -q 1 /sys/class/net/lan/carrier")
    client.wait_until_succeeds("timeout 3 bash -c 'exec 3<>/dev/tcp/172.20.30.1/22'")

with subtest("a machine that dies leaves the other alone"):
    client.crash()
    gateway.succeed("true")
    gateway.shutdown()

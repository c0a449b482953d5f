# What the driver's switch carries: a lease from one machine to another, large packets and many of them,
# and nothing while the link is down. The client's card 'wan' is on the gateway's LAN.
from gateway_network import SSH, Provider, get_lease, make_ssh_key

# Sends requests to the gateway's time server, all in one shell: as many as the first argument says, before
# the first answer is read. Prints the time of each answer in microseconds.
ASK = r"""
exec 3<>/dev/udp/172.20.30.1/123
begin=${EPOCHREALTIME/./}
for i in $(seq "$1"); do printf '\43%b' "$(printf '\\0%.0s' {1..47})" >&3; done
while [ "$1" -gt 0 ] && read -r -t 3 -N 1 <&3; do
    echo $((${EPOCHREALTIME/./} - begin))
    set -- $(($1 - 1))
done
"""


def ask(count):
    with open(f"{client.out_dir}/ask", "w") as file:
        file.write(ASK)
    client.copy_from_host(f"{client.out_dir}/ask", "/run/ask")
    return [int(line) / 1e6 for line in client.succeed(f"bash /run/ask {count}").split()]


def answers(count):
    return len(ask(count))


def round_trip():
    """The shortest of three: a busy host can only make one longer."""
    return min(ask(1)[0] for _ in range(3))


provider = Provider(client)

with subtest("each machine has addresses of its own"):
    addresses = [gateway.succeed(f"cat /sys/class/net/{name}/address") for name in ("wan", "lan")]
    addresses += [client.succeed("cat /sys/class/net/wan/address"), provider.succeed("cat /sys/class/net/eth0/address")]
    t.assertEqual(4, len(set(addresses)), addresses)

with subtest("the client gets a lease from the gateway"):
    get_lease(client)
    t.assertIn("dhcp", client.succeed("ip -4 -o route show dev wan"))
    gateway.succeed("grep -q . /data/dnsmasq.leases")

with subtest("20 MB get through undamaged"):
    # sshd is what listens there, so a file is sent through it
    make_ssh_key(client, gateway)
    client.succeed("head -c 20000000 /dev/urandom >/run/sent")
    client.succeed(f"{SSH} root@172.20.30.1 'cat >/run/received' </run/sent")
    t.assertEqual(client.succeed("md5sum </run/sent"), gateway.succeed("md5sum </run/received"))

with subtest("a link that is down carries nothing, and the guest notices it"):
    gateway.block()
    gateway.wait_until_succeeds("grep -q 0 /sys/class/net/lan/carrier")
    client.fail("timeout 3 bash -c 'exec 3<>/dev/tcp/172.20.30.1/22'")
    gateway.unblock()
    gateway.wait_until_succeeds("grep -q 1 /sys/class/net/lan/carrier")
    client.wait_until_succeeds("timeout 3 bash -c 'exec 3<>/dev/tcp/172.20.30.1/22'")

with subtest("one link is down, and the other stays up"):
    gateway.block(network=1)
    gateway.wait_until_succeeds("grep -q 0 /sys/class/net/wan/carrier")
    gateway.succeed("grep -q 1 /sys/class/net/lan/carrier")
    gateway.unblock(network=1)
    gateway.wait_until_succeeds("grep -q 1 /sys/class/net/wan/carrier")

with subtest("a link loses frames until that is reset"):
    t.assertEqual(100, answers(100))
    for machine in machines:
        machine.set_link(2, loss=0.3)
        # lost in each direction: about 49 of 100 are answered
        t.assertTrue(20 < answers(100) < 80)
        machine.set_link(2)
        t.assertEqual(100, answers(100))

with subtest("a link has a delay, also after a power cut, until that is reset"):
    t.assertLess(round_trip(), 0.3)
    client.set_link(2, delay=0.5)
    t.assertTrue(0.5 <= round_trip() < 1)
    gateway.set_link(2, delay=0.5)
    t.assertTrue(1 <= round_trip() < 1.5)
    client.set_link(2)
    gateway.crash()
    gateway.start()
    gateway.wait_for_unit("chrony")
    # the unit is active slightly before the server listens
    gateway.wait_until_succeeds("ss -Hlun 'sport = :123' | grep :123")
    t.assertTrue(0.5 <= round_trip() < 1)
    gateway.set_link(2)
    t.assertLess(round_trip(), 0.3)

with subtest("a network that a machine is not on is refused"):
    calls: list = [client.block, client.unblock, client.set_link]
    for call in calls:
        with t.assertRaisesRegex(ValueError, "'client'.*network 3: its networks are 2, 1"):
            call(3)
    t.assertEqual(1, answers(1))

with subtest("a machine that dies does not affect the other"):
    boot = gateway.boot_id
    client.crash()
    gateway.succeed("true")
    t.assertEqual(boot, gateway.boot_id)
    gateway.shutdown()

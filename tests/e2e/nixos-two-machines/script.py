# In the style of nixpkgs' tests of a server and its client: the client leases its address from the gateway,
# connects to it, is cut off, and reaches it again.
ASK = "timeout 10 bash -c 'exec 3<>/dev/tcp/172.20.30.1/22; head -n 1 <&3' | grep SSH-2.0"

start_all()
gateway.wait_for_unit("multi-user.target")
gateway.wait_for_open_port(22)
client.start_job("systemd-networkd.service")
client.wait_for_unit("systemd-networkd.service")
client.wait_until_succeeds("ip -4 -o address show dev wan | grep -F 172.20.30.", timeout=120)

with subtest("the client reaches the server"):
    client.wait_until_succeeds(ASK, timeout=60)
    address = client.succeed("ip -4 -o address show dev wan").split()[3].split("/")[0]
    gateway.succeed(f"grep -F {address} /data/dnsmasq.leases")

with subtest("a server that is cut off can't be reached until it is back"):
    gateway.block()
    client.fail(ASK)
    gateway.unblock()
    client.wait_until_succeeds(ASK, timeout=60)

with subtest("the server is still up after the client has shut down"):
    client.shutdown()
    assert not client.is_up() and gateway.is_up()
    gateway.succeed("true")

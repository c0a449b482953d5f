# A client on the LAN gets all it needs from the gateway, and nothing from the WAN. Every way that a client
# has is tried, and the frames that the two networks carried are the evidence.
from gateway_network import *

provider = Provider(client)
wan, wan_v6 = provider.wait_for_gateway(gateway)
intruders = {
    "wan": networks[WAN].create_endpoint("wan intruder", ["203.0.113.200/24", "2001:db8:113::200/64"]),
    "lan": networks[LAN].create_endpoint("lan intruder", ["172.20.30.200/24", "fd00:30::200/64"]),
}
gateway_macs = {
    "wan": intruders["wan"].resolve(wan),
    "lan": intruders["lan"].resolve(GATEWAY_LAN),
}

with subtest("the gateway renews its own lease"):
    # the lease may be older than the checkpoint
    acknowledged = "udp src port 67 and dst port 68"
    before = len(networks[WAN].get_frames(acknowledged))
    gateway.succeed("networkctl renew wan")
    retry(lambda last: len(networks[WAN].get_frames(acknowledged)) > before, 60)
    t.assertEqual(wan, addresses_of(gateway, "wan", "-4")[0])

with subtest("the client gets its lease and its time from the gateway"):
    leased = get_lease(client)
    t.assertIn(leased, gateway.succeed("cat /data/dnsmasq.leases"))
    set_clock(client)
    t.assertGreater(int(client.succeed("date +%s")), 1600000000)

# Each way is a function that ignores its outcome; the captures show what came of it.
def attempt(command):
    status, output = client.execute(f"timeout 1 {command} 2>&1", timeout=30)
    t.assertNotEqual(0, status, f"{command} got through:\n{output}")


def connections(source):
    attempt(f"openssl s_client -connect {PROVIDER}:443 -bind {source}")
    attempt(f"bash -c 'exec 3<>/dev/tcp/{PROVIDER}/443'")


def static_route():
    client.succeed(f"ip route replace default via {GATEWAY_LAN} dev wan")
    connections(leased)
    client.succeed("ip -6 route replace default via {} dev wan".format(addresses_of(gateway, "lan", "-6", "link")[0]))
    attempt(f"bash -c 'exec 3<>/dev/tcp/{PROVIDER_V6}/443'")


def spoofed_source():
    for source in ("203.0.113.77", wan):
        client.succeed(f"ip address add {source}/32 dev wan")
        connections(source)
        client.succeed(f"ip address del {source}/32 dev wan")


def gateways_wan_address_as_next_hop():
    client.succeed(
        f"ip route replace {wan}/32 dev wan",
        f"ip neighbour replace {wan} lladdr {gateway_macs['lan']} dev wan nud permanent",
        f"ip route replace {PROVIDER}/32 via {wan} dev wan onlink",
    )
    connections(leased)
    # the address itself must not be reachable from the LAN either
    attempt(f"bash -c 'exec 3<>/dev/tcp/{wan}/443'")
    client.succeed(f"ip route del {PROVIDER}/32", f"ip route del {wan}/32")


def packets_by_hand():
    """Every protocol, from both sides, directly to the gateway's network card."""
    routes = {
        "lan": ((PROVIDER, "172.20.30.200"), (PROVIDER_V6, "fd00:30::200")),
        "wan": ((leased, "203.0.113.200"), ("fd00:30::200", "2001:db8:113::200")),
    }
    for side, pairs in routes.items():
        for to, source in pairs:
            for protocol in ("tcp", "udp", "icmp"):
                for lie in (source, "203.0.113.1" if ":" not in to else "2001:db8:113::1"):
                    intruders[side].send(
                        protocol, to, 443, payload=b"crossing", source=lie, mac=gateway_macs[side]
                    )


WAYS = (static_route, spoofed_source, gateways_wan_address_as_next_hop, packets_by_hand)

# A frame has crossed if a card of the other side sent it, or if the gateway's card on this side sent it
# and it concerns the other side: it has an address of the other side, or, in case the gateway replaced the
# address by its own, it is of a kind that the gateway does not send by itself.
CARDS = {
    "wan": [intruders["wan"].mac, gateway_macs["wan"], provider.succeed("cat /sys/class/net/eth0/address").strip()],
    "lan": [intruders["lan"].mac, gateway_macs["lan"], client.succeed("cat /sys/class/net/wan/address").strip()],
}
NETS = {
    "wan": "net 203.0.113.0/24 or ip6 net 2001:db8:113::/64",
    "lan": "net 172.20.30.0/24 or net 10.99.0.0/24 or ip6 net fd00:30::/64",
}


def crossings():
    found = {}
    for side, other, network in (("wan", "lan", WAN), ("lan", "wan", LAN)):
        foreign = " or ".join(f"ether src {card}" for card in CARDS[other])
        kinds = "port 443 or icmp[icmptype] = icmp-echo or (icmp6 and ip6[40] = 128)"
        relayed = f"ether src {gateway_macs[side]} and ({NETS[other]} or {kinds})"
        found[side] = networks[network].get_frames(f"({foreign} or ({relayed})) and not ({KNOWN})")
    return found


# the gateway's answers to settle()
KNOWN = " or ".join(
    f"(tcp and src host {address} and src port 443 and ether dst {intruders[side].mac})"
    for side, address in (("wan", wan), ("lan", GATEWAY_LAN))
)


def settle():
    """Wait until the gateway has handled everything sent before: it answers on each side after that."""
    for side, address in (("wan", wan), ("lan", GATEWAY_LAN)):
        intruders[side].probe(address, ports=[443])


# before it leases an address, dnsmasq checks on the LAN whether it is in use: that was before all this
BEFORE = crossings()
t.assertEqual([], BEFORE["wan"])

for way in WAYS:
    with subtest(f"nothing crosses: {way.__name__.replace('_', ' ')}"):
        before = len(networks[LAN].get_frames())
        way()
        settle()
        t.assertGreater(len(networks[LAN].get_frames()), before, "nothing was sent")
        t.assertEqual(BEFORE, crossings())

with subtest("the gateway itself reaches the provider, over IPv4 and IPv6"):
    for address in (PROVIDER, f"[{PROVIDER_V6}]"):
        t.assertIn("s_server", gateway.succeed(fetch(address)))
    after = crossings()
    t.assertNotEqual([], after["wan"], "its own requests were not captured")
    t.assertEqual(BEFORE["lan"], after["lan"])

with subtest("the kernel's settings and the rules each prevent forwarding on their own"):
    known = crossings()  # those that the gateway sent itself
    t.assertEqual("0\n", gateway.succeed("cat /proc/sys/net/ipv4/ip_forward"))
    t.assertEqual("0\n", gateway.succeed("cat /proc/sys/net/ipv6/conf/all/forwarding"))
    gateway.succeed("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    packets_by_hand()
    settle()
    t.assertEqual(known, crossings(), "with a kernel that forwards")
    gateway.succeed("sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    gateway.succeed("nft flush ruleset")
    packets_by_hand()
    settle()
    t.assertEqual(known, crossings(), "without rules")

with subtest("a frame that does cross is detected"):
    gateway.succeed("sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lan.rp_filter=0")
    packets_by_hand()
    settle()
    for side, frames in crossings().items():
        t.assertGreater(len(frames), len(known[side]), side)

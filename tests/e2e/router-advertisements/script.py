# What the gateway accepts from its networks about addresses, routes and neighbours: on the WAN, a router's
# advertisement and a lease; on the LAN nothing, and redirects on neither side.
import re

import frames
from gateway_network import *

provider = Provider(client)
wan, wan_v6 = provider.wait_for_gateway(gateway)
liars = {
    "wan": networks[WAN].create_endpoint("wan liar", ["203.0.113.200/24", "2001:db8:113::200/64"]),
    "lan": networks[LAN].create_endpoint("lan liar", ["172.20.30.200/24"]),
}
targets = {"wan": wan, "lan": GATEWAY_LAN}
macs = {side: liar.resolve(targets[side]) for side, liar in liars.items()}
links = {side: addresses_of(gateway, side, "-6", "link")[0] for side in liars}


def say(side, to, protocol, data, ttl=255, source=None):
    """Send the payload of one IP packet, by default from one of the liar's own addresses."""
    liar = liars[side]
    source = source or (liar.link_local if frames.is_v6(to) else "172.20.30.200" if side == "lan" else "203.0.113.200")
    mac = macs[side]
    if to.startswith("ff"):
        mac = frames.group_mac(to)
    elif to == "255.255.255.255":
        mac = "ff:ff:ff:ff:ff:ff"
    kind = frames.IPV6 if frames.is_v6(to) else frames.IPV4
    liar.send_frame(frames.ethernet(mac, liar.mac, kind, frames.ip(source, to, protocol, data, ttl)))


def settle():
    """Wait until the gateway has handled everything sent on both sides before."""
    for side, liar in liars.items():
        liar.resolve(targets[side])


def advertise(side, prefix, to="ff02::1", ttl=255):
    liar = liars[side]
    data = frames.router_advertisement(liar.link_local, to, prefix, liar.mac)
    say(side, to, frames.ICMPV6, data, ttl)


def wait_for_prefix(prefix):
    gateway.wait_until_succeeds(
        f"ip -6 -o address show | grep -F {prefix} && ip -6 route show default | grep -F {liars['wan'].link_local}", timeout=60
    )


def told(side):
    """What the gateway may have learnt on a side: addresses, routes, cached routes and LLDP neighbours,
    without their ages and lifetimes."""
    text = gateway.succeed(
        f"ip -o address show dev {side}",
        f"ip -4 route show table all dev {side}",
        f"ip -6 route show table all dev {side}",
        "ip -4 route show cache; ip -6 route show cache",
        f"cd /proc/sys/net/ipv6/conf/{side}; cat mtu hop_limit",
        "networkctl lldp --no-legend",
    )
    return re.sub(r" (expires|valid_lft|preferred_lft|users|used|age) \S+", "", text)


def known(side, address):
    """The gateway's neighbour entry for this address, or ""."""
    return gateway.succeed(f"ip neighbour show to {address} dev {side}").strip()


# A host behind the provider, with a route that a redirect could change (RFC 1122, 3.2.2.2). The gateway talks
# to it, so that the rules let in ICMP errors that belong to that connection.
FAR = {4: "198.51.100.7", 6: "2001:db8:51::7"}
OWN = {4: wan, 6: addresses_of(gateway, "wan", "-6")[0]}
for family, far in FAR.items():
    provider.succeed(f"ip address add {far}/{32 if family == 4 else 128} dev lo")
    gateway.succeed(
        f"systemd-run --quiet --unit=talk-{family} bash -c 'exec 3<>/dev/udp/{far}/4000; echo hello >&3; sleep infinity'"
    )
    gateway.wait_until_succeeds(f"ss -Hun dst '[{far}]' | grep .", timeout=60)
router_v6 = provider.succeed("ip -6 -o address show dev eth0 scope link").split()[3].split("/")[0]


def quote(family):
    """A packet of that connection."""
    port = int(gateway.succeed(f"ss -Hun dst '[{FAR[family]}]'").split()[2].rsplit(":", 1)[1])
    ends = OWN[family], FAR[family]
    return frames.ip(*ends, frames.UDP, frames.udp(*ends, port, 4000, b"hello\n"))


def redirect():
    """As the router: the liar is a better next hop. Sent twice, since the gateway first resolves its address."""
    target = frames.packed(liars["wan"].link_local) + frames.packed(FAR[6]) + frames.link_option(2, liars["wan"].mac)
    for _ in range(2):
        say("wan", wan, frames.ICMP,
            frames.icmp(PROVIDER, wan, 5, 1, frames.packed("203.0.113.200"), quote(4)), source=PROVIDER)
        say("wan", OWN[6], frames.ICMPV6,
            frames.icmp(router_v6, OWN[6], 137, 0, bytes(4), target), source=router_v6)
        settle()


def redirected():
    """Whether the gateway has accepted it, over IPv4 and IPv6: it routes to the far host through the liar, and
    knows the liar, with which it has no other business, as a router."""
    way = gateway.succeed(f"ip route get {FAR[4]}")
    return "via 203.0.113.200 " in way, " router" in known("wan", liars["wan"].link_local)


with subtest("a redirect changes no route: the rules and the kernel each prevent it on their own"):
    t.assertEqual((False, False), redirected())
    redirect()
    t.assertEqual((False, False), redirected())
    gateway.succeed("nft insert rule inet gateway input accept")
    redirect()
    t.assertEqual((False, False), redirected())

with subtest("a redirect that is accepted is detected"):
    gateway.succeed("sysctl -q -w net.ipv4.conf.wan.accept_redirects=1 net.ipv6.conf.wan.accept_redirects=1")
    redirect()
    t.assertEqual((True, True), redirected())
    # restore the settings
    gateway.succeed(
        "sysctl -q -w net.ipv4.conf.wan.accept_redirects=0 net.ipv6.conf.wan.accept_redirects=0", "nft -f /etc/nftables.conf",
        "systemctl stop talk-4 talk-6", "ip route flush cache", "ip -6 route flush cache",
    )


with subtest("a router's advertisement on the LAN changes nothing; on the WAN it does"):
    before = told("lan")
    for to in ("ff02::1", links["lan"]):
        advertise("lan", "fd00:66::/64", to)
    settle()
    # networkd has handled what it got on the LAN before what it got on the WAN later, twice
    for prefix in ("2001:db8:666:", "2001:db8:667:"):
        advertise("wan", f"{prefix}:/64")
        wait_for_prefix(prefix)
    t.assertEqual(before, told("lan"))
    t.assertNotIn("fd00:66:", gateway.succeed("ip -6 address; ip -6 route show table all"))

with subtest("an advertisement from beyond the link is ignored, also on the WAN"):
    advertise("wan", "2001:db8:668::/64", ttl=254)
    advertise("wan", "2001:db8:669::/64")
    wait_for_prefix("2001:db8:669:")
    t.assertNotIn("2001:db8:668:", gateway.succeed("ip -6 address; ip -6 route show table all"))

def asked_for_leases(network):
    return len(networks[network].get_frames(
        f"ether src {macs['wan' if network == WAN else 'lan']} and ((udp src port 68) or (ip6[6] = 17 and ip6[40:2] = 546))"
    ))


with subtest("the gateway requests a lease on the WAN, and not on the LAN"):
    t.assertEqual(0, asked_for_leases(LAN))
    before = asked_for_leases(WAN)
    gateway.succeed("networkctl reconfigure lan", "networkctl reconfigure wan")
    retry(lambda last: asked_for_leases(WAN) > before, 60)
    provider.wait_for_gateway(gateway)
    t.assertEqual(0, asked_for_leases(LAN))
    t.assertEqual([GATEWAY_LAN], addresses_of(gateway, "lan", "-4"))


with subtest("an unsolicited lease changes nothing, on either side"):
    def lease(kind):
        """A DHCPOFFER or DHCPACK (RFC 2131, 2) of an address, with a default route."""
        card = frames.mac_bytes(macs[side]) + bytes(10)
        options = bytes([53, 1, kind, 54, 4]) + frames.packed(liar) + bytes([51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 3, 4])
        head = bytes([2, 1, 6, 0]) + b"slot" + bytes(8) + frames.packed(offered) + frames.packed(liar) + bytes(4) + card
        return head + bytes(64 + 128) + bytes([99, 130, 83, 99]) + options + frames.packed(liar) + b"\xff"
    before = {side: told(side) for side in liars}
    for side, liar, offered in (("wan", "203.0.113.200", "203.0.113.222"), ("lan", "172.20.30.200", "172.20.30.222")):
        for kind in (2, 5, 6, 9):
            for to in (targets[side], "255.255.255.255"):
                say(side, to, frames.UDP, frames.udp(liar, to, 67, 68, lease(kind)), source=liar)
    settle()
    gateway.succeed("networkctl status wan lan")
    for side in liars:
        t.assertEqual(before[side], told(side))


def lie_about(side, address, mac):
    """Claim an address with every kind of ARP packet or neighbour discovery message that can do so."""
    liar = liars[side]
    if frames.is_v6(address):
        link = links[side]
        told_of = frames.packed(address) + frames.link_option(2, mac)
        for to, flags in (("ff02::1", b"\xa0"), (link, b"\xe0"), (link, b"\x20")):
            data = frames.icmp(address, to, 136, rest=flags + bytes(3), payload=told_of)
            say(side, to, frames.ICMPV6, data, source=address)
        asked_for = frames.packed(link) + frames.link_option(1, mac)
        data = frames.icmp(address, link, 135, rest=bytes(4), payload=asked_for)
        say(side, link, frames.ICMPV6, data, source=address)
        return
    for operation, target in ((1, address), (2, address), (2, targets[side]), (1, targets[side])):
        for to in (b"\xff" * 6, macs[side]):
            liar.send_frame(frames.ethernet(to, liar.mac, frames.ARP, frames.arp(operation, mac, address, macs[side], target)))


with subtest("the LAN can't claim addresses of the WAN, or those of the gateway"):
    gateway.succeed(fetch(PROVIDER), fetch(f"[{PROVIDER_V6}]"))
    before = {side: told(side) for side in liars}
    ways_before = {address: re.sub(r" [A-Z]+$", "", known("wan", address)) for address in (PROVIDER, PROVIDER_V6, router_v6)}
    for address in (PROVIDER, PROVIDER_V6, router_v6, wan, wan_v6, GATEWAY_LAN, links["lan"], links["wan"]):
        lie_about("lan", address, liars["lan"].mac)
    settle()
    for address, way in ways_before.items():
        t.assertIn("lladdr", way)
        t.assertEqual(way, re.sub(r" [A-Z]+$", "", known("wan", address)))
    for side in liars:
        t.assertEqual(before[side], told(side))
    gateway.succeed(fetch(PROVIDER), fetch(f"[{PROVIDER_V6}]"))
    liars["lan"].ping(GATEWAY_LAN)

with subtest("a neighbour advertisement from beyond the link is ignored"):
    # a neighbour on the LAN that the gateway knows
    friend = networks[LAN].create_endpoint("friend", ["172.20.30.210/24"])
    friend.ping(links["lan"])
    lladdr = f"lladdr {friend.mac}"
    t.assertIn(lladdr, known("lan", friend.link_local))
    data = frames.icmp(friend.link_local, links["lan"], 136, rest=b"\x20" + bytes(3),
                       payload=frames.packed(friend.link_local) + frames.link_option(2, liars["lan"].mac))
    say("lan", links["lan"], frames.ICMPV6, data, 254, friend.link_local)
    settle()
    t.assertIn(lladdr, known("lan", friend.link_local))
    # from the link itself it is accepted, as on any LAN
    say("lan", links["lan"], frames.ICMPV6, data, 255, friend.link_local)
    settle()
    t.assertIn(f"lladdr {liars['lan'].mac}", known("lan", friend.link_local))

LLDP = frames.mac_bytes("01:80:c2:00:00:0e")
with subtest("the gateway does not listen to what a switch says of itself (LLDP)"):
    before = {side: told(side) for side in liars}
    for side, station in liars.items():
        chassis = b"\x02\x07\4" + frames.mac_bytes(station.mac)
        station.send_frame(frames.ethernet(LLDP, station.mac, frames.LLDP, chassis + b"\4\5\5port\6\2\0\x78\x0e\4\0\x10\0\x10\0\0"))
    settle()
    gateway.succeed("networkctl status wan lan")
    for side in liars:
        t.assertEqual(before[side], told(side))
    # the only raw sockets are those of the WAN's DHCP client, between two leases
    t.assertEqual("", gateway.succeed("ss -0Hnp | grep -v -E '\\[?(ip|2048)\\]?:wan'  || true"))

with subtest("advertisements on the LAN that are let in and accepted are detected"):
    gateway.succeed(
        "sed -i s/IPv6AcceptRA=no/IPv6AcceptRA=yes/ /etc/systemd/network/10-lan.network",
        "networkctl reload",
        "networkctl reconfigure lan",
    )
    gateway.wait_until_succeeds(f"ip -4 address show dev lan | grep -F {GATEWAY_LAN}")
    # by the rules alone
    advertise("lan", "fd00:66::/64")
    advertise("wan", "2001:db8:670::/64")
    wait_for_prefix("2001:db8:670:")
    t.assertNotIn("fd00:66:", gateway.succeed("ip -6 address; ip -6 route show table all"))
    gateway.succeed("nft add rule inet gateway lan icmpv6 type nd-router-advert accept")
    advertise("lan", "fd00:66::/64")
    gateway.wait_until_succeeds("ip -6 -o address show dev lan | grep -F fd00:66:", timeout=60)
    gateway.wait_until_succeeds(f"ip -6 route show default | grep -F 'via {liars['lan'].link_local} dev lan'", timeout=60)

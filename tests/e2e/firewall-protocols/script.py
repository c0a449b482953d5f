# What no honest client sends: all IP protocols and ICMP types, headers and options before a port, fragments,
# VLAN tags, flags, and source ports that a rule might favour. Each frame has its own source MAC address, and
# the gateway records two sets of these: those whose frames reached its IP layer, and those that the rules let
# in.
import re
import struct
from dataclasses import dataclass

import frames
from frames import ACK, ICMP, ICMPV6, IGMP, PSH, SYN, TCP, UDP, URG
from gateway_network import *

provider = Provider(client)
wan, wan_v6 = provider.wait_for_gateway(gateway)


class Side:
    """One side and its policy: its addresses, the ports that are open over IPv4 and IPv6 (the first of them
    is tried), and the types of ICMP and ICMPv6 that are let in."""

    def __init__(self, name, network, v4, v6, sources, tcp, udp, udp_v6, icmp, icmp_v6):
        self.name = name
        self.endpoint = networks[network].create_endpoint(f"{name} prober", [f"{source}/{n}" for source, n in sources])
        self.targets = {4: v4, 6: v6}
        self.sources = {4: sources[0][0], 6: sources[1][0] if len(sources) > 1 else self.endpoint.link_local}
        self.open = {(TCP, 4): tcp, (TCP, 6): tcp, (UDP, 4): udp, (UDP, 6): udp_v6}
        self.icmp = {4: icmp, 6: icmp_v6}
        self.mac = self.endpoint.resolve(v4)

    def ports(self, protocol, family):
        """An open port, if there is one, and some that are not open."""
        others = [22, 443, 1194, 123, 53, 80]
        opened = self.open[protocol, family]
        return opened[:1] + [port for port in others if port not in opened][:2]


NEIGHBOURS = {135, 136}
SIDES = [
    Side("wan", WAN, wan, wan_v6, [("203.0.113.200", 24), ("2001:db8:113::200", 64)],
         [443], [1194], [1194], set(), NEIGHBOURS | {134}),
    Side("lan", LAN, GATEWAY_LAN, addresses_of(gateway, "lan", "-6", "link")[0], [("172.20.30.200", 24)],
         [22], [123, 67], [], {8}, NEIGHBOURS | {128}),
]


@dataclass
class Probe:
    kind: str
    what: str
    side: Side
    frame: bytes
    let_in: bool  # by the policy
    arrives: bool  # at the IP layer
    without_rules: bool  # whether the kernel alone lets it in


probes: dict[str, Probe] = {}


def probe(kind, what, side, packet, let_in, to=None, ether_type=None, tags=(), arrives=True, without_rules=None):
    """packet: one packet, or a list of packets that belong together, such as fragments."""
    number = len(probes) + 1
    mac = b"\x02\x5f" + struct.pack(">I", number)
    for part in packet if isinstance(packet, list) else [packet]:
        if ether_type is None:
            kind_of_part = frames.IPV6 if part[0] >> 4 == 6 else frames.IPV4
        else:
            kind_of_part = ether_type
        frame = frames.ethernet(to or side.mac, mac, kind_of_part, part, tags)
        probes.setdefault(mac.hex(":"), Probe(
            kind, f"{side.name}: {what}", side, b"", let_in, arrives,
            arrives if without_rules is None else without_rules,
        ))
        queue.append((side, frame))


queue: list[tuple[Side, bytes]] = []


def send_all():
    """In batches: when the gateway answers for its address, it has handled what came before."""
    for side in SIDES:
        mine = [frame for owner, frame in queue if owner is side]
        for begin in range(0, len(mine), 100):
            for frame in mine[begin : begin + 100]:
                side.endpoint.send_frame(frame)
            side.endpoint.resolve(side.targets[4], timeout=60)


def port_probes(kind, what, make, families=(4, 6), protocols=(TCP, UDP), may_come_in=True, **options):
    """To an open port and to others: make(side, family, protocol, segment) returns the packet, or its parts."""
    for side in SIDES:
        for family in families:
            for protocol in protocols:
                for port in side.ports(protocol, family):
                    packet = make(side, family, protocol, segment(side, family, protocol, port))
                    name = f"{what}, IPv{family} {'TCP' if protocol == TCP else 'UDP'} {port}"
                    is_open = port in side.open[protocol, family]
                    probe(kind, name, side, packet, is_open and may_come_in, **options)


PAYLOAD = bytes(32)


def segment(side, family, protocol, port, from_port=None, flags=SYN, source=None, to=None):
    """TCP or UDP, from another port each time, so that no two belong to the same connection."""
    ends = source or side.sources[family], to or side.targets[family]
    if from_port is None:
        from_port = 10000 + len(probes)
    if protocol == TCP:
        return frames.tcp(*ends, from_port, port, flags, payload=PAYLOAD)
    return frames.udp(*ends, from_port, port, PAYLOAD)


def plain(side, family, protocol, data, **options):
    return frames.ip(side.sources[family], side.targets[family], protocol, data, **options)


def protocols():
    """All numbers, with open ports where TCP and UDP have their ports."""
    others = {4: {ICMP, TCP, UDP}, 6: {frames.HOP_BY_HOP, frames.ROUTING, frames.FRAGMENT, frames.DESTINATION,
                                       ICMPV6, TCP, UDP}}
    for side in SIDES:
        for family in (4, 6):
            for protocol in sorted(set(range(256)) - others[family]):
                for port in (side.open[TCP, 4][0], side.open[UDP, 4][0]):
                    data = struct.pack(">HHHH", 10000 + len(probes), port, 40, 0) + bytes(32)
                    probe("IP protocols", f"{protocol} over IPv{family}", side, plain(side, family, protocol, data), False)


def icmp():
    """All types; errors quote a connection that does not exist. Neighbour discovery from beyond the link is
    invalid (RFC 4861, 6.1 and 7.1)."""
    for side in SIDES:
        for family, protocol in ((4, ICMP), (6, ICMPV6)):
            ends = side.sources[family], side.targets[family]
            quote = frames.ip(ends[1], ends[0], TCP, frames.tcp(ends[1], ends[0], 50000, 50001))
            for kind in range(256):
                for hops in (64, 255):
                    data = frames.icmp(*ends, kind, rest=struct.pack(">I", len(probes)), payload=quote)
                    is_neighbour = family == 6 and kind in NEIGHBOURS | {134}
                    probe("ICMP", f"type {kind} over IPv{family}, {hops} hops", side,
                          plain(side, family, protocol, data, ttl=hops),
                          kind in side.icmp[family] and (hops == 255 or not is_neighbour))


ALERT_V4, ALERT_V6 = b"\x94\4\0\0", (frames.HOP_BY_HOP, b"\0\5\2\0\0\1\0")


def groups():
    """Multicast group membership (RFC 2236, RFC 3376, RFC 2710, RFC 3810)."""
    for side in SIDES:
        for to in ("224.0.0.1", side.targets[4]):
            for kind in (0x11, 0x12, 0x16, 0x17, 0x22):
                data = bytes([kind, 10, 0, 0]) + bytes(8)
                data = data[:2] + struct.pack(">H", frames.checksum(data)) + data[4:]
                packet = frames.ip(side.sources[4], to, IGMP, data, ttl=1, options=ALERT_V4)
                probe("IGMP and MLD", f"IGMP {kind:#x} to {to}", side, packet, False,
                      to=frames.group_mac(to) if to.startswith("224") else None)
        for to in ("ff02::1", side.targets[6]):
            for kind in (130, 131, 132, 143, 151, 152, 153):
                data = frames.icmp(side.endpoint.link_local, to, kind, payload=bytes(20))
                header, data = frames.chain([ALERT_V6], ICMPV6, data)
                packet = frames.ip(side.endpoint.link_local, to, header, data, ttl=1)
                probe("IGMP and MLD", f"MLD {kind} to {to}", side, packet, False,
                      to=frames.group_mac(to) if to.startswith("ff") else None)


def destinations():
    """Broadcast and multicast: an open port is open there too, if the gateway is among the receivers."""
    for side in SIDES:
        subnet = side.targets[4].rsplit(".", 1)[0] + ".255"
        for to, is_meant in (("255.255.255.255", True), (subnet, True), ("224.0.0.1", True), ("224.0.0.251", False),
                             ("239.1.2.3", False), ("ff02::1", True), ("ff02::fb", False), ("ff05::2", False)):
            family = 6 if frames.is_v6(to) else 4
            mac = b"\xff" * 6 if to.endswith("255") else frames.group_mac(to)
            for protocol in (TCP, UDP):
                for port in side.ports(protocol, family):
                    data = segment(side, family, protocol, port, to=to)
                    probe("groups", f"to {to}, protocol {protocol}, port {port}", side,
                          frames.ip(side.sources[family], to, protocol, data),
                          is_meant and port in side.open[protocol, family], to=mac, without_rules=is_meant)


def source_ports():
    for favoured in (0, 20, 22, 53, 67, 68, 88, 123, 443, 500, 546, 547, 1194, 4500, 5353):
        for side in SIDES:
            for family in (4, 6):
                for protocol in (TCP, UDP):
                    for port in [port for port in (22, 23, 53, 68, 80, 123, 443, 500, 546, 1194, 4500, 5353, 40000)
                                 if port not in side.open[protocol, family]]:
                        data = segment(side, family, protocol, port, from_port=favoured)
                        probe("source ports", f"from {favoured} to {port}, protocol {protocol}, IPv{family}", side,
                              plain(side, family, protocol, data), False)


def tcp_flags():
    """All combinations. An open port accepts what begins a connection and what may be in the middle of one,
    which the kernel then resets. Senseless combinations are dropped on all ports."""
    for flags in range(64):
        for side in SIDES:
            for family in (4, 6):
                for port in side.ports(TCP, family):
                    data = segment(side, family, TCP, port, flags=flags)
                    makes_sense = flags & ~(PSH | URG) in (SYN, ACK)
                    probe("TCP flags", f"{flags:#x} to {port}, IPv{family}", side, plain(side, family, TCP, data),
                          makes_sense and port in side.open[TCP, family])


def options_v4():
    """IP options (RFC 791, 3.1) do not hide a port. The kernel drops source-routed packets."""
    hop = frames.packed("203.0.113.7")
    for name, option in (
        ("no operation", b"\1\1\1\0"), ("security", b"\x82\x0b" + bytes(9)), ("record route", b"\7\7\4\0\0\0\0"),
        ("timestamp", b"\x44\x0c\5\0" + bytes(8)), ("stream", b"\x88\4\0\0"), ("router alert", ALERT_V4),
        ("unknown", b"\x9e\4\0\0"),
    ):
        port_probes("IP options", name, lambda side, family, protocol, data, option=option:
                    plain(side, 4, protocol, data, options=option), families=(4,))
    for name, kind in (("loose source route", 0x83), ("strict source route", 0x89)):
        port_probes("IP options", name, lambda side, family, protocol, data, kind=kind:
                    plain(side, 4, protocol, data, options=bytes([kind, 7, 8]) + hop), families=(4,),
                    may_come_in=False)


def headers_v6():
    """Extension headers (RFC 8200, 4) do not hide a port, however many there are."""
    pad = b"\0\1\4\0\0\0\0"
    hop, destination = (frames.HOP_BY_HOP, pad), (frames.DESTINATION, pad)
    for name, headers in (
        ("hop by hop", [hop]), ("destination options", [destination]), ("eight destination options", [destination] * 8),
        ("routing of type 2", [(frames.ROUTING, b"\0\2\0" + bytes(4))]),
        ("routing of type 0, at its end", [(frames.ROUTING, b"\2\0\0" + bytes(4) + frames.packed("2001:db8:113::7"))]),
        ("hop by hop, routing and destination options", [hop, (frames.ROUTING, b"\0\4\0" + bytes(4)), destination]),
        ("routing of type 0", [(frames.ROUTING, b"\2\0\1" + bytes(4) + frames.packed("2001:db8:113::7"))]),
        ("an atomic fragment", [frames.fragment_header(0, False, 77)]),
    ):
        def make(side, family, protocol, data, headers=headers):
            return plain(side, 6, *frames.chain(headers, protocol, data))
        port_probes("extension headers", name, make, families=(6,))


def cut(side, family, protocol, pieces, number):
    """Fragments of one packet: (offset, bytes, whether more follow)."""
    if family == 4:
        return [plain(side, 4, protocol, data, offset=offset, more=more, number=number) for offset, data, more in pieces]
    return [plain(side, 6, *frames.chain([frames.fragment_header(offset, more, number)], protocol, data))
            for offset, data, more in pieces]


def fragments():
    """A packet that can be reassembled is judged as a whole, whatever its first part shows; all else is
    dropped. Over IPv6, a first part without the complete TCP header is invalid (RFC 7112, 5). The kernel
    reassembles packets before the rules, and accepts no overlap, so all of this holds without them too."""
    def halves(at):
        return lambda data, opened: [(0, data[:at], True), (at, data[at:], False)]

    both, all_of_them = {(TCP, 4), (TCP, 6)}, {(TCP, 4), (UDP, 4), (UDP, 6)}
    for name, pieces, whole in (
        ("in two", halves(24), both | all_of_them), ("in two, the first one tiny", halves(8), all_of_them),
        ("in two, the last one first", lambda data, _: list(reversed(halves(24)(data, _))), both | all_of_them),
        # the open port is in the part that is overwritten, in the one that overwrites it, or in neither
        ("the second overlaps",
         lambda data, opened: [(0, opened[:24], True), (16, data[16:32], True), (32, data[32:], False)], ()),
        ("the first again, and longer",
         lambda data, opened: [(0, opened[:24], True), (0, data[:32], True), (32, data[32:], False)], ()),
        ("the first again, the other way round",
         lambda data, opened: [(0, data[:24], True), (0, opened[:32], True), (32, opened[32:], False)], ()),
        ("a first one alone", lambda data, _: [(0, data[:24], True)], ()),
        ("a last one alone", lambda data, _: [(8, data[8:], False)], ()),
        ("beyond the largest packet", lambda data, _: [(0, data[:24], True), (65520, data, False)], ()),
    ):
        def make(side, family, protocol, data, pieces=pieces):
            opened = segment(side, family, protocol, side.open[protocol, 4][0])
            return cut(side, family, protocol, pieces(data, opened), 1000 + len(probes))
        for protocol, family in sorted(both | all_of_them):
            is_whole = (protocol, family) in whole
            # the kernel passes these to the rules in parts
            is_refused = name.endswith("tiny") and not is_whole
            port_probes("fragments", name, make, (family,), (protocol,), is_whole, without_rules=is_whole or is_refused)


def vlan_tags():
    """A tag with number 0 is only a priority, and does not matter for the policy (IEEE 802.1Q, 9.6). All
    other VLANs are not the gateway's."""
    for name, tags in (
        ("priority", [(frames.VLAN, 0xE000)]), ("service priority", [(frames.SERVICE_VLAN, 0xE000)]),
    ):
        port_probes("VLAN tags", name, lambda side, family, protocol, data: plain(side, family, protocol, data), tags=tags)
    for name, tags in (
        ("1", [(frames.VLAN, 1)]), ("5", [(frames.VLAN, 5)]), ("4095", [(frames.VLAN, 4095)]),
        ("service 1", [(frames.SERVICE_VLAN, 1)]), ("service 5", [(frames.SERVICE_VLAN, 5)]),
        ("5 in service 5", [(frames.SERVICE_VLAN, 5), (frames.VLAN, 5)]),
        ("5 in 0", [(frames.VLAN, 0), (frames.VLAN, 5)]), ("0 in 5", [(frames.VLAN, 5), (frames.VLAN, 0)]),
    ):
        port_probes("VLAN tags", name, lambda side, family, protocol, data: plain(side, family, protocol, data), tags=tags,
                    may_come_in=False, arrives=False)


def lies():
    """False source addresses, and addresses of the other side."""
    lan_side, wan_side = SIDES[1], SIDES[0]
    for side, other in ((lan_side, wan_side), (wan_side, lan_side)):
        for family in (4, 6):
            own = side.targets[family], side.sources[family]
            pairs = [("its own as the source", own[0], own[0]), ("the host's own", own[0], "::1" if family == 6 else "127.0.0.1"),
                     ("a group as the source", own[0], "ff02::1" if family == 6 else "224.0.0.1"),
                     ("the other side as the source", own[0], other.sources[family])]
            if family == 4:
                pairs += [("the other side", other.targets[4], own[1]), ("broadcast as the source", own[0], "255.255.255.255")]
            elif other is wan_side:
                pairs += [("the other side", other.targets[6], own[1])]
            pairs += [("the loopback", "::1" if family == 6 else "127.0.0.1", own[1])]
            for name, to, source in pairs:
                if family == 6 and frames.packed(source)[:2] == b"\xfe\x80":
                    continue  # a link-local address is valid on any link
                for protocol in (TCP, UDP):
                    port = side.open[protocol, 4][0]
                    data = segment(side, family, protocol, port, source=source, to=to)
                    # the kernel checks the source when it routes for IPv4, and at once for IPv6
                    arrives = family == 4 or not {source, to} & {"::1", "ff02::1"}
                    probe("addresses", f"{name}, IPv{family}, protocol {protocol}", side,
                          frames.ip(source, to, protocol, data), False, arrives=arrives,
                          without_rules=arrives and (family == 6 or name == "the other side"))


def other_frames():
    """EtherTypes other than IP, with an IP packet inside."""
    for side in SIDES:
        inner = plain(side, 4, TCP, segment(side, 4, TCP, side.open[TCP, 4][0]))
        for kind in (0x0000, 0x0026, 0x0200, 0x0805, 0x6558, 0x8035, 0x8847, 0x8848, 0x8863, 0x8864, 0x888E,
                     frames.LLDP, 0x88E5, 0x88F7, 0x9000, 0xFFFF):
            probe("EtherTypes", f"{kind:#06x}", side, inner, False, ether_type=kind, arrives=False)


WITNESS = """table inet witness {
    set arrived { type ether_addr; flags dynamic; size 65535; }
    set let_in { type ether_addr; flags dynamic; size 65535; }
    chain early { type filter hook prerouting priority -450; iifname { "wan", "lan" } add @arrived { ether saddr }; }
    chain late { type filter hook input priority 10; iifname { "wan", "lan" } add @let_in { ether saddr }; }
}"""


def witnessed(name):
    return set(re.findall(r"02:5f(?::[0-9a-f]{2}){4}", gateway.succeed(f"nft list set inet witness {name}")))


def differing(kind, seen, attribute):
    """The probes of this kind that were seen and should not have been, or the other way round."""
    return [p.what for mac, p in probes.items() if p.kind == kind and (mac in seen) != getattr(p, attribute)]


for make in (protocols, icmp, groups, destinations, source_ports, tcp_flags, options_v4, headers_v6, fragments, vlan_tags,
             lies, other_frames):
    make()
log.info(f"{len(probes)} packets in {len(queue)} frames")
gateway.succeed(f"nft -f - <<'END'\n{WITNESS}\nEND")
# so that the card itself does not filter frames
gateway.succeed("ip link set wan promisc on", "ip link set lan promisc on")
send_all()
arrived, let_in = witnessed("arrived"), witnessed("let_in")
KINDS = list(dict.fromkeys(p.kind for p in probes.values()))
for kind in KINDS:
    with subtest(f"{kind}: each one arrives, and only what the policy names is let in"):
        t.assertEqual([], differing(kind, arrived, "arrives"))
        t.assertEqual([], differing(kind, let_in, "let_in"))

# The answers of an open port, and of echo requests. That a source route is refused (RFC 5095, 3) is only
# answered for packets to an open port, since others don't get that far. ('and' and 'or' have the same
# precedence.)
REFUSED_ROUTE = "(ip6[6] = 58 and ip6[40] = 4 and ip6[54] = 43)"
ANSWERS = {
    "wan": f"(tcp src port 443) or (ip6[6] = 6 and ip6[40:2] = 443) or {REFUSED_ROUTE}",
    "lan": "(tcp src port 22) or (ip6[6] = 6 and ip6[40:2] = 22) or (udp src port 123) or "
           f"(icmp[icmptype] = icmp-echoreply) or (ip6[6] = 58 and ip6[40] = 129) or {REFUSED_ROUTE}",
}
NEIGHBOURS_TALK = "arp or (ip6[6] = 58 and (ip6[40] = 135 or ip6[40] = 136))"
for side, network in zip(SIDES, (WAN, LAN)):
    with subtest(f"{side.name.upper()}: only open ports and echo requests are answered"):
        said = f"ether src {side.mac} and ether dst {side.endpoint.mac} and not ({NEIGHBOURS_TALK})"
        t.assertNotEqual([], networks[network].get_frames(f"{said} and ({ANSWERS[side.name]})"))
        t.assertEqual([], networks[network].get_frames(f"{said} and not ({ANSWERS[side.name]})"))

with subtest("without the rules, and with source routes allowed, all packets that the kernel accepts are detected"):
    gateway.succeed(
        "nft insert rule inet gateway input accept",
        "sysctl -q -w net.ipv4.conf.all.accept_source_route=1",
        "nft flush set inet witness let_in",
    )
    send_all()
    let_in = witnessed("let_in")
    for kind in KINDS:
        t.assertEqual([], differing(kind, let_in, "without_rules"), kind)

# Builds frames for Endpoint.send_frame(), also those that no kernel would send. Pure functions; addresses
# are text, MAC addresses also bytes.
import ipaddress
import struct

IPV4, ARP, IPV6, VLAN, SERVICE_VLAN, LLDP = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x88CC
HOP_BY_HOP, ICMP, IGMP, TCP, UDP, ROUTING, FRAGMENT, ICMPV6, DESTINATION = 0, 1, 2, 6, 17, 43, 44, 58, 60
# RFC 9293, 3.1
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def mac_bytes(mac):
    return mac if isinstance(mac, bytes) else bytes.fromhex(mac.replace(":", ""))


def packed(address):
    return ipaddress.ip_address(address).packed


def is_v6(address):
    return ":" in address


def group_mac(address):
    """The MAC address of a multicast group: RFC 1112, 6.4; RFC 2464, 7."""
    if is_v6(address):
        return b"\x33\x33" + packed(address)[-4:]
    low = packed(address)
    return b"\x01\x00\x5e" + bytes([low[1] & 0x7F]) + low[2:]


def checksum(data):
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ethernet(to, source, ether_type, payload, tags=()):
    """tags: (EtherType, number) of each VLAN tag, the outer one first."""
    inner = b"".join(struct.pack(">HH", kind, number) for kind, number in tags)
    return mac_bytes(to) + mac_bytes(source) + inner + struct.pack(">H", ether_type) + payload


def arp(operation, sender_mac, sender, target_mac, target):
    return (
        struct.pack(">HHBBH", 1, IPV4, 6, 4, operation)
        + mac_bytes(sender_mac) + packed(sender) + mac_bytes(target_mac) + packed(target)
    )


def ip(source, to, protocol, payload, ttl=64, options=b"", offset=0, more=False, number=1):
    """An IPv4 packet, or an IPv6 packet without extension headers (see chain()). options, offset (in
    bytes), more and number are for IPv4 only."""
    if is_v6(to):
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, ttl) + packed(source) + packed(to) + payload
    options += bytes(-len(options) % 4)
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), number,
        (0x2000 if more else 0) | offset // 8, ttl, protocol, 0, packed(source), packed(to),
    ) + options
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def chain(headers, protocol, payload):
    """What follows an IPv6 header: extension headers (number, bytes after the first), then the payload.
    Returns the number of the first header, and all the bytes."""
    for number, body in reversed(headers):
        payload = bytes([protocol]) + body + payload
        protocol = number
    return protocol, payload


def fragment_header(offset, more, number):
    """RFC 8200, 4.5, for chain()."""
    return FRAGMENT, struct.pack(">BHI", 0, offset | more, number)


def with_checksum(source, to, protocol, data, at):
    """data with its checksum, over the pseudo-header and data, at this offset (RFC 9293, 3.1; RFC 8200, 8.1)."""
    if is_v6(to):
        pseudo = packed(source) + packed(to) + struct.pack(">II", len(data), protocol)
    else:
        pseudo = packed(source) + packed(to) + struct.pack(">HH", protocol, len(data))
    return data[:at] + struct.pack(">H", checksum(pseudo + data) or 0xFFFF) + data[at + 2 :]


def tcp(source, to, from_port, to_port, flags=SYN, number=1, payload=b""):
    header = struct.pack(">HHIIBBHHH", from_port, to_port, number, 1 if flags & ACK else 0, 0x50, flags, 1024, 0, 0)
    return with_checksum(source, to, TCP, header + payload, 16)


def udp(source, to, from_port, to_port, payload=b"slotproof"):
    header = struct.pack(">HHHH", from_port, to_port, 8 + len(payload), 0)
    return with_checksum(source, to, UDP, header + payload, 6)


def icmp(source, to, kind, code=0, rest=b"\0\0\0\1", payload=b""):
    data = bytes([kind, code, 0, 0]) + rest + payload
    if is_v6(to):
        return with_checksum(source, to, ICMPV6, data, 2)
    return data[:2] + struct.pack(">H", checksum(data)) + data[4:]


def link_option(kind, mac):
    """RFC 4861, 4.6.1: kind 1 has the sender's address, 2 the target's."""
    return bytes([kind, 1]) + mac_bytes(mac)


def router_advertisement(source, to, prefix, mac, lifetime_s=1800, mtu=1400):
    """RFC 4861, 4.2: a default router, a prefix for addresses, the link's MTU, and a route to another
    network (RFC 4191, 2.3)."""
    network = ipaddress.ip_network(prefix)
    options = (
        link_option(1, mac)
        + struct.pack(">BBHI", 5, 1, 0, mtu)
        + struct.pack(">BBBBIII", 3, 4, network.prefixlen, 0xC0, 3600, 1800, 0) + network.network_address.packed
        + struct.pack(">BBBBI", 24, 2, 64, 0, 1800) + packed("2001:db8:dead::")[:8]
    )
    return icmp(source, to, 134, rest=struct.pack(">BBH", 33, 0, lifetime_s), payload=bytes(8) + options)

# Without the firewall's rules, services are restricted to their side by their own settings; if the rules can't
# be loaded, there is no network.
from gateway_network import *

scanners = {
    "wan": networks[WAN].create_endpoint("wan scanner", ["203.0.113.200/24"]),
    "lan": networks[LAN].create_endpoint("lan scanner", ["172.20.30.200/24"]),
}
wan, _ = Provider(client).wait_for_gateway(gateway)
ADDRESSES = {"wan": wan, "lan": GATEWAY_LAN}


def ask_for_lease(side):
    """Broadcast a DHCPDISCOVER (RFC 2131, 2)."""
    card = bytes.fromhex(scanners[side].mac.replace(":", ""))
    head = bytes([1, 1, 6, 0]) + b"slot" + bytes(20) + card + bytes(10 + 64 + 128)
    discover = head + bytes([99, 130, 83, 99, 53, 1, 1, 255])
    scanners[side].send(
        "udp", "255.255.255.255", 67, from_port=68, payload=discover, source="0.0.0.0",
        mac="ff:ff:ff:ff:ff:ff",
    )


def ask_for_time(side):
    """Send an NTP request (RFC 5905, 7.3) to the gateway's address on that side."""
    scanners[side].send("udp", ADDRESSES[side], 123, payload=b"\x23" + bytes(47))


def is_answered(side, port, timeout):
    """Whether the gateway itself, rather than another host, has answered from this port."""
    card = bytes.fromhex(scanners[side].resolve(ADDRESSES[side]).replace(":", ""))
    try:
        while True:
            frame = scanners[side].receive_frame(timeout)
            if frame[6:12] == card and frame[12:14] == b"\x08\x00" and frame[34:36] == port.to_bytes(2, "big"):
                return True
    except AssertionError:
        return False


# The request on the WAN is sent first: when the LAN has its answer, the server has handled that one too.
with subtest("leases and time are served on the LAN only, even without the rules"):
    gateway.succeed("nft flush ruleset")
    for ask, port in ((ask_for_lease, 67), (ask_for_time, 123)):
        for side in ("wan", "lan"):
            ask(side)
        t.assertTrue(is_answered("lan", port, 20), port)
        t.assertFalse(is_answered("wan", port, 1), port)
    t.assertEqual([], scanners["wan"].probe(wan, "udp", [123]).open)

with subtest("without its rules the gateway has no network"):
    gateway.succeed("systemctl stop systemd-networkd.socket systemd-networkd nftables")
    gateway.succeed("echo 'table inet gateway { broken' >>/etc/nftables.conf")
    gateway.fail("systemctl start systemd-networkd")
    gateway.succeed("journalctl -u systemd-networkd | grep 'Dependency failed'")

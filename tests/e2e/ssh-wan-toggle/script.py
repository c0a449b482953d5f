# SSH on the WAN is closed unless the flag file exists.
from gateway_network import *
from ssh_wan import FLAG, RULE, Toggle

toggle = Toggle(gateway, client, networks, t)

with subtest("SSH on the WAN is closed by default"):
    gateway.fail(f"test -e {FLAG}")
    toggle.assert_closed()

with subtest("the flag opens it, to a key and nothing else"):
    toggle.open()
    toggle.assert_open()
    refusal = toggle.provider.fail(f"{SSH} -o IdentitiesOnly=yes -o PreferredAuthentications=none root@{toggle.addresses[0]} 2>&1")
    t.assertIn("Permission denied (publickey).", refusal)

with subtest("the flag opens it within a second"):
    # By the guest's own clock, from the creation of the file until the service reports that it has opened
    # the port. Once in five attempts is enough, since the host may be busy.
    waits: list[float] = []
    while len(waits) < 5 and min(waits, default=1) >= 1:
        toggle.close()
        gateway.wait_until_succeeds("systemctl show -p ActiveState ssh-wan | grep -x ActiveState=inactive")
        begin = float(gateway.succeed(f"touch {FLAG}; cut -d' ' -f1 /proc/uptime"))
        gateway.wait_for_unit("ssh-wan.service")
        end = gateway.succeed("systemctl show -P ActiveEnterTimestampMonotonic ssh-wan.service")
        waits.append(int(end) / 1e6 - begin)
        t.assertEqual([RULE], toggle.rules())
    log.info(f"the port was open after {sorted(waits)} s")
    t.assertLess(min(waits), 1)

with subtest("the flag survives a reboot, and no other port is open at any instant of it"):
    links = {
        WAN: addresses_of(gateway, "wan", "-6", "link")[0],
        LAN: addresses_of(gateway, "lan", "-6", "link")[0],
    }
    macs = {network: gateway.succeed(f"cat /sys/class/net/{card}/address").strip()
            for network, card in ((WAN, "wan"), (LAN, "lan"))}
    knockers: list = []
    for network in (WAN, LAN):
        # Ports on which the gateway listens on the other side only, or not at all: a reset would be as bad.
        for to, port in ((links[network], 80), (links[network], 443 if network == LAN else 23),
                         (GATEWAY_LAN if network == LAN else toggle.addresses[0], 444)):
            knocker = networks[network].create_endpoint(
                f"knocker {len(knockers)}",
                ["172.20.30.201/24"] if network == LAN else [f"203.0.113.{201 + len(knockers)}/24"],
            )
            knocker.send("tcp", to, port, mac=macs[network], every=0.02)
            knockers.append(knocker)
    welcome = networks[WAN].create_endpoint("welcome", ["203.0.113.210/24"])
    welcome.send("tcp", links[WAN], 443, mac=macs[WAN], every=0.02)
    gateway.succeed("sync")
    gateway.reboot()
    gateway.wait_for_unit("multi-user.target")
    toggle.provider.wait_for_gateway(gateway)
    toggle.wait_for_rules(1)
    gateway.wait_for_open_port(443)
    for knocker in (*knockers, welcome):
        knocker.stop()
    for network in (WAN, LAN):
        answers = networks[network].get_frames(
            f"ether src {macs[network]} and ((tcp and (src port 80 or src port 23 or src port 444)) or "
            f"(ip6[6] = 6 and (ip6[40:2] = 80 or ip6[40:2] = 23 or ip6[40:2] = 444{' or ip6[40:2] = 443' if network == LAN else ''})))"
        )
        t.assertEqual([], answers)
    # the requests reached the gateway at all
    t.assertNotEqual(
        [], networks[WAN].get_frames(f"ether src {macs[WAN]} and ether dst {welcome.mac} and ip6[6] = 6")
    )
    toggle.assert_open()

with subtest("without the flag there is no login, and no rule is left"):
    toggle.close()
    toggle.assert_closed()

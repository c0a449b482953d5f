# SSH on the WAN: closed, unless the flag file is there.
import re

from gateway_network import *

FLAG = "/data/config/ssh-wan-enabled"
TOGGLE = "/usr/lib/slotproof/ssh-wan-toggle"
RULE = "tcp dport 22 accept"

scanner = networks[WAN].create_endpoint("scanner", ["203.0.113.200/24", "2001:db8:113::200/64"])
provider = Provider(client)
addresses = provider.wait_for_gateway(gateway)
make_ssh_key(client, gateway)


def rules():
    """The rules of the chain that the flag is about."""
    chain = gateway.succeed("nft list chain inet gateway ssh_wan")
    return [line.strip() for line in chain.splitlines()[2:-2]]


def wait_for_rules(number):
    gateway.wait_until_succeeds(
        f"test $(nft list chain inet gateway ssh_wan | grep -c accept) = {number}", timeout=60
    )


def assert_closed():
    t.assertEqual([], rules())
    for address in addresses:
        t.assertEqual([22], scanner.probe(address, ports=[22]).silent)
        provider.fail(f"{SSH} root@{address} true")


def assert_open():
    t.assertEqual([RULE], rules())
    for address in addresses:
        t.assertEqual("gateway\n", provider.succeed(f"{SSH} root@{address} hostname"))


with subtest("closed by default"):
    gateway.fail(f"test -e {FLAG}")
    assert_closed()

with subtest("the flag opens it, to a key and to nothing else"):
    gateway.succeed(f"touch {FLAG}")
    wait_for_rules(1)
    assert_open()
    refusal = provider.fail(f"{SSH} -o IdentitiesOnly=yes -o PreferredAuthentications=none root@{addresses[0]} 2>&1")
    t.assertIn("Permission denied (publickey).", refusal)

with subtest("within a second"):
    # By the guest's own clock, from the file's being there to the service's saying that it has opened
    # the port. Of several, since the host may have better things to do.
    waits = []
    for _ in range(5):
        gateway.succeed(f"rm {FLAG}")
        wait_for_rules(0)
        gateway.wait_until_succeeds("systemctl show -p ActiveState ssh-wan | grep -x ActiveState=inactive")
        begin = float(gateway.succeed(f"touch {FLAG}; cut -d' ' -f1 /proc/uptime"))
        gateway.wait_for_unit("ssh-wan.service")
        end = gateway.succeed("systemctl show -P ActiveEnterTimestampMonotonic ssh-wan.service")
        waits.append(int(end) / 1e6 - begin)
        t.assertEqual([RULE], rules())
    log.info(f"the port was open after {sorted(waits)} s")
    t.assertLess(min(waits), 1)

with subtest("to run it again changes nothing"):
    for _ in range(2):
        gateway.succeed(TOGGLE)
        t.assertEqual([RULE], rules())

with subtest("to load the rules anew changes nothing"):
    gateway.succeed("systemctl reload nftables")
    t.assertEqual([RULE], rules())

with subtest("the flag outlives a reboot, and at no instant of it another port is open"):
    links = {
        WAN: addresses_of(gateway, "wan", "-6", "link")[0],
        LAN: addresses_of(gateway, "lan", "-6", "link")[0],
    }
    macs = {network: gateway.succeed(f"cat /sys/class/net/{card}/address").strip()
            for network, card in ((WAN, "wan"), (LAN, "lan"))}
    knockers: list = []
    for network in (WAN, LAN):
        # Ports where the gateway listens on the other side, or nobody does: a reset is as bad.
        for to, port in ((links[network], 80), (links[network], 443 if network == LAN else 23),
                         (GATEWAY_LAN if network == LAN else addresses[0], 444)):
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
    provider.wait_for_gateway(gateway)
    wait_for_rules(1)
    gateway.wait_for_open_port(443)
    for knocker in (*knockers, welcome):
        knocker.stop()
    for network in (WAN, LAN):
        answers = networks[network].get_frames(
            f"ether src {macs[network]} and ((tcp and (src port 80 or src port 23 or src port 444)) or "
            f"(ip6[6] = 6 and (ip6[40:2] = 80 or ip6[40:2] = 23 or ip6[40:2] = 444{' or ip6[40:2] = 443' if network == LAN else ''})))"
        )
        t.assertEqual([], answers)
    # the knocking came through at all
    t.assertNotEqual(
        [], networks[WAN].get_frames(f"ether src {macs[WAN]} and ether dst {welcome.mac} and ip6[6] = 6")
    )
    assert_open()

with subtest("no flag, no login, and no rule is left"):
    gateway.succeed(f"rm {FLAG}")
    wait_for_rules(0)
    assert_closed()

with subtest("what is no file is no flag"):
    for make in (f"mkdir {FLAG}", f"ln -s /etc/hostname {FLAG}"):
        gateway.succeed(make, TOGGLE)
        t.assertEqual([], rules())
        gateway.succeed(f"rm -r {FLAG}")

with subtest("a hundred times: one rule or none, and at last what the flag says"):
    # slowly: each change has its effect
    for _ in range(10):
        gateway.succeed(f"touch {FLAG}")
        wait_for_rules(1)
        t.assertEqual([RULE], rules())
        gateway.succeed(f"rm {FLAG}")
        wait_for_rules(0)
    # and as fast as it goes
    for last, number in (("touch", 1), ("rm", 0)):
        gateway.succeed(
            f"for i in $(seq 20); do touch {FLAG}; n=$(nft list chain inet gateway ssh_wan | grep -c accept || true); "
            f"[ $n -le 1 ]; rm {FLAG}; done; {'touch' if last == 'touch' else 'rm -f'} {FLAG}",
            timeout=120,
        )
        wait_for_rules(number)
        gateway.wait_until_succeeds(f"systemctl show -p ActiveState ssh-wan.service | grep -x ActiveState={'active' if number else 'inactive'}")
        t.assertEqual([RULE] * number, rules())
    gateway.succeed("systemctl is-active ssh-wan.path")

with subtest("where nftables fails, the port is closed"):
    without = "setpriv --bounding-set=-net_admin --inh-caps=-net_admin"
    gateway.succeed("systemctl stop ssh-wan.path", f"touch {FLAG}")
    gateway.fail(f"{without} {TOGGLE}")
    t.assertEqual([], rules())
    # the one that holds the port open dies, and the flag with it
    gateway.succeed("systemctl start ssh-wan.path")
    wait_for_rules(1)
    gateway.succeed("systemctl stop ssh-wan.path", "systemctl kill -s KILL ssh-wan.service")
    wait_for_rules(0)
    # a chain that is not there
    gateway.succeed("nft delete rule inet gateway wan handle $(nft -a list chain inet gateway wan | sed -n 's/.*jump ssh_wan # handle //p')")
    gateway.succeed("nft delete chain inet gateway ssh_wan")
    gateway.fail(TOGGLE)
    t.assertEqual([22], scanner.probe(addresses[0], ports=[22]).silent)

# SSH on the WAN stays closed if the flag is not a regular file, and if nftables fails.
from ssh_wan import FLAG, TOGGLE, Toggle

toggle = Toggle(gateway, client, networks, t)

with subtest("a directory or a link does not count as the flag"):
    for make in (f"mkdir {FLAG}", f"ln -s /etc/hostname {FLAG}"):
        gateway.succeed(make, TOGGLE)
        t.assertEqual([], toggle.rules())
        gateway.succeed(f"rm -r {FLAG}")

with subtest("if nftables fails, the port is closed"):
    without = "setpriv --bounding-set=-net_admin --inh-caps=-net_admin"
    gateway.succeed("systemctl stop ssh-wan.path", f"touch {FLAG}")
    gateway.fail(f"{without} {TOGGLE}")
    t.assertEqual([], toggle.rules())
    # the service that keeps the port open is killed
    gateway.succeed("systemctl start ssh-wan.path")
    toggle.wait_for_rules(1)
    gateway.succeed("systemctl stop ssh-wan.path", "systemctl kill -s KILL ssh-wan.service")
    toggle.wait_for_rules(0)
    # the chain is missing
    gateway.succeed("nft delete rule inet gateway wan handle $(nft -a list chain inet gateway wan | sed -n 's/.*jump ssh_wan # handle //p')")
    gateway.succeed("nft delete chain inet gateway ssh_wan")
    gateway.fail(TOGGLE)
    t.assertEqual([22], toggle.scanner.probe(toggle.addresses[0], ports=[22]).silent)

# SSH on the WAN is opened once, however often it is asked for, and at last what the flag says.
from ssh_wan import FLAG, RULE, TOGGLE, Toggle

toggle = Toggle(gateway, client, networks, t)

with subtest("the flag opens it"):
    toggle.open()
    t.assertEqual([RULE], toggle.rules())

with subtest("to run it again changes nothing"):
    for _ in range(2):
        gateway.succeed(TOGGLE)
        t.assertEqual([RULE], toggle.rules())

with subtest("to load the rules anew changes nothing"):
    gateway.succeed("systemctl reload nftables")
    t.assertEqual([RULE], toggle.rules())

with subtest("no flag, and no rule is left"):
    toggle.close()

with subtest("a hundred times: one rule or none, and at last what the flag says"):
    # slowly: each change has its effect
    for _ in range(10):
        toggle.open()
        t.assertEqual([RULE], toggle.rules())
        toggle.close()
    # and as fast as it goes
    for last, number in (("touch", 1), ("rm", 0)):
        gateway.succeed(
            f"for i in $(seq 20); do touch {FLAG}; n=$(nft list chain inet gateway ssh_wan | grep -c accept || true); "
            f"[ $n -le 1 ]; rm {FLAG}; done; {'touch' if last == 'touch' else 'rm -f'} {FLAG}",
            timeout=120,
        )
        toggle.wait_for_rules(number)
        gateway.wait_until_succeeds(f"systemctl show -p ActiveState ssh-wan.service | grep -x ActiveState={'active' if number else 'inactive'}")
        t.assertEqual([RULE] * number, toggle.rules())
    gateway.succeed("systemctl is-active ssh-wan.path")

# However often the flag changes, there is at most one rule, and in the end the flag decides.
from ssh_wan import FLAG, RULE, TOGGLE, Toggle

toggle = Toggle(gateway, client, networks, t)

with subtest("the flag opens SSH on the WAN"):
    toggle.open()
    t.assertEqual([RULE], toggle.rules())

with subtest("running the program again changes nothing"):
    for _ in range(2):
        gateway.succeed(TOGGLE)
        t.assertEqual([RULE], toggle.rules())

with subtest("reloading the rules changes nothing"):
    gateway.succeed("systemctl reload nftables")
    t.assertEqual([RULE], toggle.rules())

with subtest("without the flag no rule is left"):
    toggle.close()

with subtest("after a hundred changes there is one rule or none, as the flag says"):
    # slowly, so that each change takes effect
    for _ in range(10):
        toggle.open()
        t.assertEqual([RULE], toggle.rules())
        toggle.close()
    # and as fast as possible
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

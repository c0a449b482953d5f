# A script can make machines that test.conf does not name.
from driver_calls import failure

with subtest("create_machine makes another machine"):
    failure(create_machine, "gateway", kind=ValueError)
    failure(create_machine, "other", networks=[3], kind=ValueError)
    failure(create_machine, "other", image="no-such-image", kind=ValueError)
    other = create_machine("other", image="peer", networks=[2, 1], memory=192)
    t.assertEqual([gateway, other], machines)
    t.assertFalse(other.is_up())
    other.start(allow_reboot=True)
    other.wait_for_unit("basic.target")
    t.assertEqual("2", other.succeed("ls -d /sys/class/net/*/device | wc -l").strip())
    t.assertLess(int(other.succeed("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")), 192 * 1024)
    for one in machines:
        one.execute("systemctl poweroff", check_output=False)
    join_all()
    t.assertFalse(any(one.is_up() for one in machines))

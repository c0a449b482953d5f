# After a power cut, what a machine had written is there when it starts again, and so is a forwarded port.
from driver_calls import start_echo, talk

port = gateway.forward_port(0, 7007)

with subtest("the disk survives a power cut"):
    start_echo(gateway)
    t.assertEqual("", talk(port, 1000))
    gateway.succeed("echo kept >/data/config/note", "sync -f /data")
    gateway.crash()
    t.assertFalse(gateway.is_up())
    t.assertIn("reset", talk(port, 1000))
    gateway.start()
    gateway.wait_for_unit("data.mount")
    t.assertEqual("kept\n", gateway.succeed("cat /data/config/note"))

with subtest("the port is forwarded to the guest again"):
    start_echo(gateway)
    t.assertEqual("", talk(port, 1000))

with subtest("a machine that shuts down by itself is off"):
    gateway.succeed("systemd-run --no-block systemctl poweroff")
    gateway.wait_for_shutdown()
    t.assertFalse(gateway.is_up())

# In the style of nixpkgs' tests of booting and of the console.
machine.start(allow_reboot=True)
machine.wait_for_unit("basic.target")
boot_id = machine.succeed("cat /proc/sys/kernel/random/boot_id")

with subtest("synced data survives a crash"):
    machine.succeed("echo kept > /data/config/nixos", "sync")
    machine.crash()
    assert not machine.is_up()
    machine.start(allow_reboot=True)
    machine.wait_for_unit("basic.target")
    machine.wait_for_file("/data/config/nixos")
    assert machine.succeed("cat /data/config/nixos") == "kept\n"
    assert machine.succeed("cat /proc/sys/kernel/random/boot_id") != boot_id

with subtest("the keyboard reaches the virtual consoles"):
    machine.systemctl("start getty@tty2.service")
    machine.wait_for_unit("getty@tty2.service")
    machine.wait_until_tty_matches("2", "login: ")
    machine.send_key("alt-f2")
    machine.wait_until_succeeds("grep -Fx tty2 /sys/class/tty/tty0/active", timeout=30)
    machine.send_chars("nobody-here\n")
    machine.wait_until_tty_matches("2", "login: nobody-here", timeout=30)
    machine.screenshot("tty2")

with subtest("a clean shutdown"):
    machine.shutdown()
    machine.wait_for_shutdown()
    assert not machine.is_up()

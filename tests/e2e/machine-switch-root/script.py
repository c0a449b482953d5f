# A script can wait until a guest leaves its initramfs, when one agent ends and another one starts.
from driver_calls import failure

with subtest("switch_root waits for the agent after the initramfs"):
    message, seconds = failure(gateway.switch_root)
    t.assertIn("initrd.target", message)
    t.assertLess(seconds, 120)
    # a stand-in for it: a target that stops the agent, and starts another one
    gateway.succeed(
        "echo '[Unit]' >/etc/systemd/system/initrd.target",
        "printf '[Unit]\\nAllowIsolate=yes\\nRequires=basic.target next-agent.service\\n"
        "Conflicts=slotproof-agent.service\\n' >/etc/systemd/system/initrd-switch-root.target",
        "sed 's/^.Unit.$/&\\nAfter=slotproof-agent.service/;/^Before=/d' "
        "/usr/lib/systemd/system/slotproof-agent.service >/etc/systemd/system/next-agent.service",
        "systemctl daemon-reload",
        "systemctl start initrd.target",
    )
    gateway.switch_root()
    gateway.require_unit_state("next-agent")
    gateway.require_unit_state("slotproof-agent", "inactive")

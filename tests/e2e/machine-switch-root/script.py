# A script may wait until a guest leaves its initramfs: the agent goes, and another one comes.
from asking import failure

with subtest("leaving an initramfs"):
    message, seconds = failure(gateway.switch_root)
    t.assertIn("initrd.target", message)
    t.assertLess(seconds, 120)
    # what stands for it: a target that stops the agent, and has another one started
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

# If neither slot can be started, the device resets and tries again.
from appliance import device

with subtest("if nothing boots, the console says so, and the device tries again"):
    for partition in ["boot-a", "boot-b"]:
        gateway.succeed(f"dd if=/dev/zero of={device(partition)} bs=1M count=1 oflag=direct")
    gateway.reboot()
    # each is rejected because it can't be started, not for another reason
    gateway.wait_for_console_text("slot-selector: slot B does not boot: ", timeout=120)
    gateway.wait_for_console_text("slot-selector: slot A does not boot: ", timeout=120)
    for _ in range(2):
        gateway.wait_for_console_text("slot-selector: no slot boots, resetting", timeout=120)
        t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=60)["action"])

gateway.crash()

# Where neither slot can be started the device does not stay where it is.
from appliance import device

with subtest("where nothing boots, the console says so, and the machine tries again"):
    for partition in ["boot-a", "boot-b"]:
        gateway.succeed(f"dd if=/dev/zero of={device(partition)} bs=1M count=1 oflag=direct")
    gateway.reboot()
    # neither is passed over for another reason than that it can't be started
    gateway.wait_for_console_text("slot-selector: slot B does not boot: ", timeout=120)
    gateway.wait_for_console_text("slot-selector: slot A does not boot: ", timeout=120)
    for _ in range(2):
        gateway.wait_for_console_text("slot-selector: no slot boots, resetting", timeout=120)
        t.assertEqual("reset", gateway.wait_for_qmp_event("WATCHDOG", timeout=60)["action"])

gateway.crash()

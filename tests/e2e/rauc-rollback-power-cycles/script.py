# Repeated power failures do not make the device leave a good slot.
import random
import time

from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("a good slot still boots after power cycles in quick succession"):
    gateway.succeed("sync")
    moments = random.Random(0)
    gateway.crash()
    # Most cuts come while the selector and the kernel run, when the boot state is read and may be written;
    # the others at any instant until the system is up.
    chosen = 0
    for until in [4] * 7 + [12] * 3:
        gateway.start(allow_reboot=True)
        time.sleep(moments.uniform(0, until))
        gateway.crash()
        chosen = len(dut.boots_since())
    # and one cut certainly after the selector has chosen
    gateway.start(allow_reboot=True)
    gateway.wait_for_console_text(r"slot-selector: slot A \(good\)")
    gateway.crash()
    gateway.log(f"the selector had chosen in {chosen} of ten")
    t.assertEqual(chosen + 1, len(dut.boots_since()))
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual({("A", "good")}, set(dut.boots_since()))
    t.assertEqual((3, True), dut.slot_state("A"))

gateway.crash()

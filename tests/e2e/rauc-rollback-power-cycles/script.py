# Power that comes and goes does not move a slot that is good.
import random
import time

from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("power cycles in quick succession leave a good slot where it is"):
    gateway.succeed("sync")
    moments = random.Random(0)
    gateway.crash()
    # Most of them while the selector and the kernel run, where the boot state is read and may be
    # written; the others at any instant until the system is up.
    chosen = 0
    for until in [4] * 7 + [12] * 3:
        gateway.start(allow_reboot=True)
        time.sleep(moments.uniform(0, until))
        gateway.crash()
        chosen = len(dut.boots_since())
    # and one that the selector is known to have been at
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

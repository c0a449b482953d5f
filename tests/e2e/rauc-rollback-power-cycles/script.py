# Power that comes and goes does not move a slot that is good.
import random
import time

from rollback import Rollback

dut = Rollback(gateway, t)

with subtest("ten quick power cycles leave a good slot where it is"):
    gateway.succeed("sync")
    moments = random.Random(0)
    gateway.crash()
    # Most of them while the selector and the kernel run, where the boot state is read and may be
    # written; the others at any instant until the system is up.
    for until in [4] * 7 + [12] * 3:
        gateway.start(allow_reboot=True)
        time.sleep(moments.uniform(0, until))
        gateway.crash()
    dut.start()
    t.assertEqual(("A", "1.0"), dut.running())
    t.assertEqual({("A", "good")}, set(dut.boots_since()))
    t.assertEqual((3, True), dut.slot_state("A"))

gateway.crash()

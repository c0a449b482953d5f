# An installation and the first boot of what it installed are recorded, write by write. Then every state in
# which a power cut could have left the disk is checked, and at least one state of each class is booted.
# 'slotproof powercut' runs this with the user's seed and number of boots.
import json
import os
import random
import shlex

from appliance import Appliance
from power_cuts import Recording

dut = Appliance(gateway, t)
OPTIONS = dict(word.split("=") for word in os.environ.get("SLOTPROOF_POWERCUT", "").split())
SEED, SAMPLES = int(OPTIONS.get("seed", "0")), int(OPTIONS.get("samples", "16"))
BOOTS = int(OPTIONS.get("boots", "-1"))  # negative: one of each class
REPORT = os.path.join(gateway.out_dir, "powercut.json")
RELEASES = {"A": "1.0", "B": "2.0"}


def choose(classes):
    """The states to boot, each with the number of its class: one of each class, then random others."""
    chosen = [(number, found["examples"][0]) for number, found in enumerate(classes)]
    others = [(number, name) for number, found in enumerate(classes) for name in found["examples"][1:]]
    wanted = len(chosen) if BOOTS < 0 else BOOTS
    more = max(0, min(wanted - len(chosen), len(others)))
    return chosen[:wanted] + random.Random(SEED).sample(others, more)


def boot(machine, slot):
    """The machine boots this slot, and RAUC works. If that is the old release, it is updated again, and the
    result is what the test rauc-update boots."""
    state = Appliance(machine, t)
    machine.start(allow_reboot=True)
    machine.wait_for_unit("multi-user.target", timeout=600)
    t.assertEqual((slot, RELEASES[slot]), state.running())
    t.assertEqual(slot, state.rauc()["booted"])
    machine.succeed("findmnt -t f2fs /data")
    if slot == "B":
        return
    state.install("release-2.0")
    t.assertEqual("B", state.rauc()["primary"])
    t.assertEqual(updated, state.boot_basis())
    # the first one is booted: this device has a history in /data, which the basis leaves out
    if not updated_again:
        state.reboot()
        t.assertEqual(("B", "2.0"), state.running())
        t.assertEqual("B", state.rauc()["booted"])
    updated_again.append(machine.name)


def boot_state(index, name, slot):
    disk = os.path.join(gateway.out_dir, f"state{index}.raw")
    recording.write_state(name, disk)
    machine = create_machine(f"state{index}", networks=[1, 2], disk=disk)
    try:
        boot(machine, slot)
    finally:
        machine.crash()
        os.unlink(disk)


with subtest("an installation and the boot of slot B are recorded"):
    t.assertEqual(("A", "1.0"), dut.running())
    updated = dut.updated_basis(dut.table_digests())
    dut.bundle("release-2.0")
    gateway.succeed("sync")
    recording = Recording(gateway.record_disk(), SEED)
    dut.install("release-2.0")
    installed = gateway.mark_recording("installed")
    gateway.reboot()
    # the selector has recorded the attempt, and starts the slot
    gateway.wait_for_console_text(r"slot-selector: slot B \(attempt 1 of 3\)")
    gateway.wait_for_unit("multi-user.target")
    started = gateway.mark_recording("started")
    running = dut.running()
    gateway.succeed("rauc status mark-good booted")
    gateway.mark_recording("confirmed")
    gateway.stop_recording()
    gateway.crash()
    t.assertGreater(installed, 100)
    t.assertGreater(started, installed)

with subtest("every state of the disk boots a complete release"):
    images = gateway.image_dir
    findings = recording.check(
        os.path.join(images, "powercut.conf"),
        samples=SAMPLES,
        fsck_samples=1000000,
        content=[f"boot-b={images}/boot-release-2.0.vfat", f"rootfs-b={images}/rootfs-2.0.squashfs"],
        installed_from=installed,
        started_from=started,
        examples=max(1, BOOTS),
        report=REPORT,
    )
    gateway.log(findings["text"])
    t.assertEqual(0, findings["failed"], findings["text"])
    t.assertIsNone(findings["truncated"])
    # checked last, as the findings would say why
    t.assertEqual(("B", "2.0"), running)
    t.assertGreater(findings["distinct"], 500)
    t.assertEqual(findings["distinct"], findings["checked"])

# What decides how a state boots is in the facts of its class, so that one of each stands for all.
updated_again: list[str] = []
failures = []
boots = []
for index, (number, name) in enumerate(choose(findings["classes"])):
    failure: dict[str, str | None] = {"reason": None}
    found = findings["classes"][number]
    try:
        with subtest(f"{name} of {found['states']} states: {found['facts']}"):
            boot_state(index, name, found["facts"]["boots"])
    except Exception as error:  # the others are still booted
        reason = str(error) or repr(error)
        gateway.log(f"FAILED: state {name} does not boot as expected: {reason}")
        words = shlex.join(["slotproof", *recording.words("--state", name, "--debug")])
        gateway.log(f"  a machine with it: {words}")
        failure = {"reason": reason, "machine": words}
        failures.append(name)
    boots.append({"state": name, "class": number, **failure})
gateway.log(f"{len(boots)} states booted, {len(failures)} failed")
with open(REPORT) as file:
    report = json.load(file)
with open(REPORT, "w") as file:
    json.dump({**report, "boots": boots}, file)
t.assertEqual([], failures, "states that do not boot as expected")

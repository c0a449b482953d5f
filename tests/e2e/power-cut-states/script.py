# An installation and the first boot of what it installed are recorded, write by write; then the disk
# is checked in every state that a power cut could have left it in, and of each kind of state at least
# one is booted. 'slotproof powercut' runs this with a number of boots, and a seed, of the user's.
import json
import os
import random
import shlex
import subprocess

from appliance import Appliance

dut = Appliance(gateway, t)
OPTIONS = dict(word.split("=") for word in os.environ.get("SLOTPROOF_POWERCUT", "").split())
SEED, SAMPLES = OPTIONS.get("seed", "0"), OPTIONS.get("samples", "16")
BOOTS = int(OPTIONS.get("boots", "-1"))  # negative: one of each kind
REPORT = os.path.join(gateway.out_dir, "powercut.json")
RELEASES = {"A": "1.0", "B": "2.0"}


def say(text):
    """Into the log, and into what 'slotproof powercut' shows."""
    gateway.log(text)
    with open(os.path.join(gateway.out_dir, "powercut.txt"), "a") as file:
        file.write(text.rstrip("\n") + "\n")


def words_for(*arguments):
    files = "--image", os.path.join(folder, "disk.raw"), "--log", os.path.join(folder, "writes.log")
    return ["powercut", *files, "--seed", SEED, *arguments]


def powercut(*arguments):
    """Run 'slotproof powercut' on the recording: status and output."""
    words = ["/proc/self/exe", *words_for(*arguments)]
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def choose(classes):
    """The states to boot, with their class: one of each, then others by chance."""
    chosen = [(found, found["examples"][0]) for found in classes]
    others = [(found, name) for found in classes for name in found["examples"][1:]]
    wanted = len(chosen) if BOOTS < 0 else BOOTS
    more = max(0, min(wanted - len(chosen), len(others)))
    return chosen[:wanted] + random.Random(int(SEED)).sample(others, more)


def boot(machine, found):
    """The release that was decided on runs, RAUC works, and where that release is the old one it is
    updated again, to the bytes that rauc-update boots."""
    state = Appliance(machine, t)
    machine.start(allow_reboot=True)
    machine.wait_for_unit("multi-user.target", timeout=600)
    slot = found["description"][0]
    t.assertEqual((slot, RELEASES[slot]), state.running())
    t.assertEqual(slot, state.rauc()["booted"])
    machine.succeed("findmnt -t f2fs /data")
    if slot == "B":
        return
    state.install("release-2.0")
    t.assertEqual("B", state.rauc()["primary"])
    t.assertEqual(updated, state.boot_basis())
    # the first is booted: the basis leaves out /data, and this is a device with a past
    if not updated_again:
        state.reboot()
        t.assertEqual(("B", "2.0"), state.running())
        t.assertEqual("B", state.rauc()["booted"])
    updated_again.append(machine.name)


def boot_state(number, found, name):
    disk = os.path.join(gateway.out_dir, f"state{number}.raw")
    status, output = powercut("--state", name, "--write", disk)
    t.assertEqual(0, status, output)
    machine = create_machine(f"state{number}", networks=[1, 2], disk=disk)
    try:
        boot(machine, found)
    finally:
        machine.crash()
        os.unlink(disk)


with subtest("an installation and the boot of slot B are recorded"):
    t.assertEqual(("A", "1.0"), dut.running())
    updated = dut.updated_basis(dut.table_digests())
    dut.bundle("release-2.0")
    gateway.succeed("sync")
    folder = gateway.record_disk()
    dut.install("release-2.0")
    installed = gateway.mark_recording("installed")
    gateway.reboot()
    # the selector has stored that it takes an attempt, and starts the slot
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

with subtest("no state of the disk is one that does not boot a whole release"):
    images = gateway.image_dir
    status, output = powercut(
        "--samples", SAMPLES,
        "--data-samples", "1000000",
        "--boot", f"{images}/boot-release-2.0.vfat",
        "--rootfs", f"{images}/rootfs-2.0.squashfs",
        "--installed-from", str(installed),
        "--started-from", str(started),
        "--examples", str(max(1, BOOTS)),
        "--report", REPORT,
    )  # fmt: skip
    say(output)
    t.assertEqual(0, status, output)
    with open(REPORT) as file:
        report = json.load(file)
    # said last, as the states say why
    t.assertEqual(("B", "2.0"), running)
    t.assertGreater(report["distinct"], 500)
    t.assertEqual(report["distinct"], report["checked"])

# What decides how a state boots is said by its class, so that one of each stands for all.
updated_again: list[str] = []
failures = []
report["boots"] = []
for number, (found, name) in enumerate(choose(report["classes"])):
    reason = None
    try:
        with subtest(f"{name} of {found['states']} states: {found['description']}"):
            boot_state(number, found, name)
    except Exception as error:  # the others are booted all the same
        reason = str(error) or repr(error)
        say(f"FAILED: state {name} does not boot as it should: {reason}")
        say("  a machine with it: slotproof " + shlex.join(words_for("--state", name, "--debug")))
        failures.append(name)
    report["boots"].append({"state": name, "class": found["description"], "reason": reason})
say(f"{len(report['boots'])} states booted, {len(failures)} failed")
with open(REPORT, "w") as file:
    json.dump(report, file)
t.assertEqual([], failures, "states that do not boot as they should: see powercut.txt")

# An installation and the first boot of what it installed are recorded, write by write; then the disk
# is checked in every state that a power cut could have left it in, and of each kind of state one is
# booted.
import json
import os
import subprocess

from appliance import Appliance
from recording import Recording

dut = Appliance(gateway)
REPORT = os.path.join(gateway.out_dir, "powercut.json")


def powercut(*arguments):
    """Run 'slotproof powercut' on the recording: status and output."""
    words = ["/proc/self/exe", "powercut", "--image", recording.image, "--log", recording.log, *arguments]
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    gateway.log(result.stdout)
    return result.returncode, result.stdout


with subtest("an installation and the boot of slot B are recorded"):
    t.assertEqual(("A", "1.0"), dut.running())
    dut.bundle("release-2.0")
    recording = Recording(gateway)
    dut.install("release-2.0")
    installed = recording.entries()
    gateway.reboot()
    # the selector has stored that it takes an attempt, and starts the slot
    gateway.wait_for_console_text(r"slot-selector: slot B \(attempt 1 of 3\)")
    gateway.wait_for_unit("multi-user.target")
    started = recording.entries()
    running = dut.running()
    gateway.succeed("rauc status mark-good booted")
    recording.stop()
    gateway.crash()
    t.assertGreater(installed, 100)
    t.assertGreater(started, installed)

with subtest("no state of the disk is one that does not boot a whole release"):
    images = gateway.image_dir
    status, output = powercut(
        "--boot", f"{images}/boot-release-2.0.vfat",
        "--rootfs", f"{images}/rootfs-2.0.squashfs",
        "--installed-from", str(installed),
        "--started-from", str(started),
        "--report", REPORT,
    )  # fmt: skip
    t.assertEqual(0, status, output)
    with open(REPORT) as file:
        report = json.load(file)
    # said last, as the states say why
    t.assertEqual(("B", "2.0"), running)
    t.assertGreater(report["distinct"], 500)
    t.assertEqual(report["distinct"], report["checked"])

# What decides how a state boots is said by its class, so that one of each stands for all.
for number, found in enumerate(report["classes"]):
    with subtest(f"{found['example']} of {found['states']} states: {found['description']}"):
        folder = os.path.join(gateway.out_dir, f"state{number}")
        os.mkdir(folder)
        status, output = powercut("--state", found["example"], "--write", f"{folder}/disk.raw")
        t.assertEqual(0, status, output)
        with open(f"{gateway.image_dir}/image.conf") as file:
            lines = [line for line in file if not line.startswith("Disk=")]
        lines.insert(1, "Disk=disk.raw\n")
        with open(f"{folder}/image.conf", "w") as file:
            file.writelines(lines)
        machine = create_machine(f"state{number}", image=folder, networks=[1, 2])
        state = Appliance(machine)
        state.start()
        slot = found["description"][0]
        t.assertEqual((slot, {"A": "1.0", "B": "2.0"}[slot]), state.running())
        t.assertEqual(slot, state.rauc()["booted"])
        if slot == "A":
            state.install("release-2.0")
            t.assertEqual("B", state.rauc()["primary"])
        machine.crash()
        os.unlink(f"{folder}/disk.raw")

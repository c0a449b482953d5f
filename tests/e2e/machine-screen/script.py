# A machine's screen is seen and read, and its keyboard typed on, as by a person in front of it.
import os
import re
import shutil
import struct
import time

from slotproof import MachineError, RequestedAssertionFailed


def read_png(name):
    """The width and height of an image in the machine's output directory."""
    with open(os.path.join(gateway.out_dir, name), "rb") as file:
        head = file.read(24)
    t.assertEqual(b"\x89PNG\r\n\x1a\n", head[:8])
    return struct.unpack(">II", head[16:24])


def plain(text):
    """The text without what reading confuses: white space and case."""
    return re.sub(r"\s+", " ", text).lower()


can_read = shutil.which("tesseract") is not None

with subtest("screenshots"):
    gateway.screenshot("boot")
    t.assertEqual((720, 400), read_png("boot.png"))
    gateway.screenshot(os.path.join(gateway.out_dir, "again.png"))
    t.assertEqual((720, 400), read_png("again.png"))
    with t.assertRaisesRegex(RequestedAssertionFailed, "/nowhere/at/all"):
        gateway.screenshot("/nowhere/at/all.png")

if can_read:
    with subtest("text is read"):
        gateway.succeed("printf '\\033c\\n\\n the quick brown fox jumps over a lazy dog\\n' >/dev/tty1")
        gateway.wait_for_text("quick.*brown.*lazy", timeout=60)
        t.assertIn("the quick brown fox jumps over a lazy dog", plain(gateway.get_screen_text()))
        t.assertEqual(3, len(gateway.get_screen_text_variants()))
        # black on white
        gateway.succeed("printf '\\033c\\033[7m\\033[2J\\n\\n another message here' >/dev/tty1")
        gateway.wait_for_text("(?i)another message", timeout=60)

    with subtest("a wait for text ends when the text appears, or at its time-out"):
        gateway.execute("sleep 2; printf '\\033c\\n\\n late but there\\n' >/dev/tty1", check_output=False)
        gateway.wait_for_text("late but there", timeout=60)
        begin = time.monotonic()
        with t.assertRaisesRegex(RequestedAssertionFailed, "(?s)'never written'.*late but there"):
            gateway.wait_for_text("never written", timeout=3)
        t.assertLess(time.monotonic() - begin, 30)
        with t.assertRaisesRegex(ValueError, "not a valid regular expression"):
            gateway.wait_for_text("(")
else:
    with subtest("without tesseract, reading text fails with the reason"):
        for call in [gateway.get_screen_text, gateway.get_screen_text_variants]:
            with t.assertRaisesRegex(ValueError, "apt-get install tesseract-ocr"):
                call()

with subtest("every character can be typed"):
    everything = "".join(map(chr, range(32, 127)))
    gateway.execute("head -n 1 </dev/tty1 >/run/typed; touch /run/is-typed", check_output=False)
    gateway.wait_until_succeeds("pgrep -x head")
    gateway.send_chars(everything)
    gateway.send_key("!")
    gateway.send_key("ret")
    gateway.wait_for_file("/run/is-typed", timeout=60)
    t.assertEqual(everything + "!\n", gateway.succeed("cat /run/typed"))
    with t.assertRaisesRegex(ValueError, "\u00e9"):
        gateway.send_chars("caf\u00e9")
    with t.assertRaisesRegex(ValueError, "no-such-key"):
        gateway.send_key("no-such-key")

with subtest("the serial console"):
    gateway.send_console("\n")
    gateway.wait_for_console_text("login: $")
    gateway.send_console("nobody-of-this-name\n")
    gateway.wait_for_console_text("nobody-of-this-name")
    gateway.wait_for_console_text("Password")

with subtest("ctrl-alt-delete"):
    boot = gateway.succeed("cat /proc/sys/kernel/random/boot_id")
    gateway.send_key("ctrl-alt-delete")
    gateway.wait_for_qmp_event("RESET", timeout=120)
    t.assertNotEqual(boot, gateway.succeed("cat /proc/sys/kernel/random/boot_id"))

with subtest("a kernel's panic is on the screen"):
    # it stays there only until the watchdog fires, which may be before it is read
    gateway.send_monitor_command("watchdog_action none")
    gateway.execute("sleep 0.5; echo 0 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger", check_output=False)
    gateway.wait_for_console_text("end Kernel panic")
    if can_read:
        gateway.wait_for_text("(?i)kernel panic", timeout=60)
    gateway.screenshot("panic")

with subtest("a machine that is off has no screen"):
    gateway.crash()
    calls: list = [gateway.screenshot, gateway.send_key, gateway.send_chars, gateway.send_console]
    for typed in calls:
        with t.assertRaisesRegex(MachineError, "not running"):
            typed("x")

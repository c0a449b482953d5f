# SPDX-License-Identifier: MIT
"""The script API: each call is described here once. generate.py makes the binding (argument parsing,
steps of the log, docstrings), slotproof.pyi and the lists of slotproof-script(7) of it; api_types.py has
the words.

A new method of Machine is an entry here, its C function (which api.h then declares) and its test."""

from api_types import (
    UNSET, Attribute, Call, Class, Section, arguments, by_keyword, count, data, duration, flag, ignored, ip,
    keywords, mac, network, obj, path, port, printable, real, terminal, text, timeout,
)

# what a script has besides its machines and the functions below
GLOBALS = [
    "BaseMachine", "Driver", "Machine", "NspawnMachine", "PollingCondition", "QemuMachine", "VLan", "debug", "driver",
    "log", "machine", "machines", "machines_nspawn", "machines_qemu", "networks", "os", "slotproof", "t", "vlans",
]

STUB_HEAD = """
from collections.abc import Callable, Iterable, Mapping
from contextlib import _GeneratorContextManager
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, overload

# a number is seconds
Duration = timedelta | float
StrPath = str | PathLike[str]
# entered by 'with', or used as a decorator
Step = _GeneratorContextManager[None]

class RequestedAssertionFailed(Exception): ...
class MachineError(Exception): ...
class QMPAPIError(RuntimeError):
    class_name: str
    description: str
    transaction_id: str | None
"""

STATUS_AND_OUTPUT = "tuple[int, str]"
ATTRIBUTES = ignored("attributes", "Mapping[str, str]", {})
NO_WINDOWS = (
    "slotproof knows nothing of X11 and its windows: wait for the display server's unit with wait_for_unit(), "
    "and look at the screen with wait_for_text() or screenshot()"
)
NO_START_COMMAND = "starts a machine: use test.conf, create_machine() and start()"
NO_SHELL_SOCKET = "commands do not go through the socket of a shell: use execute()"

MACHINE_ATTRIBUTES = [
    Attribute("name", "str", "The machine's name, as in test.conf."),
    Attribute("out_dir", "Path", "The host's directory for files that are copied out of the machine."),
    Attribute("image_dir", "Path", "The host's directory of the machine's image."),
    Attribute("boot_id", "str | None",
              "The ID of the boot in which the last call found the guest, as in the guest's "
              "/proc/sys/kernel/random/boot_id. None before the first call."),
    Attribute("connected", "bool",
              "Whether the guest takes commands. Set it to False if another boot is to follow: the guest is then "
              "not spoken to before it answers in another boot. Setting it to True has no effect.",
              setter="bool"),
    Attribute("booted", "bool", "Whether the machine is on. Setting it has no effect.", setter="bool"),
    Attribute("tmp_dir", "Path",
              "A directory of the host for the script's own files, below out_dir. It is created when it is first "
              "asked for."),
    Attribute("shared_dir", "Path",
              "Such a directory for all machines. No guest sees it: use copy_from_host()."),
    Attribute("state_dir", "Path", "Such a directory for this machine."),
    Attribute("pid", "int | None", "The process ID of the machine's QEMU. None while the machine is off."),
    Attribute("qmp_client", "QMPSession | None",
              "Has send(cmd, args={}), which is qmp() except that a refusal is a QMPAPIError of "
              "test_driver.machine.qmp. None while the machine is off."),
    Attribute("logger", "Log", "The test's log."),
    Attribute("full_console_log", "list[str]", "The lines of get_console_log()."),
    # of the NixOS test driver
    Attribute("process", "", "", refused="the process of QEMU is slotproof's own: use pid, crash(), is_up()"),
    Attribute("start_command", "", "", refused="no command " + NO_START_COMMAND),
    Attribute("script", "", "", refused="no script " + NO_START_COMMAND),
    Attribute("monitor", "", "",
              refused="the monitor's socket is slotproof's own: use send_monitor_command()"),
    Attribute("monitor_path", "", "",
              refused="the monitor has no socket with a path: use send_monitor_command()"),
    Attribute("qmp_path", "", "", refused="QMP has no socket with a path: use qmp()"),
    Attribute("shell", "", "", refused=NO_SHELL_SOCKET),
    Attribute("shell_path", "", "", refused=NO_SHELL_SOCKET),
    Attribute("serial_thread", "", "", refused="no thread reads the console: use get_console_log()"),
    Attribute("last_lines", "", "", refused="the console's lines are in no queue: use wait_for_console_text()"),
]

POWER = Section("Power", [
    Call("start", [flag("allow_reboot", False)], "None",
         "Switch the machine on. Does nothing if it is already on. The guest may reboot with allow_reboot; "
         "otherwise a reset ends the machine.",
         c="sp_machine_start(allow_reboot != 0)", step=("boot", "start")),
    Call("connect", [timeout()], "None",
         "Start the machine if it is off, and wait until the guest takes commands. If connected was set to False, "
         "wait until it does so in another boot than before.",
         c="sp_machine_connect(timeout_ms)", step=("boot", "connect")),
    Call("wait_for_boot", [timeout()], "None",
         "Wait until the guest takes commands in another boot than that of the last call, whatever started it: "
         "reboot -f, kexec, a watchdog or an updater.",
         c="sp_machine_wait_for_boot(timeout_ms)", step=("boot", "wait for another boot")),
    Call("shutdown", [timeout()], "None",
         "Ask the guest to power off cleanly, and wait until the machine is off.",
         c="sp_machine_shutdown(timeout_ms)", step=("boot", "shutdown")),
    Call("crash", [], "None",
         "Cut the power. What the guest has not written to its disk is lost.",
         c="sp_machine_crash()", step=("boot", "crash")),
    Call("reboot", [timeout()], "None",
         "Ask the guest to reboot, and wait until it has left its old boot.",
         c="sp_machine_reboot(timeout_ms)", step=("boot", "reboot")),
    Call("switch_root", [timeout()], "None",
         "Leave the initramfs, in which the agent must run as well, for the real root: wait for initrd.target, "
         "switch, and wait for the agent there.",
         c="sp_machine_switch_root(timeout_ms)", step=("boot", "switch root")),
    Call("wait_for_shutdown", [timeout(None)], "None",
         "Wait until the machine has switched itself off.",
         c="sp_machine_wait_for_shutdown(timeout_ms)", step=("boot", "wait for the shutdown")),
    Call("is_up", [], "bool", "Whether the machine is on.", claims=False),
])

COMMANDS = Section("Commands", [
    Call("succeed", [arguments("commands", "str"), timeout(None)], "str",
         "Run each command with the shell. Raises RequestedAssertionFailed if one fails, that is, ends with "
         "another status than 0. Returns what they wrote to stdout."),
    Call("fail", [arguments("commands", "str"), timeout(None)], "str",
         "Run each command with the shell. Raises RequestedAssertionFailed if one succeeds. Returns what they "
         "wrote to stdout."),
    Call("execute", [text("command"), flag("check_return", True), flag("check_output", True), timeout()],
         STATUS_AND_OUTPUT,
         "Run a command, and return its status and stdout. Without check_return the status is -1, and the command "
         "may switch the machine off. Without check_output the command is only started, and the status is -2.",
         step=("command", "execute: %s", "command"), failure="could not be run"),
    Call("wait_until_succeeds", [text("command"), timeout(), timeout(None, "attempt_timeout")], "str",
         "Run a command again and again until it succeeds. A run that takes longer than attempt_timeout is killed, "
         "and counts as a failure. Returns the stdout of the last run.",
         step=("wait", "wait until it succeeds: %s", "command"), failure="it did not"),
    Call("wait_until_fails", [text("command"), timeout(), timeout(None, "attempt_timeout")], "str",
         "Run a command again and again until it fails. A run that takes longer than attempt_timeout is killed, "
         "and counts as a failure. Returns the stdout of the last run.",
         step=("wait", "wait until it fails: %s", "command"), failure="it did not"),
    Call("sleep", [duration("duration", also="secs")], "None",
         "Let this much of the guest's time pass. The argument may also be named secs."),
])

USER = text("user", None)
UNITS = Section("Units", [
    Call("wait_for_unit", [text("unit"), USER, timeout()], "None",
         "Wait until the unit is active. Raises RequestedAssertionFailed at once if it failed, or if it is "
         "inactive and no pending job would start it.",
         step=("wait", "wait for unit %s%s%s", "unit", 'user ? " of user " : ""', 'user ? user : ""'), waits=True),
    Call("wait_for_unit_active_state", [text("unit"), text("active_state"), USER, timeout()], "None",
         "Wait until the unit's ActiveState is this one, such as 'activating'. A state that the unit passes "
         "through quickly may be missed.",
         step=("wait", "wait for unit %s to be %s", "unit", "active_state")),
    Call("require_unit_state", [text("unit"), text("require_state", "active")], "None",
         "Raise RequestedAssertionFailed unless the unit is in this state now.",
         step=("command", "unit %s must be %s", "unit", "require_state")),
    Call("start_job", [text("jobname"), USER], STATUS_AND_OUTPUT,
         "Have systemd start a unit. Returns systemctl's status, which is not checked, and its stdout.",
         step=("command", "start unit %s", "jobname"), failure="could not be run"),
    Call("stop_job", [text("jobname"), USER], STATUS_AND_OUTPUT,
         "Have systemd stop a unit. Returns systemctl's status, which is not checked, and its stdout.",
         step=("command", "stop unit %s", "jobname"), failure="could not be run"),
    Call("systemctl", [text("q"), USER], STATUS_AND_OUTPUT,
         "Run systemctl with the arguments q, for the user's manager if a user is given. Returns its status and "
         "stdout."),
    Call("get_unit_info", [text("unit"), USER], "dict[str, str]",
         "All properties of a unit."),
    Call("get_unit_property", [text("unit"), text("property"), USER], "str",
         "One property of a unit."),
])

WAITING = Section("Waiting", [
    Call("wait_for_file", [path("filename"), timeout()], "None",
         "Wait until the guest's file exists. '*', '?', '[', '{', '$' and a leading '~' mean what they mean to "
         "bash. It is enough if one file matches.",
         step=("wait", "wait for file %s", "filename"), waits=True),
    Call("wait_for_open_port", [port("port"), text("addr", "localhost"), timeout()], "None",
         """
         Wait until a TCP port accepts connections in the guest. addr is an address without brackets, or a name
         of the guest's /etc/hosts.

         If the address is the guest's own, it is enough that a socket listens on it. No connection is made, so
         that a socket unit starts nothing, and a packet filter that drops connections goes unnoticed. Other
         addresses, and ports that nobody listens on, are connected to.
         """,
         c="sp_machine_wait_for_port(addr, (guint)port, true, timeout_ms)",
         step=("wait", "wait for TCP port %d of %s to be open", "port", "addr"), waits=True),
    Call("wait_for_closed_port", [port("port"), text("addr", "localhost"), timeout()], "None",
         "Wait until no socket of the guest listens on the address, and no TCP connection from the guest to it "
         "succeeds.",
         c="sp_machine_wait_for_port(addr, (guint)port, false, timeout_ms)",
         step=("wait", "wait for TCP port %d of %s to be closed", "port", "addr"), waits=True),
    Call("wait_for_open_unix_socket", [path("addr"), flag("is_datagram", False), timeout()], "None",
         "Wait until a connection to the guest's socket addr, a path, succeeds.",
         c="sp_machine_wait_for_unix_socket(addr, is_datagram != 0, timeout_ms)",
         step=("wait", "wait for %s socket %s to be open", 'is_datagram ? "datagram" : "stream"', "addr"),
         waits=True),
    Call("wait_for_console_text", [text("regex"), timeout(None)], "None",
         """
         Wait until a line of the console matches that was not read before.

         A match is read together with everything in front of it, and the next wait begins right behind it, in
         the same line if that goes on. Nothing else is read: what the console prints between two waits is still
         there for the second, and a wait that fails leaves everything unread. To wait for several texts, wait
         for them in the order in which they are printed; 'a|b' is either of two.

         The last line counts before it has ended, so that a prompt can be waited for. A carriage return ends a
         line as well: '^30%' matches in '10%\\r20%\\r30%'. Each start and each reset of the machine begins a new
         console. The last 4096 lines are kept.
         """,
         c="sp_machine_wait_for_console_text(regex, timeout_ms)",
         step=("wait", "wait for '%s' on the console", "regex"), waits=True),
    Call("get_console_log", [], "str",
         "What the console has printed since the machine's last start, or its last lines if that is very long."),
])

SOURCE_AND_TARGET = [path("source"), path("target")]
FILES = Section("Files", [
    Call("copy_from_host", SOURCE_AND_TARGET, "None",
         "Copy the host's file or directory source to the guest's target.",
         c="sp_machine_copy_from_host(source, target)",
         step=("copy", "copy the host's %s to %s", "source", "target")),
    Call("copy_from_host_via_shell", SOURCE_AND_TARGET, "None",
         "The same as copy_from_host(), but '$' and a leading '~' mean in target what they mean to a shell."),
    Call("copy_from_machine", [path("source"), path("target_dir", "")], "None",
         "Copy the guest's file or directory source into target_dir, which is below out_dir if it is not absolute.",
         c='sp_machine_copy_from_machine(source, target_dir ? target_dir : "")',
         step=("copy", "copy %s out", "source")),
    Call("copy_from_vm", [path("source"), path("target_dir", "")], "None",
         "The same as copy_from_machine().",
         c='sp_machine_copy_from_machine(source, target_dir ? target_dir : "")',
         step=("copy", "copy %s out", "source")),
])

NETWORKS = Section("Networks", [
    Call("block", [network("network", None)], "None",
         "Take down the link of the machine's card on this network, or those of all its cards. The guest sees it. "
         "Lasts until unblock() or the machine's end.",
         c="sp_machine_set_links(network, false)",
         step=("network", "block %s", 'network ? network : "all networks"')),
    Call("unblock", [network("network", None)], "None",
         "Bring the link, or all links, up again.",
         c="sp_machine_set_links(network, true)",
         step=("network", "unblock %s", 'network ? network : "all networks"')),
    Call("set_link", [network("network"), real("loss", 0.0), duration("delay", 0.0, limit=3600)], "None",
         "Lose this fraction of the Ethernet frames between the network and the machine, in both directions, and "
         "delay those to the machine by this many seconds. Lasts until it is set again, even while the machine is "
         "off.",
         step=("network", "network %s: loss %.3f, delay %.3f s", "network", "loss", "delay")),
    Call("forward_port", [port("host_port", 8080, lowest=0), port("guest_port", 80)], "int",
         """
         Forward connections to host_port of the host's 127.0.0.1 to guest_port of the guest's localhost, whenever
         the machine is on and takes commands. Returns the host's port: one that is free if host_port is 0.

         Data is only forwarded while a call of slotproof waits, such as succeed(), sleep() or retry(): have
         another process connect, and wait for it with such a call.
         """,
         c="sp_machine_forward_port((guint)host_port, (guint)guest_port)", out="guint",
         step=("network", "forward port %d to %d", "host_port", "guest_port")),
])

KEY_DELAY = duration("delay", 0.01, limit=3600, may_be_none=True)
TTY = terminal("tty")
SCREEN = Section("Screen, keyboard, terminals", [
    Call("screenshot", [path("filename")], "None",
         "Write the screen to a PNG file. A name without '/' is a file in out_dir, and '.png' is added to a name "
         "without an extension."),
    Call("get_screen_text", [], "str",
         "The text on the screen, as read by tesseract: it contains errors.",
         step=("screen", "read the screen")),
    Call("get_screen_text_variants", [], "list[str]",
         "The text on the screen, read in several ways, the most likely one first.",
         step=("screen", "read the screen")),
    Call("wait_for_text", [text("regex"), timeout()], "None",
         "Wait until text on the screen matches in one of the ways to read it.",
         c="sp_machine_wait_for_text(regex, timeout_ms)",
         step=("wait", "wait for '%s' on the screen", "regex")),
    Call("send_key", [text("key"), KEY_DELAY, flag("log", True)], "None",
         "Press a key on the machine's keyboard: a character, or QEMU's key names joined by '-', such as "
         "'ctrl-alt-delete'."),
    Call("send_chars", [text("chars"), KEY_DELAY], "None",
         "Type on the machine's keyboard, which has the US layout. '\\n' is its return key."),
    Call("send_console", [data("chars", "str")], "None",
         "Send characters to the serial console, as if they were typed there."),
    Call("get_tty_text", [TTY], "str",
         "The text on the guest's virtual terminal of this number."),
    Call("wait_until_tty_matches", [TTY, text("regexp"), timeout()], "None",
         "Wait until the text on the terminal matches.",
         step=("wait", "wait for '%s' on terminal %u", "regexp", "tty"), failure="it did not come"),
    Call("dump_tty_contents", [TTY], "None",
         "Write the text on the terminal to the test's log."),
    Call("shell_interact", [obj("address", "None", None)], "None",
         "Give the user a shell in the guest on this terminal, until it ends or is left with Ctrl-].",
         step=("shell", "a shell for the user")),
    Call("console_interact", [], "None",
         "Give the user the serial console on this terminal, until it is left with Ctrl-].",
         step=("shell", "the console for the user")),
    Call("wait_for_x", [timeout()], "None",
         "Not offered: use wait_for_unit() and wait_for_text().", refused=NO_WINDOWS),
    Call("wait_for_window", [text("regexp"), timeout()], "None",
         "Not offered: use wait_for_text().", refused=NO_WINDOWS),
    Call("get_window_names", [], "list[str]",
         "Not offered: use get_screen_text().", refused=NO_WINDOWS),
])

SNAPSHOT = [text("name"), flag("memory", True)]
QEMU = Section("QEMU", [
    Call("qmp", [text("command"), keywords("arguments", "Any")], "Any",
         "Have QEMU execute a command of its Machine Protocol, and return the answer. An argument whose name has a "
         "hyphen is given as **{'node-name': ...}."),
    Call("send_monitor_command", [text("command")], "str",
         "Have QEMU execute a command of its human monitor, and return the answer.",
         step=("qmp", "monitor command %s", "command")),
    Call("wait_for_qmp_event", [obj("event_filter", "str | Callable[[dict[str, Any]], object]"), timeout()],
         "dict[str, Any]",
         """
         Take the first of QEMU's events with this name that was sent since the machine's start and was not taken
         yet. Waits if there is none. Returns the event's data.

         Instead of the name, a function may be given that is called with each event and says whether it is the
         one. The whole event is then returned, and those before it are dropped.
         """),
    Call("save_snapshot", SNAPSHOT, "None",
         "Save the memory, devices and disk of the running machine under a name, until the test ends. Without "
         "memory, save only the disk as it is at this instant.",
         step=("snapshot", "save snapshot '%s'%s", "name", 'memory ? "" : " of the disk"')),
    Call("load_snapshot", SNAPSHOT, "None",
         "Go back to a snapshot. The guest does not know of the time since. Without memory the machine must be "
         "off and stays off, and has the disk of that instant, as if power had failed then.",
         step=("snapshot", "load snapshot '%s'%s", "name", 'memory ? "" : " of the disk"')),
    Call("read_disk", [count("offset"), count("size")], "bytes",
         "Bytes of the running machine's disk as they are now. What is only in the guest's caches is not there."),
    Call("disk_written", [], "int",
         "How many bytes the guest has written to its disk since the machine's start.",
         c="sp_machine_disk_written()", out="guint64"),
    Call("wait_for_disk_written", [count("bytes"), timeout()], "None",
         "Wait until the guest has written at least this many bytes to its disk since the machine's start.",
         c="sp_machine_wait_for_disk_written((guint64)bytes, timeout_ms)",
         step=("wait", "wait until %lld bytes are written to the disk", "bytes")),
    Call("record_disk", [path("folder", "recording")], "Path",
         """
         Record what the running machine writes to its disk from now on, in this new directory below out_dir,
         whose path is returned. disk.raw is the disk as it is now, writes.log has everything since, and
         marks.json what was marked. 'slotproof powercut' reads them.

         The recording ends with stop_recording(), a power cut or a shutdown. It goes on across resets.
         """,
         step=("qmp", "record its disk in '%s'", 'folder ? folder : "recording"')),
    Call("mark_recording", [text("name")], "int",
         "Note in the recording what has just happened. Returns the number of entries recorded so far.",
         c="sp_machine_mark_recording(name)", out="guint64"),
    Call("stop_recording", [], "None",
         "End the recording. It has everything that the machine has written until now, flushed or not.",
         c="sp_machine_stop_recording()", step=("qmp", "stop recording its disk")),
])

MACHINE_LOG = Section("The log", [
    Call("log", [printable("msg", "object")], "None",
         "Write msg to the test's log, with the machine's name.", claims=False),
    Call("nested", [printable("msg"), ignored("attrs", "Mapping[str, str]", {})], "Step",
         "A context manager, or a decorator: what happens in it is logged below msg, as a step that is timed.",
         claims=False),
])

NETWORK_CALLS = [
    Call("create_endpoint", [text("name"), obj("addresses", "Iterable[str]", ()), text("mac", None)],
         "Endpoint",
         "Attach a station of the driver's own to this network. addresses are such as '172.20.30.9/24' or "
         "'fd00::9/64'; it has a link-local address in any case."),
    Call("get_frames", [text("filter", "")], "list[bytes]",
         "The Ethernet frames that this network has carried so far and that match filter, which is as in "
         "pcap-filter(7). Needs Capture=yes in test.conf."),
]

ENDPOINT_CALLS = [
    Call("resolve", [ip("address"), timeout(10)], "str",
         "Ask by ARP or neighbour discovery which MAC address has this IP address."),
    Call("ping", [ip("address"), timeout(10)], "float",
         "Send an echo request, and wait for the answer. Returns the seconds that it took."),
    Call("probe", [ip("address"), text("protocol", "tcp"), obj("ports", "Iterable[int] | None", None), timeout(300)],
         "Any",
         """
         Try ports, all from 1 to 65535 if ports is None. Returns a namespace of lists: open (there was an
         answer), closed (a reset, or an ICMP error that says that the port is unreachable), rejected (another
         ICMP error) and silent (the packet was dropped, which is known from what the target answered after it,
         not from a lack of patience).

         A UDP service that does not answer what it does not understand is silent.
         """),
    Call("send", [text("protocol"), ip("to"), port("to_port", 0, lowest=0), port("from_port", 0, lowest=0),
                  data("payload", default=b""), ip("source", UNSET), mac("mac", UNSET),
                  duration("every", 0, limit=3600)], "None",
         "Send a packet: 'udp', 'tcp' (a SYN) or 'icmp' (an echo request). source may be forged. mac is the next "
         "hop's address, by default that of to. With every, send it again at this interval in seconds, whatever the "
         "script does meanwhile, until stop()."),
    Call("stop", [], "None", "Stop what send(every=...) has begun."),
    Call("send_frame", [obj("frame", "bytes")], "None", "Send an Ethernet frame, exactly these bytes."),
    Call("receive_frame", [timeout(10)], "bytes",
         "The next Ethernet frame that came in. Waits if there is none."),
]

MESSAGE = [printable("message", "object"), ATTRIBUTES]
WRITE = "Write a message to the test's log."
LOG_CALLS = [
    Call("__call__", MESSAGE, "None", WRITE, c="sp_py_log_message"),
    Call("log", MESSAGE, "None", WRITE, c="sp_py_log_message"),
    Call("debug", MESSAGE, "None", WRITE, c="sp_py_log_message"),
    Call("info", MESSAGE, "None", WRITE, c="sp_py_log_message"),
    Call("warning", MESSAGE, "None", WRITE, c="sp_py_log_message"),
    Call("error", MESSAGE, "NoReturn",
         "Write a message to the test's log, and end the test, which has failed, with a SystemExit."),
    Call("nested", [printable("message"), ATTRIBUTES], "Step",
         "A context manager, or a decorator: what happens in it is logged below the message, as a step that is "
         "timed."),
    Call("subtest", [printable("name"), ATTRIBUTES], "Step", "The function subtest()."),
]

CONDITION_CALLS = [
    Call("check", [flag("force", False)], "bool",
         "Whether the condition holds. Without force, it is not checked again before its interval is over."),
    Call("wait", [timeout()], "None", "Wait until the condition holds."),
    Call("__enter__", [], "None", ""),
    Call("__exit__", [arguments("exception", "object")], "bool", ""),
]

FUNCTIONS = [
    Call("start_all", [], "None", "Switch all machines on.", step=("boot", "start all machines")),
    Call("join_all", [], "None", "Wait until all machines have switched themselves off.",
         step=("boot", "wait for the end of all machines")),
    Call("create_machine",
         [text("name"), by_keyword(path("image", None)), by_keyword(obj("networks", "Iterable[int]", ())),
          by_keyword(obj("memory", "int | None", None)), by_keyword(obj("cpus", "int | None", None)),
          by_keyword(path("disk", None)), by_keyword(flag("keep_machine_state", False))],
         "Machine",
         "Create another machine, which is off. image is the name of an image or the path of its directory, relative "
         "to the test's; by default it is that of the first machine. networks are numbers as in test.conf, memory "
         "is in MiB, and disk is a raw file to use instead of the image's, which is never written to. No state is "
         "kept beyond the test, and there is no start_command.",
         check="sp_py_check_create(positional, by_name)"),
    Call("retry", [obj("fn", "Callable[[bool], object]"), timeout(also="timeout_seconds")], "None",
         "Call fn(last_try) again and again until it returns something true. last_try is True in its last call. "
         "timeout may also be named timeout_seconds."),
    Call("subtest", [printable("name"), ATTRIBUTES], "Step",
         "A context manager, or a decorator: a part of the test that is counted separately."),
    Call("polling_condition",
         [obj("fun_", "Callable[[], object] | None", None),
          duration("seconds_interval", 2.0, limit=86400, also="interval"), obj("description", "str | None", None)],
         "PollingCondition",
         "Decorate a function that fails, or returns something false, if a condition does not hold. Inside 'with' "
         "the condition, it must hold all the time: it is checked before each command and during waits. Its methods "
         "are check() and wait(). seconds_interval may also be named interval.",
         stub="""
         @overload
         def polling_condition(
             fun_: Callable[[], object],
             seconds_interval: Duration = 2.0,
             description: str | None = None,
             *,
             interval: Duration = ...,
         ) -> PollingCondition: ...
         @overload
         def polling_condition(
             fun_: None = None,
             seconds_interval: Duration = 2.0,
             description: str | None = None,
             *,
             interval: Duration = ...,
         ) -> Callable[[Callable[[], object]], PollingCondition]: ...
         """),
    Call("serial_stdout_on", [], "None", "Show what comes on the consoles wherever the log is shown."),
    Call("serial_stdout_off", [], "None", "Write what comes on the consoles to the log files only."),
    Call("breakpoint", [], "None",
         "Give the user a prompt at this line of the script, if there is a terminal. Scripts call it as "
         "debug.breakpoint()."),
    Call("test_script", [], "None", "At a prompt: run the test's script as it is now, with the prompt's names."),
    Call("run_tests", [], "None", "The same as test_script().", c="sp_py_script_test_script"),
]

CLASSES = [
    Class("Machine",
          "A virtual machine of the test. Methods that talk to the guest start the machine and wait for the guest "
          "if needed.",
          "machine", "SpPyMachine *self", MACHINE_ATTRIBUTES,
          [POWER, COMMANDS, UNITS, WAITING, FILES, NETWORKS, SCREEN, QEMU, MACHINE_LOG],
          "sp_machine_time_factor(self->machine)", is_machine=True),
    Class("QMPSession", "What the NixOS test driver has as a machine's qmp_client.",
          "qmp_session", "SpPyMachine *self", [],
          [Section("", [
              Call("send", [text("cmd"), obj("args", "dict[str, Any]", {}, "O!")], "Any",
                   "Have QEMU execute a command, as Machine.qmp() does. Raises QMPAPIError if QEMU refuses."),
          ])], is_machine=True),
    Class("Network", "An Ethernet segment of the test: networks[1], by test.conf's number.",
          "network", "SpPyNetwork *self",
          [Attribute("number", "int", "The network's number, as in test.conf's Networks=."),
           Attribute("nr", "int", "The same as number.")],
          [Section("", NETWORK_CALLS)]),
    Class("Endpoint",
          "A station of the driver's own on a network. It answers ARP, neighbour discovery and echo requests, and "
          "sends what it is told to.",
          "endpoint", "SpPyEndpoint *self",
          [Attribute("mac", "str", "The endpoint's MAC address."),
           Attribute("link_local", "str", "The endpoint's link-local IPv6 address.")],
          [Section("", ENDPOINT_CALLS)]),
    Class("Log", "The test's log. It has levels only in name.", "log", "PyObject *self", [],
          [Section("", LOG_CALLS)]),
    Class("PollingCondition", "A condition that must hold all the time inside 'with' it.",
          "condition", "SpPyCondition *self", [], [Section("", CONDITION_CALLS)],
          "sp_py_time_factor(sp_py_state((PyObject *)self))"),
    Class("", "", "script", "SpPyState *state", [], [Section("", FUNCTIONS)],
          "sp_py_time_factor(state)"),
]

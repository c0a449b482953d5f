# One of three machines on a network is killed, as by the host's OOM killer, while another sends to it
# and to the third at full speed: the two that are left go on, and the third can be started again.
import os
import signal

# To the time server, which passes them over; dd ends where an address does not answer any more.
FLOOD = "systemd-run --unit=flood-%s bash -c 'while :; do dd if=/dev/zero bs=1400; done >/dev/udp/%s/123'"


def qemu_of(machine):
    """QEMU's process, one of this one's children."""
    for pid in open("/proc/self/task/%d/children" % os.getpid()).read().split():
        with open(f"/proc/{pid}/cmdline") as file:
            if f"\0{machine.name},process=" in file.read():
                return int(pid)


def expect_flow(machine, card):
    """More comes in from now on than the driver may have in its queue."""
    path = f"/sys/class/net/{card}/statistics/rx_bytes"
    wanted = int(machine.succeed(f"cat {path}")) + 20000000
    machine.wait_until_succeeds(f"test $(cat {path}) -gt {wanted}", timeout=60)


def lease(machine):
    machine.succeed("systemctl start systemd-networkd")
    machine.wait_until_succeeds("ip -4 -o address show dev wan | grep -w 172.20.30")


victim = create_machine("victim", image="peer", networks=[2])
victim.start()
victim.wait_for_unit("basic.target")
for machine in [client, victim]:
    lease(machine)
address = victim.succeed("ip -4 -o address show dev wan | sed 's,.* inet \\([0-9.]*\\)/.*,\\1,'").strip()

boots = [machine.boot_id for machine in (gateway, client)]

with subtest("two are sent to at full speed"):
    client.succeed(FLOOD % ("gateway", "172.20.30.1"), FLOOD % ("victim", address))
    expect_flow(gateway, "lan")
    expect_flow(victim, "wan")

with subtest("one is killed, and the others go on"):
    os.kill(qemu_of(victim), signal.SIGKILL)
    retry(lambda last: not victim.is_up(), 10)
    expect_flow(gateway, "lan")
    client.succeed("systemctl is-active flood-gateway")
    gateway.succeed("systemctl is-active chrony")
    # and by no new boot
    t.assertEqual(boots, [machine.boot_id for machine in (gateway, client)])

with subtest("it can be started again, and is sent to again"):
    client.succeed("systemctl stop flood-gateway")
    victim.start()
    victim.wait_for_unit("basic.target")
    lease(victim)
    expect_flow(victim, "wan")

# One of three machines on a network is killed, as the host's OOM killer would, while another sends to it and
# to the third at full speed: the other two continue, and the killed one can be started again.
import os
import signal

from gateway_network import get_lease

# Sent to the time server, which ignores them; dd ends when an address does not answer any more.
FLOOD = "systemd-run --unit=flood-%s bash -c 'while :; do dd if=/dev/zero bs=1400; done >/dev/udp/%s/123'"


def qemu_of(machine):
    """The process of the machine's QEMU, a child of this process."""
    for pid in open("/proc/self/task/%d/children" % os.getpid()).read().split():
        with open(f"/proc/{pid}/cmdline") as file:
            if f"\0{machine.name},process=" in file.read():
                return int(pid)


def expect_flow(machine, card):
    """From now on the card receives more than the driver can have in its queue."""
    path = f"/sys/class/net/{card}/statistics/rx_bytes"
    wanted = int(machine.succeed(f"cat {path}")) + 20000000
    machine.wait_until_succeeds(f"test $(cat {path}) -gt {wanted}", timeout=60)


victim = create_machine("victim", image="peer", networks=[2])
victim.start()
victim.wait_for_unit("basic.target")
get_lease(client)
address = get_lease(victim)

boots = [machine.boot_id for machine in (gateway, client)]

with subtest("two machines receive at full speed"):
    client.succeed(FLOOD % ("gateway", "172.20.30.1"), FLOOD % ("victim", address))
    expect_flow(gateway, "lan")
    expect_flow(victim, "wan")

with subtest("one is killed, and the others continue"):
    os.kill(qemu_of(victim), signal.SIGKILL)
    retry(lambda last: not victim.is_up(), 10)
    expect_flow(gateway, "lan")
    client.succeed("systemctl is-active flood-gateway")
    gateway.succeed("systemctl is-active chrony")
    # without having rebooted
    t.assertEqual(boots, [machine.boot_id for machine in (gateway, client)])

with subtest("it can be started again, and receives again"):
    client.succeed("systemctl stop flood-gateway")
    victim.start()
    victim.wait_for_unit("basic.target")
    get_lease(victim)
    expect_flow(victim, "wan")

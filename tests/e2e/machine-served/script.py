# Machines, networks, ports and consoles are served while the script does something else.
import os
import socket
import subprocess
import threading
import time

from driver_calls import start_echo

PORT = 7004


def compute_until(condition):
    """Pure Python, without any call into slotproof."""
    end = time.monotonic() + 200
    while not condition():
        t.assertLess(time.monotonic(), end, "nothing happened")
        sum(range(10000))


start_all()
for machine, address in ((m, "10.9.0.1"), (n, "10.9.0.2")):
    machine.wait_for_unit("basic.target")
    # the peer has the gateway's root file system, with its rules
    machine.succeed(f"nft flush ruleset; ip link set wan up; ip address add {address}/24 dev wan")
start_echo(m, PORT)

with subtest("a forwarded port is served"):
    port = m.forward_port(0, PORT)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"hello\n")
        t.assertEqual(b"hello\n", connection.recv(100))
    shell = f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo there >&3; head -1 <&3"
    result = subprocess.run(["bash", "-c", shell], stdout=subprocess.PIPE, timeout=60)
    t.assertEqual((0, b"there\n"), (result.returncode, result.stdout))

with subtest("a network between two machines is served"):
    # the guest reports on its console, which is a file on the host, that it is done
    console = os.path.join(str(n.out_dir), "n.console")
    n.execute(
        f"for i in 1 2 3 4 5; do exec 3<>/dev/tcp/10.9.0.1/{PORT}; echo $i >&3; head -1 <&3; exec 3<&-; done "
        ">/run/answers; echo all-answered >/dev/console",
        check_output=False,
    )
    compute_until(lambda: "all-answered" in open(console, errors="replace").read())
    t.assertEqual("1\n2\n3\n4\n5\n", n.succeed("cat /run/answers"))

with subtest("a console that is flooded is served"):
    console = os.path.join(str(m.out_dir), "m.console")
    m.execute(
        "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i of a flood of a hundred characters or so, "
        "more than a console holds; done >/dev/console; touch /run/written",
        check_output=False,
    )
    compute_until(lambda: "line 1000 of" in open(console, errors="replace").read())
    m.wait_for_file("/run/written")

with subtest("the script's threads each have their machine"):
    answers = {}

    def work(machine):
        answers[machine.name] = machine.succeed(f"sleep 1; echo {machine.name}")

    threads = [threading.Thread(target=work, args=(machine,)) for machine in (m, n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.assertEqual({"m": "m\n", "n": "n\n"}, answers)

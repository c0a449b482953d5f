# Shared by the tests of the driver's own calls: an expected exception, and an echo server in the guest.
import subprocess
import time

from slotproof import RequestedAssertionFailed


def failure(call, *args, kind=RequestedAssertionFailed, **kwargs):
    """The call must raise an exception; returns its message and the time that the call took."""
    begin = time.monotonic()
    try:
        call(*args, **kwargs)
    except kind as error:
        return str(error), time.monotonic() - begin
    raise AssertionError(f"{call} raised no {kind.__name__}")


def start_echo(machine, address="127.0.0.1:7007"):
    """Start an echo server in the guest, at an address or a port as in systemd's ListenStream=."""
    machine.succeed(
        f"printf '[Socket]\\nListenStream={address}\\nAccept=yes\\n' >/run/systemd/system/echo.socket",
        r"printf '[Service]\nStandardInput=socket\nExecStart=cat\n' >/run/systemd/system/echo@.service",
        "systemctl daemon-reload",
        "systemctl start echo.socket",
    )


# Sends as many bytes as the second argument says to the port of the first, and expects them back.
TALK = """
import socket, sys, threading
said = bytes(range(251)) * (int(sys.argv[2]) // 251)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
    def talk():
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
    threading.Thread(target=talk).start()
    heard = b"".join(iter(lambda: peer.recv(65536), b""))
sys.exit("%d bytes of %d came back" % (len(heard), len(said)) if heard != said else 0)
"""


def talk(port, *sizes):
    """Talks to the guest's echo server through this port of the host, with all sizes at the same time.
    Returns the error messages, "" if there are none."""
    clients = [
        subprocess.Popen(["python3", "-c", TALK, str(port), str(size)], stderr=subprocess.PIPE, text=True)
        for size in sizes
    ]
    return "".join(client.communicate(timeout=120)[1] for client in clients)

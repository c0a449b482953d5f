# Records what a machine writes to its disk: QEMU's blklogwrites is put below the disk, and gets all
# writes and flushes from then on ('slotproof powercut --help' tells what reads it).
import os

CHUNK = 32 * 1024 * 1024


class Recording:
    """The disk as it is now in the file 'image', and what is written to it from now on in 'log'."""

    def __init__(self, machine):
        self.machine = machine
        self.image = os.path.join(machine.out_dir, "disk.raw")
        self.log = os.path.join(machine.out_dir, "writes.log")
        # what was written before is on the disk for good
        size = int(machine.succeed("sync; blockdev --getsize64 /dev/flash"))
        machine.qmp("stop")
        self.keep_disk(size)
        with open(self.log, "wb"):
            pass
        machine.qmp(
            "blockdev-add",
            driver="blklogwrites",
            file="overlay0",
            log={"driver": "file", "filename": self.log},
            # all that is written is counted at once: else the last writes are not, for want of a flush
            **{"node-name": "record0", "log-super-update-interval": 1},
        )
        self.put_below_disk("record0")
        machine.qmp("cont")

    def put_below_disk(self, node):
        disk = {"driver": "raw", "node-name": "disk0", "discard": "unmap", "file": node}
        self.machine.qmp("blockdev-reopen", options=[disk])

    def keep_disk(self, size):
        with open(self.image, "wb") as file:
            file.truncate(size)
            for offset in range(0, size, CHUNK):
                data = self.machine.read_disk(offset, min(CHUNK, size - offset))
                if data.count(0) != len(data):
                    file.seek(offset)
                    file.write(data)

    def entries(self):
        """How many requests were recorded so far."""
        with open(self.log, "rb") as file:
            return int.from_bytes(file.read(24)[16:24], "little")

    def stop(self):
        self.machine.succeed("sync")
        self.machine.qmp("stop")
        self.put_below_disk("overlay0")
        self.machine.qmp("blockdev-del", **{"node-name": "record0"})
        self.machine.qmp("cont")

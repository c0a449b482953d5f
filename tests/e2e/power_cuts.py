"""The crash states of a recording (record_disk), by the program 'slotproof powercut'."""

import json
import os
import subprocess

# This script runs in the program itself.
SLOTPROOF = os.readlink("/proc/self/exe")


class Recording:
    def __init__(self, folder, seed=0):
        self.folder = folder
        self.seed = seed

    def words(self, *arguments):
        """The command, without the program."""
        disk, log = os.path.join(self.folder, "disk.raw"), os.path.join(self.folder, "writes.log")
        return ["powercut", "--image", disk, "--log", log, "--seed", str(self.seed), *arguments]

    def run(self, *arguments):
        """Exit status and output."""
        result = subprocess.run(
            [SLOTPROOF, *self.words(*arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return result.returncode, result.stdout

    def check(self, policy, *, report, content=(), **options):
        """Check all states by an image's powercut.conf. The findings (src/powercut/findings.h), which are
        also in the file 'report', with what was printed as 'text'."""
        words = ["--policy", policy, "--report", report]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        for word in content:
            words += ["--content", word]
        status, text = self.run(*words)
        if status not in (0, 1, 3):
            raise RuntimeError(f"slotproof powercut ended with status {status}: {text}")
        with open(report) as file:
            return {**json.load(file), "text": text}

    def write_state(self, name, disk):
        status, text = self.run("--state", name, "--write", disk)
        if status != 0:
            raise RuntimeError(f"state {name}: {text}")

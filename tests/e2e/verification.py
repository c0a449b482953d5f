# Shared by the tests of os-verification: the check of a release, run by hand and at boot.
import json

from appliance import Appliance

# additional units that the device requires
LIST = "/data/config/health-required.json"


class Verification(Appliance):
    """A device whose releases have to be confirmed."""

    def entries(self):
        """The journal of os-verification in this boot: (seconds since boot, text) each."""
        lines = self.journal("-t os-verification -o json").splitlines()
        entries = [json.loads(line) for line in lines]
        return [(int(e["__MONOTONIC_TIMESTAMP"]) / 1e6, e["MESSAGE"]) for e in entries]

    def unconfirm(self):
        self.machine.succeed("rauc status mark-bad booted", "rauc status mark-active booted")
        self.t.assertEqual((3, False), self.slot_state("A"))

    def verify(self, expected_status):
        """Run the check by hand, as its unit does; returns its output."""
        status, output = self.machine.execute("/usr/lib/slotproof/os-verification 2>&1")
        self.t.assertEqual(expected_status, status, output)
        return output

    def check_fault(self, number, reason, fault, mend):
        """The release in slot A is not confirmed with the fault, whether it is there from the start or for
        six seconds only, which is longer than the interval between two checks. The six seconds begin
        8 * number seconds after the start."""
        said = f"slot A stays unconfirmed: {reason}"
        self.machine.succeed(fault)
        self.t.assertIn(said, self.verify(1))
        self.machine.succeed(mend)
        self.machine.succeed(
            f"systemd-run --on-active={8 * number} --timer-property=AccuracySec=1ms "
            f"/bin/sh -c '{fault}; sleep 6; {mend}'"
        )
        second = self.verify(1)
        self.t.assertIn("all is well, watching it", second, "the fault was not mended")
        self.t.assertIn(said, second)
        self.t.assertEqual((3, False), self.slot_state("A"))
        self.machine.succeed("sleep 10")

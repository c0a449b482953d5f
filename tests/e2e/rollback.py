# Shared by the tests rauc-rollback*: what holds when a device has left a bad release by itself.
from appliance import Appliance

NOTE = "slot B: 3 attempts used, falling back to A"
B_THRICE = [("B", f"attempt {n} of 3") for n in (1, 2, 3)]


class Rollback(Appliance):
    """A device in slot A that gets a bad release in slot B."""

    def __init__(self, machine, t):
        super().__init__(machine, t)
        self.table = self.table_digests()
        self.count = len(self.boots())

    def boots_since(self):
        return self.boots()[self.count :]

    def reboot_until_left(self):
        """Reboot into slot B, until it has been tried three times and A runs."""
        self.machine.reboot()
        self.wait_until_boots("A")
        self.t.assertEqual([*B_THRICE, ("A", "good")], self.boots_since())

    def check_fallback(self):
        """Slot A runs, B is bad, and the journal knows why."""
        self.t.assertEqual(("A", "1.0"), self.running())
        self.t.assertEqual({"booted": "A", "primary": "A", "A": "good", "B": "bad"}, self.rauc())
        self.t.assertEqual((0, False), self.slot_state("B"))
        self.t.assertEqual((3, True), self.slot_state("A"))
        self.t.assertEqual("LAST_GOOD=A", self.machine.succeed("head -n 1 /state/last-good").strip())
        self.t.assertIn(NOTE, self.journal("-t slot-selector -o cat"))

    def check_recovery(self):
        """A good release can still be installed; what boots then is what the test rauc-update boots."""
        self.install("release-2.0")
        self.t.assertEqual("B", self.rauc()["primary"])
        self.t.assertEqual(self.updated_basis(self.table), self.boot_basis())

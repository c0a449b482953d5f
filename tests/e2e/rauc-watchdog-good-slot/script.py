# A confirmed slot that hangs later is not left.
from appliance import Appliance

dut = Appliance(gateway, t)

with subtest("a good slot that hangs is reset, and boots again"):
    t.assertEqual((3, True), dut.slot_state("A"))
    count = len(dut.boots())
    dut.hang()
    gateway.wait_for_console_text(r"slot-selector: slot A \(")
    t.assertEqual([("A", "good")], dut.boots()[count:])

gateway.crash()

# A slot that was confirmed once is not left because it hangs later.
from appliance import Appliance

dut = Appliance(gateway)

with subtest("a good slot that hangs is reset too, and stays"):
    t.assertEqual((3, True), dut.slot_state("A"))
    count = len(dut.boots())
    dut.hang()
    gateway.wait_for_console_text(r"slot-selector: slot A \(")
    t.assertEqual([("A", "good")], dut.boots()[count:])

gateway.crash()

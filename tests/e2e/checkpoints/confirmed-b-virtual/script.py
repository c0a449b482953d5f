from appliance import Appliance

dut = Appliance(gateway, t)
dut.install("release-2.0")
dut.reboot()
t.assertEqual(("B", "2.0"), dut.running())
gateway.wait_until_succeeds("! systemctl is-active os-verification")
t.assertEqual((3, True), dut.slot_state("B"))

from appliance import Appliance

dut = Appliance(gateway)
dut.reboot()
t.assertEqual(("B", "2.0"), dut.running())

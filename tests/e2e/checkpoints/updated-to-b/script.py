from appliance import Appliance

dut = Appliance(gateway, t)
dut.reboot()
t.assertEqual(("B", "2.0"), dut.running())

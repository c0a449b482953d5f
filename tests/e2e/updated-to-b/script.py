from appliance import Appliance

dut = Appliance(gateway)
dut.install("release-2.0")
dut.reboot()
t.assertEqual(("B", "2.0"), dut.running())

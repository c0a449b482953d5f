from appliance import Appliance

dut = Appliance(gateway, t)
table = dut.table_digests()
dut.install("release-2.0")
t.assertEqual(dut.updated_basis(table), dut.boot_basis())

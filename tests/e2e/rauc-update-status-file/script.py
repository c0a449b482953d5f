# RAUC's own account of what it installed outlives damage to its file.
from appliance import Appliance

dut = Appliance(gateway)

with subtest("RAUC's status file is recovered"):
    status = gateway.succeed("cat /data/rauc/central.raucs")
    t.assertIn("bundle.version=2.0", status)
    faults = {
        ": >": "empty",
        "head -c 100 /data/rauc/central.raucs.copy >": "torn",
        "head -c 500 /dev/zero >": "torn",
        "rm ": "missing",
    }
    for fault, name in faults.items():
        gateway.succeed(
            "systemctl stop rauc", f"{fault}/data/rauc/central.raucs", "systemctl start rauc"
        )
        t.assertEqual(status, gateway.succeed("cat /data/rauc/central.raucs"), name)
        t.assertIn(
            f"RAUC's central status file was {name}: recovered from its copy",
            dut.journal("-u rauc -o cat -n 20"),
        )
    gateway.succeed("rm /data/rauc/central.raucs.copy", ": >/data/rauc/central.raucs", "systemctl restart rauc")
    t.assertIn("begun anew", dut.journal("-u rauc -o cat -n 20"))
    t.assertEqual("B", dut.rauc()["booted"])

gateway.shutdown()

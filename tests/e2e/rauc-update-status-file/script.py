# RAUC's record of what it installed survives damage to its file.
from appliance import Appliance

dut = Appliance(gateway, t)

# otherwise it would confirm the release during the test, and D-Bus would start RAUC in the middle of a fault
gateway.succeed("systemctl stop os-verification")


def said_since(cursor):
    return dut.journal(f"-u rauc -o cat --after-cursor='{cursor}'")


def cursor():
    return dut.journal("-n 0 --show-cursor").rsplit("-- cursor: ", 1)[1].strip()


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
        before = cursor()
        gateway.succeed(
            "systemctl stop rauc", f"{fault}/data/rauc/central.raucs", "systemctl start rauc"
        )
        t.assertEqual(status, gateway.succeed("cat /data/rauc/central.raucs"), name)
        t.assertIn(
            f"RAUC's central status file was {name}: recovered from its copy",
            said_since(before),
        )
    before = cursor()
    gateway.succeed("rm /data/rauc/central.raucs.copy", ": >/data/rauc/central.raucs", "systemctl restart rauc")
    t.assertIn("started a new one", said_since(before))
    t.assertEqual("B", dut.rauc()["booted"])

gateway.shutdown()

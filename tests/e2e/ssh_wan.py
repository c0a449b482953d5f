# Shared by the tests ssh-wan-toggle*: the flag, the rule that it adds, and who can log in.
from gateway_network import SSH, WAN, Provider, make_ssh_key

FLAG = "/data/config/ssh-wan-enabled"
TOGGLE = "/usr/lib/slotproof/ssh-wan-toggle"
RULE = "tcp dport 22 accept"


class Toggle:
    """The gateway, its provider and a scanner on the WAN, and a key that the gateway accepts."""

    def __init__(self, gateway, client, networks, t):
        self.gateway, self.t = gateway, t
        self.scanner = networks[WAN].create_endpoint("scanner", ["203.0.113.200/24", "2001:db8:113::200/64"])
        self.provider = Provider(client)
        self.addresses = self.provider.wait_for_gateway(gateway)
        make_ssh_key(client, gateway)

    def rules(self):
        """The rules in the chain that the flag controls."""
        chain = self.gateway.succeed("nft list chain inet gateway ssh_wan")
        return [line.strip() for line in chain.splitlines()[2:-2]]

    def wait_for_rules(self, number):
        self.gateway.wait_until_succeeds(
            f"test $(nft list chain inet gateway ssh_wan | grep -c accept) = {number}", timeout=60
        )

    def open(self):
        self.gateway.succeed(f"touch {FLAG}")
        self.wait_for_rules(1)

    def close(self):
        self.gateway.succeed(f"rm {FLAG}")
        self.wait_for_rules(0)

    def assert_closed(self):
        self.t.assertEqual([], self.rules())
        for address in self.addresses:
            self.t.assertEqual([22], self.scanner.probe(address, ports=[22]).silent)
            self.provider.fail(f"{SSH} root@{address} true")

    def assert_open(self):
        self.t.assertEqual([RULE], self.rules())
        for address in self.addresses:
            self.t.assertEqual("gateway\n", self.provider.succeed(f"{SSH} root@{address} hostname"))

# Shared by the tests of the gateway's network: the hosts on its two sides, as in the checkpoint
# 'networked'.
#
# The machine 'client' is two separate hosts: one on the LAN, and one in a network namespace on the WAN,
# the provider. The provider leases the gateway its address, advertises an IPv6 prefix, and runs a web
# server, so that there is a host to reach.
WAN, LAN = 1, 2

GATEWAY_LAN = "172.20.30.1"
PROVIDER = "203.0.113.1"
PROVIDER_V6 = "2001:db8:113::1"
PROVIDER_NET = "203.0.113."

SSH = (
    "ssh -i /run/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
    "-o LogLevel=ERROR -o ConnectTimeout=3"
)
KEYS = "/data/ssh/authorized_keys"


class Provider:
    """The host on the WAN."""

    def __init__(self, machine):
        self.machine = machine

    def set_up(self, card):
        """Create the namespace, with this network card of the machine."""
        self.machine.succeed(
            "ip netns add provider",
            f"ip link set {card} netns provider",
            f"ip -n provider link set {card} name eth0",
            "ip -n provider link set lo up",
            "ip -n provider link set eth0 up",
            f"ip -n provider address add {PROVIDER}/24 dev eth0",
            f"ip -n provider address add {PROVIDER_V6}/64 dev eth0 nodad",
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /CN=provider "
            "-keyout /run/provider.key -out /run/provider.crt",
        )
        self.serve(
            "dnsmasq",
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --leasefile-ro --port=0 --bind-dynamic "
            "--interface=eth0 --dhcp-range=203.0.113.10,203.0.113.99,1h --enable-ra --dhcp-authoritative "
            "--dhcp-range=2001:db8:113::,ra-only --ra-param=eth0,10",
        )
        self.serve(
            "web", "openssl s_server -accept 443 -www -quiet -key /run/provider.key -cert /run/provider.crt"
        )

    def serve(self, name, command):
        self.machine.succeed(
            f"systemd-run --quiet --collect --unit=provider-{name} -p NetworkNamespacePath=/run/netns/provider "
            f"{command}"
        )

    def succeed(self, command, **options):
        return self.machine.succeed(f"ip netns exec provider {command}", **options)

    def fail(self, command, **options):
        return self.machine.fail(f"ip netns exec provider {command}", **options)

    def wait_for_gateway(self, gateway):
        """Wait until the gateway has its addresses on the WAN; returns the IPv4 and the IPv6 address."""
        gateway.wait_until_succeeds(
            f"ip -4 -o address show dev wan | grep -F {PROVIDER_NET}", timeout=120
        )
        gateway.wait_until_succeeds(
            "ip -6 -o address show dev wan scope global -tentative | grep -F 2001:db8:113:", timeout=120
        )
        return addresses_of(gateway, "wan", "-4")[0], addresses_of(gateway, "wan", "-6")[0]


def addresses_of(machine, card, family, scope="global"):
    lines = machine.succeed(f"ip {family} -o address show dev {card} scope {scope}").splitlines()
    return [line.split()[3].split("/")[0] for line in lines]


def get_lease(machine):
    """The machine gets a lease on the LAN from the gateway; returns its address."""
    machine.succeed("systemctl start systemd-networkd")
    machine.wait_until_succeeds("ip -4 -o address show dev wan | grep -F ' 172.20.30.'", timeout=120)
    return addresses_of(machine, "wan", "-4")[0]


def set_clock(machine):
    """Set the machine's clock, which is wrong then, from the gateway's NTP server."""
    machine.succeed("date -s '2020-02-02 02:02:02'")
    machine.succeed(
        f"chronyd -q -t 60 -f /dev/null 'server {GATEWAY_LAN} iburst maxsamples 1' 2>&1", timeout=120
    )


def make_ssh_key(machine, gateway):
    """Make a key on the machine that the gateway accepts."""
    machine.succeed("rm -f /run/key*", "ssh-keygen -q -t ed25519 -N '' -f /run/key")
    key = machine.succeed("cat /run/key.pub").strip()
    gateway.succeed(f"echo '{key}' >{KEYS}", f"chmod 600 {KEYS}")


def fetch(address):
    """A shell command that prints the page at this address."""
    return f"sh -c 'printf \"GET / HTTP/1.0\\r\\n\\r\\n\" | timeout 20 openssl s_client -quiet -connect {address}:443'"

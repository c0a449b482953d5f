from gateway_network import Provider

gateway.start(allow_reboot=True)
client.start(allow_reboot=True)
client.wait_for_unit("basic.target")
provider = Provider(client)
provider.set_up("lan")
gateway.wait_for_unit("multi-user.target")
provider.wait_for_gateway(gateway)

from appliance import Appliance

Appliance(gateway).start()

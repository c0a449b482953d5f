from appliance import Appliance

Appliance(gateway, t).start()

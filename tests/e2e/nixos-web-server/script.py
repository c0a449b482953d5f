# In the style of nixpkgs' tests of one service, without any of slotproof's own calls: the calls in such a
# script have the same meaning here.
start_all()
machine.wait_for_unit("nginx.service")
machine.require_unit_state("nginx.service", "active")
machine.wait_for_open_port(443)

ASK = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 20 openssl s_client -quiet -connect localhost:443 2>/dev/null"

with subtest("the server answers"):
    assert "200 OK" in machine.succeed(ASK)

with subtest("its workers have dropped their privileges"):
    status, workers = machine.execute("ps -o user= -C nginx | sort -u")
    assert status == 0 and "www-data" in workers.split(), workers

with subtest("a stopped server does not answer"):
    machine.stop_job("nginx.service")
    machine.wait_for_closed_port(443, timeout=30)
    machine.fail(ASK + " | grep -F '200 OK'")
    machine.start_job("nginx.service")
    machine.wait_for_open_port(443)
    machine.succeed(ASK + " | grep -F '200 OK'")

with subtest("a wrong configuration does not take it down"):
    info = machine.get_unit_info("nginx.service")
    machine.fail("nginx -t -c /dev/null -g 'no such directive;'")
    machine.succeed("systemctl reload nginx.service")
    assert machine.get_unit_info("nginx.service")["MainPID"] == info["MainPID"]

with subtest("systemd's own socket is open"):
    machine.wait_for_open_unix_socket("/run/systemd/private")
    machine.wait_for_file("/run/nginx.pid")

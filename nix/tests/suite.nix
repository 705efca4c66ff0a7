# The suite on a booted NixOS: what is enabled runs, with the shipped sandbox, and reload works.
{ module }:
{
  name = "roundsman-suite";

  nodes.machine = {
    imports = [ module ];
    environment.etc."scrape-token".text = "only a test";
    services.roundsman = {
      enable = true;
      hostmetrics.enable = true;
      exporter.enable = true;
      exporter.credentials.scrape-token = "/etc/scrape-token";
    };
    systemd.services.doomed = {
      serviceConfig.ExecStart = "/run/current-system/sw/bin/false";
      unitConfig.OnFailure = [ "roundsman-failure@%n.service" ];
    };
  };

  testScript = ''
    machine.wait_for_unit("roundsman.target")
    machine.wait_for_open_port(9469)

    with subtest("the host is measured and scraped"):
        machine.succeed("systemctl start roundsman-hostmetrics.service")
        machine.succeed("curl --fail --silent localhost:9469/metrics | grep '^node_memory_MemTotal_bytes '")
        machine.succeed("roundsman status")

    with subtest("reload keeps the process"):
        before = machine.succeed("systemctl show -p MainPID --value roundsman-exporter")
        machine.succeed("systemctl reload roundsman-exporter")
        assert before == machine.succeed("systemctl show -p MainPID --value roundsman-exporter")

    with subtest("a failed unit is one event"):
        machine.fail("systemctl start --wait doomed.service")
        machine.wait_until_succeeds("roundsman events --kind failure.unit | grep doomed.service")

    with subtest("the sandbox is the shipped one"):
        for agent in ("hostmetrics", "exporter"):
            machine.succeed(f"systemd-analyze security --threshold=20 roundsman-{agent}.service")
  '';
}

# A host with everything on; evaluated by `nix flake check`.
{
  services.roundsman = {
    enable = true;
    settings.host = "example";
    hostmetrics.enable = true;
    hostmetrics.settings.thresholds.disk.warning = 80.0;
    failure.enable = true;
    janitor.enable = true;
    herald.enable = true;
    herald.settings = {
      triggers.all.endpoints = [ "ops" ];
      endpoints.ops.url = "https://ops.example/hook";
    };
    exporter = {
      enable = true;
      openFirewall = true;
    };
  };

  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "none";
    fsType = "tmpfs";
  };
  system.stateVersion = "26.05";
}

# Units, users and directories come from the package as every other system gets them; this adds
# what NixOS does not read from unit files (enablement), the checked configuration, credentials.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.roundsman;
  agents = import ./agents.nix { inherit lib; };
  toml = pkgs.formats.toml { };

  common = toml.generate "common.toml" cfg.settings;

  # A setting that the program refuses fails the build of the system, not the service.
  checked =
    name:
    let
      file = toml.generate "${name}.toml" cfg.${name}.settings;
    in
    pkgs.runCommand "roundsman-${name}.toml" { } ''
      mkdir -p root/etc/roundsman
      cp ${common} root/etc/roundsman/common.toml
      cp ${file} root/etc/roundsman/${name}.toml
      ${cfg.package}/libexec/roundsman/roundsman-${name} --check-config --config-root "$PWD/root"
      cp ${file} "$out"
    '';

  isEnabled = name: cfg.${name}.enable or false;

  # systemd.timers.roundsman-x, systemd.sockets.roundsman-x, ... from the unit's file name
  kinds = {
    services = "service";
    sockets = "socket";
    timers = "timer";
    paths = "path";
  };
  wanted = lib.mapAttrs (
    _: suffix:
    lib.listToAttrs (
      lib.concatLists (
        lib.mapAttrsToList (
          name: agent:
          map (unit: lib.nameValuePair (lib.removeSuffix ".${suffix}" unit) {
            wantedBy = [ "roundsman.target" ];
          }) (lib.filter (unit: isEnabled name && lib.hasSuffix ".${suffix}" unit) agent.installed)
        ) agents
      )
    )
  ) kinds;

  perService =
    name: agent: unit:
    lib.nameValuePair (lib.removeSuffix ".service" unit) {
      reloadTriggers = lib.optionals (builtins.elem unit agent.reloaded) [
        common
        (checked name)
      ];
      serviceConfig = lib.optionalAttrs (cfg.${name}.credentials != { }) {
        LoadCredential = lib.mapAttrsToList (id: path: "${id}:${path}") cfg.${name}.credentials;
      };
    };
  overridden = lib.listToAttrs (
    lib.concatLists (lib.mapAttrsToList (name: agent: map (perService name agent) agent.services) agents)
  );
in
{
  config = lib.mkIf cfg.enable {
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: _:
        lib.mapAttrsToList (id: path: {
          assertion = !lib.hasPrefix "${builtins.storeDir}/" path;
          message = "services.roundsman.${name}.credentials.${id}: everyone can read ${path}";
        }) cfg.${name}.credentials
      ) agents
    );

    environment.systemPackages = [ cfg.package ]; # the command, its pages, the polkit rules
    environment.etc = {
      "roundsman/common.toml".source = common;
      "systemd/catalog/roundsman.catalog".source = "${cfg.package}/lib/systemd/catalog/roundsman.catalog";
    }
    // lib.mapAttrs' (
      name: _: lib.nameValuePair "roundsman/${name}.toml" { source = checked name; }
    ) agents;

    users.groups.roundsman = { };
    users.users = lib.mapAttrs' (
      name: _:
      lib.nameValuePair "roundsman-${name}" {
        isSystemUser = true;
        group = "roundsman";
        description = "Roundsman agent ${name}";
      }
    ) agents;

    systemd = {
      packages = [ cfg.package ];
      tmpfiles.packages = [ cfg.package ];
      targets.roundsman = {
        wantedBy = [ "multi-user.target" ];
      };
      inherit (wanted) sockets timers paths;
      services = lib.mkMerge [
        wanted.services
        overridden
        {
          # The catalog in /etc is read when it changes, not only after an upgrade of systemd.
          systemd-journal-catalog-update = {
            restartTriggers = [ cfg.package ];
            unitConfig.ConditionNeedsUpdate = "";
          };
        }
      ];
    };

    networking.firewall.allowedTCPPorts = lib.concatLists (
      lib.mapAttrsToList (
        name: agent: lib.optional (cfg.${name}.openFirewall or false) agent.port
      ) agents
    );
  };
}

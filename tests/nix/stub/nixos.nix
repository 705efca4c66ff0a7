# The options of NixOS that our module and its test machines set, and their values.
{ lib, pkgs }:
{ modules, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  strings = option (types.listOf types.str) [ ];
  values = types.attrsOf types.anything;
  unit =
    section:
    types.attrsOf (
      types.submodule {
        options = {
          wantedBy = strings;
          reloadTriggers = option (types.listOf types.anything) [ ];
          restartTriggers = option (types.listOf types.anything) [ ];
          unitConfig = option values { };
          ${section} = option values { };
        };
      }
    );
  options = {
    systemd = {
      services = option (unit "serviceConfig") { };
      sockets = option (unit "socketConfig") { };
      timers = option (unit "timerConfig") { };
      paths = option (unit "pathConfig") { };
      targets = option (unit "targetConfig") { };
      packages = option (types.listOf types.package) [ ];
      tmpfiles.packages = option (types.listOf types.package) [ ];
    };
    users.users = option (types.attrsOf (
      types.submodule {
        options = {
          isSystemUser = option types.bool false;
          group = option types.str "";
          description = option types.str "";
        };
      }
    )) { };
    users.groups = option (types.attrsOf (types.submodule { })) { };
    environment.systemPackages = option (types.listOf types.package) [ ];
    environment.etc = option (types.attrsOf (
      types.submodule {
        options = {
          source = option types.path "/dev/null";
          text = option types.str "";
        };
      }
    )) { };
    networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
    assertions = option (types.listOf values) [ ];
    boot.loader.grub.enable = option types.bool true;
    fileSystems = option values { };
    system.stateVersion = option types.str "";
  };
  config = lib.evaluate "" ([ { inherit options; } ] ++ modules) { inherit pkgs; };
  failed = builtins.filter (assertion: !assertion.assertion) config.assertions;
  # `nix flake check` asks no more of a configuration than that its top level is a derivation, so
  # every value is looked at here.
  everything = builtins.toJSON {
    inherit (config)
      environment
      fileSystems
      networking
      systemd
      users
      ;
  };
in
{
  config =
    if failed != [ ] then
      throw "Failed assertions: ${lib.concatMapStringsSep "; " (assertion: assertion.message) failed}"
    else
      builtins.seq everything (
        config // { system = config.system // { build.toplevel = pkgs.runCommand "toplevel" { } everything; }; }
      );
}

# The options, and nothing else, so that their documentation can be generated.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  agents = import ./agents.nix { inherit lib; };
  toml = pkgs.formats.toml { };

  settingsOf =
    file:
    lib.mkOption {
      inherit (toml) type;
      default = { };
      example = {
        log_level = "debug";
      };
      description = ''
        What {file}`/etc/roundsman/${file}.toml` holds; see {manpage}`roundsman.toml(5)`. Checked
        by the program itself when the system is built.
      '';
    };

  agentOptions =
    name: agent:
    {
      settings = settingsOf name;

      credentials = lib.mkOption {
        type = lib.types.attrsOf lib.types.str;
        default = { };
        example = {
          scrape-token = "/run/keys/scrape-token";
        };
        description = ''
          Credentials that the settings name, each with the file that systemd reads it from. The
          file must not be in the store, which everyone can read.
        '';
      };
    }
    // lib.optionalAttrs (agent.installed != [ ]) {
      enable = lib.mkEnableOption "the agent ${name}; see {manpage}`roundsman-${name}(8)`";
    }
    // lib.optionalAttrs (agent.port != null) {
      openFirewall = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether to open TCP port ${toString agent.port} in the firewall.";
      };
    };
in
{
  options.services.roundsman = {
    enable = lib.mkEnableOption "the roundsman suite: its target, users and directories";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "the package of this flake";
      description = "The package whose programs and units are used.";
    };

    settings = settingsOf "common";
  }
  // lib.mapAttrs agentOptions agents;
}

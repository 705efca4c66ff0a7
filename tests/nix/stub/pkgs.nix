# Packages as our files use them: real derivations, so that they can be named and built upon, that
# make nothing but an empty file.
{ lib, system }:
let
  # `environment` is part of the derivation, and so evaluated with it.
  make =
    name: script: environment:
    derivation (
      environment
      // {
        inherit name system;
        builder = "/bin/sh";
        args = [
          "-ec"
          script
        ];
        PATH = "/usr/bin:/bin";
      }
    )
    // {
      overrideAttrs = changed: make name script (environment // changed);
    };
  empty = name: make name "echo > $out";

  # TOML as far as settings need it: values as JSON, tables inline.
  toml =
    value:
    if builtins.isAttrs value then
      "{ ${
        builtins.concatStringsSep ", " (lib.mapAttrsToList (key: v: "${builtins.toJSON key} = ${toml v}") value)
      } }"
    else if builtins.isList value then
      "[ ${lib.concatMapStringsSep ", " toml value} ]"
    else
      builtins.toJSON value;
  tomlType =
    with lib.types;
    oneOf [
      bool
      int
      float
      str
      (attrsOf tomlType)
      (listOf tomlType)
    ]
    // {
      name = "TOML value";
    };

  packages = {
    inherit lib;
    stdenv.hostPlatform = { inherit system; };
    mkShell = empty "shell";
    runCommand = name: _: script: make name script { };
    rustPlatform.buildRustPackage =
      attrs:
      builtins.deepSeq attrs.meta empty attrs.pname {
        inherit (attrs) version installPhase cargoBuildFlags;
        src = toString attrs.src;
        cargoLock = builtins.readFile attrs.cargoLock.lockFile;
      };
    formats.toml = _: {
      type = tomlType;
      generate =
        name: value:
        builtins.toFile name (
          builtins.concatStringsSep "" (
            lib.mapAttrsToList (key: v: "${builtins.toJSON key} = ${toml v}\n") value
          )
        );
    };
    # The machines are evaluated, not built.
    testers.runNixOSTest =
      test:
      make "machine-${test.name}" test.testScript {
        nodes = builtins.toJSON (
          builtins.mapAttrs (
            _: module:
            "${(import ./nixos.nix { inherit lib; pkgs = packages; } { modules = [ module ]; }).config.system.build.toplevel}"
          ) test.nodes
        );
      };
    callPackage =
      file: extra:
      let
        function = import file;
      in
      function (builtins.intersectAttrs (builtins.functionArgs function) packages // extra);
  }
  // lib.genAttrs [
    "cargo"
    "cargo-deny"
    "clippy"
    "coreutils"
    "nixfmt"
    "prometheus"
    "rustc"
    "rustfmt"
    "shellcheck"
    "sqlite"
  ] (name: empty name { });
in
packages

# What `nix flake check` builds: the package, the tests that a sandbox can run, and a machine for
# every file in tests/.
{ self, pkgs }:

let
  inherit (pkgs) lib;
  system = pkgs.stdenv.hostPlatform.system;
  package = self.packages.${system}.default;
  machines = lib.mapAttrs' (
    file: _:
    lib.nameValuePair "machine-${lib.removeSuffix ".nix" file}" (
      pkgs.testers.runNixOSTest (import (./tests + "/${file}") { module = self.nixosModules.default; })
    )
  ) (builtins.readDir ./tests);
in
machines
// {
  inherit package;

  # Unit tests; those with real programs and a booted systemd are `make test`.
  unit = package.overrideAttrs {
    doCheck = true;
    cargoTestFlags = [
      "--workspace"
      "--lib"
      "--bins"
    ];
  };

  shell = self.devShells.${system}.default;
}

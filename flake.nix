{
  description = "Small systemd-native agents that watch a host and keep it true";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      packageOf = pkgs: pkgs.callPackage ./nix/package.nix { };
    in
    {
      packages = eachSystem (pkgs: rec {
        roundsman = packageOf pkgs;
        default = roundsman;
      });

      overlays.default = final: _: { roundsman = packageOf final; };

      nixosModules.default = {
        imports = [
          ./nix/options.nix
          ./nix/module.nix
        ];
      };

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/devshell.nix { };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt);

      # Makes `nix flake check` evaluate the module with everything on.
      nixosConfigurations.example = lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          self.nixosModules.default
          ./nix/example.nix
        ];
      };
    };
}

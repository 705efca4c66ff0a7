# Stands in for nixpkgs, so that our own Nix files can be evaluated without a network:
# nix flake check --no-build --offline --override-input nixpkgs path:tests/nix/stub
{
  outputs =
    { self }:
    let
      library = import ./lib.nix;
    in
    {
      lib = library // {
        nixosSystem = import ./nixos.nix {
          lib = library;
          pkgs = self.legacyPackages.x86_64-linux;
        };
      };
      legacyPackages = library.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system:
        import ./pkgs.nix {
          lib = library;
          inherit system;
        }
      );
    };
}

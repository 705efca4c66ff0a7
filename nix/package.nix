# The programs with their units, pages and examples: the tree that packaging/install.sh stages,
# under a store path.
{
  lib,
  rustPlatform,
  coreutils,
}:

rustPlatform.buildRustPackage {
  pname = "roundsman";
  version = (lib.importTOML ../Cargo.toml).workspace.package.version;

  # What is neither compiled nor installed does not rebuild it.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../CHANGELOG.md
      ../README.md
      ../agents
      ../config
      ../docs
      ../packaging
      ../tests
      ../units
    ];
  };

  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [
    "--workspace"
    "--bins"
  ];
  # Tests that need nothing but the sandbox are a check of the flake.
  doCheck = false;

  # /etc/roundsman is written by the module; the commented files are documentation here.
  installPhase = ''
    runHook preInstall
    BUILD=$(echo target/*/release) PREFIX=$out KILL=${coreutils}/bin/kill \
      CONFDIR=$out/share/doc/roundsman/config sh packaging/install.sh
    runHook postInstall
  '';

  meta = {
    description = "Small systemd-native agents that watch a host and keep it true";
    homepage = "https://github.com/roundsman/roundsman";
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    platforms = lib.platforms.linux;
    mainProgram = "roundsman";
  };
}

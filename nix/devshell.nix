# What `make test` uses, where Nix has it.
{
  mkShell,
  cargo,
  clippy,
  rustc,
  rustfmt,
  cargo-deny,
  nixfmt,
  prometheus,
  shellcheck,
  sqlite,
}:

mkShell {
  packages = [
    cargo
    clippy
    rustc
    rustfmt
    cargo-deny
    nixfmt
    prometheus
    shellcheck
    sqlite
  ];
}

//! The host that the tour shows.

use std::time::Duration;

use anyhow::{Context, Result};
use roundsman_tests::machine::Options;
use roundsman_tests::{Machine, package};

use crate::show::step;

/// What the tour enables: everything that a fresh host can use without configuration.
const UNITS: [&str; 3] = [
    "roundsman-hostmetrics.timer",
    "roundsman-exporter.socket",
    "roundsman-failure.timer",
];

/// Boots a plain host.
pub fn boot() -> Result<Machine> {
    step("booting a Debian host (systemd-nspawn, private network, throw-away disk)");
    let machine = Options::new("tour").hostname("roundsman-host").boot()?;
    let version = machine.succeed(["systemctl", "--version"])?;
    let release = machine.read_file("/etc/os-release")?;
    let release = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("Debian");
    let version = version.lines().next().unwrap_or_default();
    println!("{}, {version}", release.trim_matches('"'));
    Ok(machine)
}

/// Installs the package and enables the suite.
pub fn prepare(machine: &Machine) -> Result<()> {
    step("installing the package");
    let package = package::deb()?;
    let kilobytes = package.bytes.len() / 1024;
    println!("dpkg --install {} ({kilobytes} KiB)", package.name);
    machine.install_deb(package)?;
    step(&format!("systemctl enable --now {}", UNITS.join(" ")));
    // A timer that missed its time while the host was off fires at once: so does this one,
    // and the first measurement need not be waited for.
    let stamp = "/var/lib/systemd/timers/stamp-roundsman-hostmetrics.timer";
    machine.succeed(["mkdir", "-p", "/var/lib/systemd/timers"])?;
    machine.succeed(["touch", "--date=2 days ago", stamp])?;
    machine.succeed(["systemctl", "enable", "--now"].iter().chain(&UNITS))?;
    machine
        .wait_for("the first measurement", Duration::from_secs(60), || {
            let at = machine.property("roundsman-hostmetrics.service", "ExecMainExitTimestamp")?;
            Ok((!at.is_empty()).then_some(()))
        })
        .context("hostmetrics has not run")
}

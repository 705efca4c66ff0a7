//! A machine with the suite installed from the package under test, and what tests ask of it.

use anyhow::{Context, Result, ensure};
use roundsman_tests::machine::{Entry, Options};
use roundsman_tests::{Machine, package};
use serde_json::Value;

/// The units that an administrator enables on a plain host.
pub const EVERYDAY: [&str; 3] = [
    "roundsman-hostmetrics.timer",
    "roundsman-exporter.socket",
    "roundsman-failure.timer",
];
/// The port of the exporter.
pub const PORT: u16 = 9469;

/// Runs `body` on a plain machine with the package installed and nothing enabled.
#[track_caller]
pub fn installed(test: &str, body: impl FnOnce(&mut Machine) -> Result<()>) {
    installed_on(Options::new(test), body);
}

/// The same with options of the test's own.
#[track_caller]
pub fn installed_on(options: Options, body: impl FnOnce(&mut Machine) -> Result<()>) {
    options.run(|machine| {
        machine.install_deb(package::deb()?)?;
        body(machine)
    });
}

/// `systemctl enable --now` of [`EVERYDAY`].
pub fn enable_everyday(machine: &Machine) -> Result<()> {
    machine
        .succeed(["systemctl", "enable", "--now"].iter().chain(&EVERYDAY))
        .map(drop)
}

/// One measurement by the shipped unit.
pub fn measure(machine: &Machine) -> Result<()> {
    machine
        .succeed(["systemctl", "start", "roundsman-hostmetrics.service"])
        .map(drop)
}

/// A query on the store, one object per row.
pub fn rows(machine: &Machine, query: &str) -> Result<Vec<Value>> {
    let store = "/var/lib/roundsman/roundsman.db";
    let text = machine.succeed(["sqlite3", "-readonly", "-json", store, query])?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).with_context(|| format!("sqlite3's answer to {query}"))
}

/// The only number of a query's only row, `SELECT count(*)` for instance.
pub fn number(machine: &Machine, query: &str) -> Result<i64> {
    let rows = rows(machine, query)?;
    rows.first()
        .and_then(|row| row.as_object()?.values().next()?.as_i64())
        .with_context(|| format!("{query} gives {rows:?}"))
}

/// Writes a drop-in for a unit and has systemd read it.
pub fn drop_in(machine: &Machine, unit: &str, text: &str) -> Result<()> {
    let path = format!("/etc/systemd/system/{unit}.d/override.conf");
    machine.write_file(path, text)?;
    machine.succeed(["systemctl", "daemon-reload"]).map(drop)
}

/// Entries with one of our fixed message ids, about one unit.
pub fn entries(machine: &Machine, message_id: &str, unit: &str) -> Result<Vec<Entry>> {
    machine.journal([
        format!("MESSAGE_ID={message_id}"),
        format!("ROUNDSMAN_TARGET={unit}"),
    ])
}

/// What `journalctl -x` says about such an entry.
pub fn explanation(machine: &Machine, message_id: &str) -> Result<String> {
    machine.succeed([
        "journalctl",
        "-x",
        "-q",
        &format!("MESSAGE_ID={message_id}"),
    ])
}

/// Waits until the exporter answers on its port and gives the page.
pub fn scrape(machine: &Machine) -> Result<String> {
    let answer = machine.get(PORT, "/metrics", &[])?;
    ensure!(answer.status == 200, "the exporter answers {answer:?}");
    Ok(answer.text())
}

/// Units of ours that are in the failed state.
pub fn failed_units(machine: &Machine) -> Result<String> {
    machine.succeed([
        "systemctl",
        "list-units",
        "--failed",
        "--no-legend",
        "--plain",
        "--all",
    ])
}

//! Format `alertmanager` at the real Alertmanager, fed by the agents of the package.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roundsman_tests::machine::{GuestCommand, Options};
use roundsman_tests::{Machine, PATIENCE};
use serde_json::Value;

use crate::installed::{enable_everyday, installed_on, measure};

const PORT: u16 = 9093;
/// Nobody is told: what counts here is what Alertmanager itself takes for true. It forgets what
/// is not posted again within a minute and a half; herald posts each minute.
const CONFIG: &str = "\
global: {resolve_timeout: 90s}
route: {receiver: nobody}
receivers: [{name: nobody}]
";
const REPEAT: Duration = Duration::from_secs(60);
const HERALD: &str = "\
[triggers.disks]
kinds = [\"hostmetrics.disk\"]
endpoints = [\"am\"]

[endpoints.am]
url = \"http://127.0.0.1:9093/api/v2/alerts\"
format = \"alertmanager\"
allow = [\"127.0.0.1/32\"]
";

fn server(machine: &Machine) -> Result<GuestCommand<'_>> {
    machine.write_file("/etc/alertmanager.yml", CONFIG)?;
    // Debian's program opens its templates of mails wherever they are not used, too.
    for template in ["default", "email"] {
        let path = format!("/usr/share/prometheus/alertmanager/{template}.tmpl");
        machine.write_file(path, "")?;
    }
    Ok(machine.command([
        "/opt/peers/bin/prometheus-alertmanager",
        "--config.file=/etc/alertmanager.yml",
        "--storage.path=/var/tmp/alertmanager",
        &format!("--web.listen-address=127.0.0.1:{PORT}"),
        "--cluster.listen-address=",
    ]))
}

/// What Alertmanager holds to be the case.
fn alerts(machine: &Machine) -> Result<Vec<Value>> {
    let answer = machine.get(PORT, "/api/v2/alerts", &[])?;
    ensure!(answer.status == 200, "{answer:?}");
    let alerts: Value = serde_json::from_slice(&answer.body)?;
    alerts.as_array().cloned().context("no list")
}

/// Fills a disk and waits until Alertmanager shows the one alert.
fn fill(machine: &Machine) -> Result<Value> {
    enable_everyday(machine)?;
    machine.wait_for("Alertmanager answers", PATIENCE, || {
        alerts(machine).map(Some)
    })?;
    machine.write_file("/etc/roundsman/herald.d/am.toml", HERALD)?;
    machine.succeed(["systemctl", "enable", "--now", "roundsman-herald.service"])?;
    machine.sh("head -c 8200000 /dev/zero >/srv/scratch/ballast")?;
    measure(machine)?;
    machine.wait_for("one alert", PATIENCE, || {
        let mut found = alerts(machine)?;
        ensure!(found.len() <= 1, "{found:#?}");
        Ok(found.pop())
    })
}

/// Waits until what fires was posted again: the one alert is the same, and ends later.
fn posted_again(machine: &Machine, alert: &Value) -> Result<Value> {
    let again = machine.wait_for("a second post", REPEAT + PATIENCE, || {
        let found = alerts(machine)?;
        let later = found.iter().find(|one| one["endsAt"] != alert["endsAt"]);
        Ok(later.cloned().map(|one| (one, found.len())))
    })?;
    let (again, count) = again;
    assert_eq!(count, 1, "{again:#}");
    assert_eq!(again["fingerprint"], alert["fingerprint"]);
    assert_eq!(again["startsAt"], alert["startsAt"]);
    assert_eq!(again["status"]["state"], "active", "{again:#}");
    ensure!(
        time(&again["updatedAt"])? < time(&alert["endsAt"])?,
        "it had ended before it was posted again: {alert:#} {again:#}"
    );
    Ok(again)
}

/// Alertmanager writes all times in one form and zone, so that they compare as text.
fn time(value: &Value) -> Result<&str> {
    let text = value.as_str().context("no time")?;
    ensure!(text.len() == 24 && text.ends_with('Z'), "{text}");
    Ok(text)
}

/// Empties the disk and waits until nothing fires; gives the time of that.
fn empty(machine: &Machine) -> Result<String> {
    machine.succeed(["rm", "/srv/scratch/ballast"])?;
    measure(machine)?;
    machine.wait_for("no alert", PATIENCE, || {
        Ok(alerts(machine)?.is_empty().then_some(()))
    })?;
    machine.succeed(["date", "--utc", "+%FT%T.%3NZ"])
}

#[test]
fn what_fires_is_one_active_alert_until_it_is_over() {
    let options = Options::new("alertmanager::what_fires").tmpfs("/srv/scratch", "8m");
    installed_on(options, |machine| {
        let _server = server(machine)?.spawn()?;
        let alert = fill(machine)?;
        assert_eq!(alert["status"]["state"], "active", "{alert:#}");
        let labels = &alert["labels"];
        assert_eq!(labels["alertname"], "hostmetrics.disk");
        assert_eq!(labels["subject"], "/srv/scratch");
        assert_eq!(labels["severity"], "crit");
        assert_eq!(labels["host"], "testhost");
        let summary = alert["annotations"]["summary"].as_str();
        ensure!(
            summary.is_some_and(|text| text.contains("/srv/scratch")),
            "{alert:#}"
        );
        let again = posted_again(machine, &alert)?;
        // The event that resolves has another severity, and Alertmanager knows an alert by all
        // of its labels; herald posts it with the event that fired.
        let ended = empty(machine)?;
        ensure!(
            *ended < *time(&again["endsAt"])?,
            "it ended by itself: {ended}"
        );
        Ok(())
    });
}

//! Format `alertmanager` at the real Alertmanager, fed by the agents of the package.

use anyhow::{Context, Result, ensure};
use roundsman_tests::machine::{GuestCommand, Options};
use roundsman_tests::{Machine, PATIENCE};
use serde_json::Value;

use crate::installed::{enable_everyday, installed_on, measure};

const PORT: u16 = 9093;
/// Nobody is told: what counts here is what Alertmanager itself takes for true.
const CONFIG: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
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

/// Empties the disk and waits until that was delivered.
fn empty(machine: &Machine) -> Result<()> {
    machine.succeed(["rm", "/srv/scratch/ballast"])?;
    measure(machine)?;
    machine.wait_for("both deliveries are done", PATIENCE, || {
        let listed = machine.succeed(["roundsman", "deliveries", "--state", "done", "--json"])?;
        Ok((listed.lines().count() == 2).then_some(()))
    })
}

#[test]
fn what_fires_is_one_active_alert_with_the_labels_to_route_by() {
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
        // The event that resolves is taken, too, but its severity is another one, and Alertmanager
        // knows an alert by all of its labels. Herald sends each event alone so far, so the alert
        // that fired stays until Alertmanager's resolve_timeout. Once herald sends the events of a
        // condition together, nothing may be left here.
        empty(machine)?;
        let left = alerts(machine)?;
        ensure!(left.len() == 1, "{left:#?}");
        assert_eq!(left[0]["fingerprint"], alert["fingerprint"]);
        Ok(())
    });
}

//! What happens on a host reaches a webhook: the package, one trigger, one endpoint, one key.

use anyhow::{Context, Result, ensure};
use roundsman_kit::log::id;
use roundsman_tests::machine::{GuestProcess, Options};
use roundsman_tests::receiver::Arrival;
use roundsman_tests::{Machine, PATIENCE, Python, Receiver, python, skipped};
use serde_json::{Value, json};

use crate::installed::{enable_everyday, explanation, installed, installed_on, measure, scrape};

const HERALD: &str = "roundsman-herald.service";
const PROGRAM: &str = "/usr/libexec/roundsman/roundsman-herald";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FAILING: &str = "\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo the disk is on fire; exit $(cat /run/verdict)'
";

/// Sets herald up as the manual says; what it sends is taken in the machine's own network.
fn set_up(machine: &Machine, kinds: &[&str]) -> Result<Receiver> {
    let receiver = Receiver::on(machine.network()?.listen()?)?;
    let url = receiver.url();
    let toml = format!(
        "[triggers.urgent]\nkinds = {kinds:?}\nendpoints = [\"ops\"]\n\n\
         [endpoints.ops]\nurl = \"{url}\"\nallow = [\"127.0.0.1/32\"]\n\
         secrets = [{{ credential = \"ops-key\" }}]\n"
    );
    machine.write_file("/etc/roundsman/herald.d/ops.toml", toml)?;
    machine
        .command(["roundsman", "credential", "add", "herald", "ops-key"])
        .input(SECRET)
        .succeed()?;
    enable_everyday(machine)?;
    machine.succeed(["systemctl", "enable", "--now", HERALD])?;
    let check = machine.run(["roundsman", "check"])?;
    ensure!(check.success(), "{check}");
    Ok(receiver)
}

/// Has the public library judge what came, if it can be had.
fn verify(test: &str, arrivals: &[Arrival]) -> Result<()> {
    let python = match Python::with(python::STANDARD_WEBHOOKS) {
        Ok(python) => python,
        Err(reason) => {
            skipped::check(&format!("{test}: verified by standardwebhooks"), &reason);
            return Ok(());
        }
    };
    for arrival in arrivals {
        let input = json!({"secret": SECRET, "headers": arrival.headers, "body": arrival.body});
        let verdict = python.run("verify_webhook.py", &input)?;
        ensure!(verdict.success(), "{verdict}");
        let payload: Value = serde_json::from_str(&verdict.stdout)?;
        assert_eq!(payload, arrival.json()?);
    }
    Ok(())
}

/// One JSON object per line.
fn lines(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines();
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What an event is and its state, as the payload has it.
fn state(arrival: &Arrival) -> Result<(Value, Value)> {
    let payload = arrival.json()?;
    let event = &payload["data"];
    Ok((payload["type"].clone(), event["state"].clone()))
}

/// What the operator's commands say once all of it is delivered.
fn assert_told(machine: &Machine, arrivals: &[Arrival]) -> Result<()> {
    let done = || {
        let mut listed = lines(&machine.succeed(["roundsman", "deliveries", "--json"])?)?;
        listed.retain(|one| one["endpoint"] == "ops");
        let all_done = listed.iter().all(|one| one["state"] == "done");
        Ok((listed.len() == arrivals.len() && all_done).then_some(listed))
    };
    let deliveries = machine.wait_for("all deliveries are done", PATIENCE, done)?;
    let events = lines(&machine.succeed(["roundsman", "events", "--output", "json"])?)?;
    for (delivery, arrival) in deliveries.iter().zip(arrivals) {
        assert_eq!(delivery["uid"], arrival.headers["webhook-id"].as_str());
        assert_eq!(delivery["last_status"], 204);
        let is_its_event = |event: &&Value| event["uid"] == delivery["uid"];
        let event = events.iter().find(is_its_event).context("no such event")?;
        assert_eq!(event["kind"], delivery["kind"]);
    }
    let status = machine.run(["roundsman", "status"])?;
    ensure!(status.stdout.contains("herald"), "{status}");
    let endpoints = machine.succeed(["roundsman", "endpoints"])?;
    ensure!(endpoints.contains("ops"), "{endpoints}");
    Ok(())
}

/// Waits until whoever follows the events sees the one that has just arrived.
fn seen_by(follower: &GuestProcess, machine: &Machine, arrival: &Arrival) -> Result<()> {
    let uid = &arrival.headers["webhook-id"];
    machine.wait_for("the event where events are followed", PATIENCE, || {
        let shown = follower.stdout();
        // The last line may be half of one.
        let whole = shown.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let seen = lines(whole)?.iter().any(|event| event["uid"] == **uid);
        Ok(seen.then_some(()))
    })
}

/// A unit that fails and is well again as a file says.
pub fn watch_demo(machine: &Machine) -> Result<()> {
    machine.write_file("/etc/systemd/system/demo.service", FAILING)?;
    machine.write_file("/run/verdict", "3")?;
    machine.succeed(["systemctl", "daemon-reload"])?;
    machine.succeed(["roundsman", "watch-unit", "demo.service"])?;
    Ok(())
}

/// It fails.
pub fn fail_demo(machine: &Machine) -> Result<()> {
    let started = machine.run(["systemctl", "start", "demo.service"])?;
    ensure!(!started.success(), "{started}");
    Ok(())
}

/// It is well again, and that is noticed.
pub fn mend_demo(machine: &Machine) -> Result<()> {
    machine.wait_for_unit("roundsman-failure@demo.service.service", "inactive")?;
    machine.write_file("/run/verdict", "0")?;
    machine.succeed(["systemctl", "start", "demo.service"])?;
    machine.succeed(["systemctl", "start", "roundsman-failure.service"])?;
    Ok(())
}

/// The same events go to nobody, too.
const LOST: &str = "\
[triggers.lost]
kinds = [\"failure.*\", \"hostmetrics.disk\"]
endpoints = [\"lost\"]

[endpoints.lost]
url = \"http://127.0.0.1:9/in\"
allow = [\"127.0.0.1/32\"]
schedule = [\"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1h\"]
";

/// The journal, the follower and the figures name the endpoint where nobody is.
fn assert_lost(machine: &Machine, follower: &GuestProcess) -> Result<()> {
    let down = machine.wait_for_entry(&[&format!("MESSAGE_ID={}", id::ENDPOINT_DOWN)], |_| true)?;
    assert_eq!(down.get("ROUNDSMAN_ENDPOINT"), Some("lost"), "{down:?}");
    let help = explanation(machine, id::ENDPOINT_DOWN)?;
    ensure!(help.contains("roundsman endpoints"), "{help}");
    machine.wait_for("its event where events are followed", PATIENCE, || {
        let shown = follower.stdout();
        let is_it = |line: &str| line.contains("herald.endpoint") && line.contains("lost");
        Ok(shown.lines().any(is_it).then_some(()))
    })?;
    machine.wait_for("the figures on the exporter's page", PATIENCE, || {
        let page = scrape(machine)?;
        let shown = [
            "roundsman_herald_delivered_total 4",
            "roundsman_herald_parked_total 0",
            "roundsman_herald_endpoint_up{endpoint=\"ops\"} 1",
            "roundsman_herald_endpoint_up{endpoint=\"lost\"} 0",
        ];
        let missing = shown.into_iter().find(|line| !page.contains(line));
        ensure!(missing.is_none(), "{missing:?} is not on the page");
        Ok(Some(()))
    })
}

/// All of it at once, from the package: what happens, who is told of it, and by what.
#[test]
fn a_host_in_trouble_tells_a_receiver_and_whoever_looks() {
    let test = "herald::a_host_in_trouble";
    let options = Options::new(test).tmpfs("/srv/scratch", "8m");
    installed_on(options, |machine| {
        machine.write_file("/etc/roundsman/herald.d/lost.toml", LOST)?;
        let receiver = set_up(machine, &["failure.*", "hostmetrics.disk"])?;
        let follower = machine
            .command(["roundsman", "events", "--follow", "--output", "json"])
            .spawn()?;
        machine.sh("head -c 8200000 /dev/zero >/srv/scratch/ballast")?;
        measure(machine)?;
        let full = receiver.next_after(0)?;
        assert_eq!(state(&full)?, ("hostmetrics.disk".into(), "firing".into()));
        assert_eq!(full.json()?["data"]["subject"], "/srv/scratch", "{full:?}");
        // It has begun to follow, so what comes now is followed and not looked up.
        seen_by(&follower, machine, &full)?;

        watch_demo(machine)?;
        fail_demo(machine)?;
        let failed = receiver.next_after(1)?;
        assert_eq!(state(&failed)?, ("failure.unit".into(), "firing".into()));
        ensure!(failed.body.contains("the disk is on fire"), "{failed:?}");
        seen_by(&follower, machine, &failed)?;

        mend_demo(machine)?;
        let well = receiver.next_after(2)?;
        assert_eq!(state(&well)?, ("failure.unit".into(), "resolved".into()));
        seen_by(&follower, machine, &well)?;

        machine.succeed(["rm", "/srv/scratch/ballast"])?;
        measure(machine)?;
        let empty = receiver.next_after(3)?;
        let ended = ("hostmetrics.disk".into(), "resolved".into());
        assert_eq!(state(&empty)?, ended);
        seen_by(&follower, machine, &empty)?;

        let arrivals = [full, failed, well, empty];
        verify(test, &arrivals)?;
        assert_told(machine, &arrivals)?;
        assert_lost(machine, &follower)
    });
}

#[test]
fn an_endpoint_that_is_down_is_told_and_gets_all_of_it_later() {
    let test = "herald::an_endpoint_that_is_down";
    installed(test, |machine| {
        let receiver = set_up(machine, &["failure.*"])?;
        // A port where nobody is: the receiver's own, in a drop-in that sorts later.
        let elsewhere = "[endpoints.ops]\nurl = \"http://127.0.0.1:9/in\"\nschedule = [\"1s\"]\n";
        machine.write_file("/etc/roundsman/herald.d/zz-down.toml", elsewhere)?;
        machine.succeed(["systemctl", "reload", HERALD])?;
        watch_demo(machine)?;
        fail_demo(machine)?;
        let waits = || {
            let listed = lines(&machine.succeed(["roundsman", "deliveries", "--json"])?)?;
            let refused = listed.iter().any(|one| one["last_error"].is_string());
            Ok(refused.then_some(()))
        };
        machine.wait_for("a delivery that waits, and why", PATIENCE, waits)?;

        machine.succeed(["rm", "/etc/roundsman/herald.d/zz-down.toml"])?;
        machine.succeed(["systemctl", "reload", HERALD])?;
        let arrival = receiver.next_after(0)?;
        assert_eq!(state(&arrival)?, ("failure.unit".into(), "firing".into()));
        let arrivals = [arrival];
        verify(test, &arrivals)?;
        assert_told(machine, &arrivals)?;
        machine.succeed(["systemctl", "reset-failed", "demo.service"])?;
        Ok(())
    });
}

#[test]
fn a_wrong_endpoint_costs_itself_and_is_named() {
    installed("herald::a_wrong_endpoint", |machine| {
        let receiver = set_up(machine, &["failure.*"])?;
        machine.write_file(
            "/etc/roundsman/herald.d/wrong.toml",
            "[endpoints.wrong]\nurl = \"ftp://nowhere\"\n",
        )?;
        machine.succeed(["systemctl", "restart", HERALD])?;
        let check = machine.run([PROGRAM, "--check-config"])?;
        assert_eq!(check.code(), Some(78), "{check}");
        ensure!(check.stderr.contains("endpoints.wrong.url"), "{check}");
        machine.wait_for_entry(&["--unit", HERALD], |entry| {
            entry.message().contains("endpoints.wrong.url")
        })?;
        machine.write_file("/etc/roundsman/hostmetrics.toml", "no_such_key = 1\n")?;
        let measured = machine.run(["systemctl", "start", "roundsman-hostmetrics.service"])?;
        ensure!(!measured.success(), "{measured}");
        let arrival = receiver.next_after(0)?;
        ensure!(arrival.body.contains("no_such_key"), "{arrival:?}");
        let parked = machine.journal([format!("MESSAGE_ID={}", id::DELIVERY_PARKED)])?;
        ensure!(parked.is_empty(), "{parked:?}");
        machine.succeed(["systemctl", "reset-failed", "roundsman-*"])?;
        Ok(())
    });
}

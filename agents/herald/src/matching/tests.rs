use serde_json::json;

use super::*;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::EventId;

fn event() -> Event {
    Event {
        id: EventId(1),
        uid: "u".into(),
        at: Timestamp(0),
        agent: "hostmetrics".into(),
        kind: "hostmetrics.disk".into(),
        state: State::Firing,
        correlation: None,
        severity: Severity::Warning,
        subject: Some("/home".into()),
        order_key: None,
        labels: [("mount".to_owned(), "/home".to_owned())].into(),
        data: [("percent".to_owned(), json!(91))].into_iter().collect(),
        message: "/home is 91 % full".into(),
        dedup_key: None,
    }
}

/// The key that the event does not meet, if there is one.
fn judged(toml: &str) -> Option<String> {
    let trigger: Trigger = toml::from_str(toml).unwrap();
    let judged = Matcher::new(&trigger).unwrap().judge(&event());
    judged.err().map(|mismatch| mismatch.key)
}

#[test]
fn every_condition_must_hold_and_the_first_that_does_not_is_named() {
    for (toml, expected) in [
        ("", None),
        ("kinds = ['logscan.*', 'hostmetrics.*']", None),
        ("kinds = ['logscan.*']", Some("kinds")),
        ("agents = ['hostmetrics']", None),
        ("agents = ['host']", Some("agents")),
        ("states = ['firing', 'resolved']", None),
        ("states = ['occurred']", Some("states")),
        ("min_severity = 'warning'", None),
        ("min_severity = 'info'", None),
        ("min_severity = 'err'", Some("min_severity")),
        ("subject = '/h*'", None),
        ("subject = '/h'", Some("subject")),
        ("message = '9[0-9] %'", None),
        ("message = '^91'", Some("message")),
        ("labels = { mount = '/home' }", None),
        ("labels = { mount = true, other = false }", None),
        ("labels = { mount = false }", Some("labels.mount")),
        ("labels = { other = '*' }", Some("labels.other")),
        ("data = { percent = '91' }", None),
        ("data = { percent = '92' }", Some("data.percent")),
        ("agents = ['hostmetrics']\nsubject = 'x'", Some("subject")),
    ] {
        assert_eq!(judged(toml).as_deref(), expected, "{toml}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    for (toml, key) in [
        ("states = ['burning']", "states"),
        ("min_severity = 'loud'", "min_severity"),
        ("message = '('", "message"),
    ] {
        let trigger: Trigger = toml::from_str(toml).unwrap();
        assert_eq!(Matcher::new(&trigger).unwrap_err().0, key);
    }
}

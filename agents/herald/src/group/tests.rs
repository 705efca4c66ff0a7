use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::EventId;

use super::*;

fn event(state: State) -> Event {
    Event {
        id: EventId(1),
        uid: "u".into(),
        at: Timestamp(0),
        agent: "hostmetrics".into(),
        kind: "hostmetrics.disk".into(),
        state,
        correlation: Some("disk:/home".into()),
        severity: Severity::Warning,
        subject: None,
        order_key: None,
        labels: BTreeMap::from([("role".to_owned(), "db".to_owned())]),
        data: [("percent".to_owned(), json!(91))].into_iter().collect(),
        message: String::new(),
        dedup_key: None,
    }
}

fn grouping(toml: &str) -> Result<Grouping, String> {
    Grouping::new(&toml::from_str(toml).unwrap())
}

#[test]
fn a_key_has_every_part_and_an_empty_list_is_one_group() {
    let event = event(State::Firing);
    for (toml, key) in [
        ("", None),
        ("group_by = []", Some("[]")),
        (
            "group_by = ['kind', 'agent']",
            Some(r#"["hostmetrics.disk","hostmetrics"]"#),
        ),
        (
            "group_by = ['severity', 'subject']",
            Some(r#"["warning",null]"#),
        ),
        (
            "group_by = ['correlation', 'labels.role', 'labels.x', 'data.percent']",
            Some(r#"["disk:/home","db",null,91]"#),
        ),
    ] {
        assert_eq!(
            grouping(toml).unwrap().key(&event).as_deref(),
            key,
            "{toml}"
        );
    }
    for toml in [
        "group_by = ['colour']",
        "group_by = ['labels.']",
        "group_by = ['data']",
    ] {
        assert!(grouping(toml).is_err(), "{toml}");
    }
}

#[test]
fn every_part_of_a_uid_counts_and_they_do_not_run_together() {
    let one = uid(&["ops", "all", "[]", "u", "1"]);
    assert_eq!(one.len(), 32);
    assert_eq!(one, uid(&["ops", "all", "[]", "u", "1"]));
    for other in [
        ["ops", "all", "[]", "u", "2"],
        ["op", "sall", "[]", "u", "1"],
    ] {
        assert_ne!(one, uid(&other));
    }
}

#[test]
fn an_alertmanager_is_told_again_each_minute_and_others_when_the_trigger_says() {
    let alertmanager = Endpoint {
        format: Format::Alertmanager,
        ..Endpoint::default()
    };
    let hourly = grouping("repeat = '1h'").unwrap();
    let repeats = |grouping, endpoint: &Endpoint| repeat(grouping, endpoint).map(|r| r.as_secs());
    assert_eq!(repeats(Some(&hourly), &alertmanager), Some(60));
    assert_eq!(repeats(None, &alertmanager), Some(60));
    assert_eq!(repeats(Some(&hourly), &Endpoint::default()), Some(3600));
    assert_eq!(repeats(None, &Endpoint::default()), None);
}

#[test]
fn a_condition_is_told_since_it_began() {
    use State::{Firing, Resolved};
    for (states, since) in [
        (&[][..], 0),
        (&[Firing], 1),
        (&[Firing, Firing, Resolved], 3),
        (&[Firing, Resolved, Firing], 1),
        (&[Firing, Resolved, Firing, Firing, Resolved], 3),
        (&[Resolved], 1),
    ] {
        let events: Vec<Event> = states.iter().map(|state| event(*state)).collect();
        assert_eq!(since_it_began(&events).len(), since, "{states:?}");
    }
}

//! Samples that the tests of all formats share.

mod alertmanager;
mod bounds;
mod chat;
mod json;
mod mail;
mod template;

use serde_json::{Map, Value, json};

use super::*;
use roundsman_store::event::{EventId, State};

/// 2026-11-20T18:00:00.123Z.
const AT: Timestamp = Timestamp(1_795_197_600_123);

/// `/home` fills.
fn event() -> Event {
    Event {
        id: EventId(42),
        uid: "0a9133f9-a747-5993-ad1c-48c885e59ccf".to_owned(),
        at: AT,
        agent: "hostmetrics".to_owned(),
        kind: "hostmetrics.disk".to_owned(),
        state: State::Firing,
        correlation: Some("disk:/home:7".to_owned()),
        severity: Severity::Warning,
        subject: Some("/home".to_owned()),
        order_key: Some("disk:/home".to_owned()),
        labels: [("role".to_owned(), "db".to_owned())].into(),
        data: object(json!({"unit": "%", "value": 91.2})),
        message: "/home is 91 % full".to_owned(),
        dedup_key: None,
    }
}

/// A minute later it is well again.
fn resolved() -> Event {
    Event {
        id: EventId(43),
        uid: "second".to_owned(),
        at: Timestamp(AT.0 + 60_000),
        state: State::Resolved,
        severity: Severity::Notice,
        message: "/home is well again".to_owned(),
        ..event()
    }
}

/// The least that an event has.
fn bare() -> Event {
    Event {
        uid: "bare".to_owned(),
        state: State::Occurred,
        correlation: None,
        severity: Severity::Info,
        subject: None,
        order_key: None,
        labels: std::collections::BTreeMap::new(),
        data: Map::new(),
        message: String::new(),
        ..event()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

fn single(event: &Event) -> Notice<'_> {
    Notice {
        event,
        host: "web1",
        trigger: "disks",
        endpoint: "ops",
        members: &[],
    }
}

fn group<'a>(event: &'a Event, members: &'a [Event]) -> Notice<'a> {
    Notice {
        members,
        ..single(event)
    }
}

/// A group of `event` and `resolved`, and what leads it.
fn pair() -> (Event, [Event; 2]) {
    let lead = Event {
        uid: "group-1".to_owned(),
        ..event()
    };
    (lead, [event(), resolved()])
}

fn renderer(format: Format) -> Renderer {
    let mut options = Options::default();
    match format {
        Format::Ntfy => options.topic = Some("ops"),
        Format::Template => options.template = Some("{{ event.message|json }}"),
        _ => {}
    }
    Renderer::new(format, &options).unwrap()
}

fn body(format: Format, notice: &Notice<'_>) -> Body {
    renderer(format).render(notice).unwrap()
}

fn text(format: Format, notice: &Notice<'_>) -> String {
    String::from_utf8(body(format, notice).bytes).unwrap()
}

fn value(format: Format, notice: &Notice<'_>) -> Value {
    serde_json::from_slice(&body(format, notice).bytes).unwrap()
}

const ALL: [Format; 11] = [
    Format::Standard,
    Format::Cloudevents,
    Format::Beacon,
    Format::BeaconLegacy,
    Format::Pitch,
    Format::Tinyforge,
    Format::Slack,
    Format::Discord,
    Format::Ntfy,
    Format::Alertmanager,
    Format::Template,
];

#[test]
fn every_format_has_its_name_in_the_configuration() {
    for format in ALL {
        assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        let read: Format = serde_json::from_value(format.name().into()).unwrap();
        assert_eq!(read, format);
    }
    assert_eq!(Format::default(), Format::Standard);
}

#[test]
fn the_same_notice_gives_the_same_body() {
    let (lead, members) = pair();
    for format in ALL {
        for notice in [single(&lead), group(&lead, &members)] {
            assert_eq!(body(format, &notice), body(format, &notice));
        }
    }
}

#[test]
fn what_a_format_needs_or_has_no_use_for_is_said() {
    let refused = |format, options: Options<'_>| {
        let error = Renderer::new(format, &options).unwrap_err();
        error.to_string()
    };
    let none = Options::default();
    let topic = |topic| Options {
        topic: Some(topic),
        ..none
    };
    assert_eq!(refused(Format::Ntfy, none), "format ntfy needs topic");
    assert_eq!(
        refused(Format::Template, none),
        "format template needs template"
    );
    assert_eq!(
        refused(Format::Slack, topic("x")),
        "format slack has no use for topic"
    );
    for odd in ["", "a/b", "a b", "ä", &"x".repeat(65)] {
        assert!(
            refused(Format::Ntfy, topic(odd)).starts_with("topic: "),
            "{odd:?}"
        );
    }
}

#[test]
fn a_time_that_cannot_be_written_is_the_nearest_that_can() {
    assert_eq!(rfc3339(AT), "2026-11-20T18:00:00.123Z");
    assert_eq!(rfc3339_seconds(AT), "2026-11-20T18:00:00Z");
    assert_eq!(rfc3339(Timestamp(i64::MIN)), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(Timestamp(i64::MAX)), "9999-12-31T23:59:59.999Z");
}

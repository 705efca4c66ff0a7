//! A file of `silences.d` is refused with its key and a reason, or it is a silence that ends, and
//! that reads as the same when it is written.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use roundsman_herald::silence::{label_of, parse};
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, EventId, Severity, State};

static EVENT: LazyLock<Event> = LazyLock::new(|| Event {
    id: EventId(7),
    uid: "01-fuzz".into(),
    at: Timestamp(1_795_197_600_000),
    agent: "test".into(),
    kind: "test.thing".into(),
    state: State::Firing,
    correlation: Some("c".into()),
    severity: Severity::Error,
    subject: Some("/srv".into()),
    order_key: None,
    labels: [("unit".into(), "nginx.service".into())].into(),
    data: serde_json::json!({"used": 97.5})
        .as_object()
        .cloned()
        .unwrap_or_default(),
    message: "a line".into(),
    dedup_key: None,
});

fuzz_target!(|text: &str| {
    let path = Path::new("/etc/roundsman/silences.d/disks.toml");
    let silence = match parse(path, "disks", text) {
        Ok(silence) => silence,
        Err(finding) => {
            assert!(!finding.reason.is_empty() && !finding.remedy.is_empty());
            assert_eq!(label_of(&finding).as_deref(), Some("silence:disks"));
            return;
        }
    };
    assert_eq!(silence.label(), "silence:disks");
    assert!(!silence.reason.trim().is_empty());
    let until = silence.until;
    assert!(!silence.holds(&EVENT, until));
    let before = Timestamp(until.0.saturating_sub(1));
    let urgent = Event {
        severity: Severity::Critical,
        ..EVENT.clone()
    };
    assert!(silence.urgent || !silence.holds(&urgent, before));
    let written = toml::to_string(&silence.file).expect("it was read");
    let again = parse(path, "disks", &written).expect("it was written");
    assert_eq!(again.until, until);
    assert!(again.file == silence.file);
    assert_eq!(again.holds(&EVENT, before), silence.holds(&EVENT, before));
});

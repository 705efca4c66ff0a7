//! A template of any text compiles or says why; what compiles renders within its bounds, JSON
//! where it says JSON, and the same bytes each time.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use roundsman_herald::format::{Notice, Template};
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, EventId, Severity, State};
use serde::de::IgnoredAny;

/// The documented limit.
const OUTPUT_BYTES: usize = 256 * 1024;

static EVENT: LazyLock<Event> = LazyLock::new(|| Event {
    id: EventId(7),
    uid: "01-fuzz".into(),
    at: Timestamp(1_795_197_600_000),
    agent: "test".into(),
    kind: "test.thing".into(),
    state: State::Firing,
    correlation: Some("c".into()),
    severity: Severity::Error,
    subject: Some("/srv/\"<@&\u{1b}\u{1F525}".into()),
    order_key: None,
    labels: BTreeMap::from([("unit".into(), "nginx.service".into())]),
    data: serde_json::from_str(r#"{"used": 97.5, "list": [1, "b", null], "deep": {"a": {}}}"#)
        .unwrap_or_default(),
    message: "a line\nand another".into(),
    dedup_key: None,
});

fuzz_target!(|source: &str| -> Corpus {
    let Ok(template) = Template::compile(source) else {
        // Kept as well: most of the language is behind small mistakes.
        return Corpus::Keep;
    };
    let event: &Event = &EVENT;
    let notice = Notice {
        event,
        host: "host",
        trigger: "trigger",
        endpoint: "endpoint",
        members: &[],
    };
    let digest = Notice {
        members: std::slice::from_ref(event),
        ..notice
    };
    for notice in [notice, digest] {
        if let Ok(body) = template.render(&notice) {
            assert!(body.bytes.len() <= OUTPUT_BYTES);
            assert!(serde_json::from_slice::<IgnoredAny>(&body.bytes).is_ok());
            assert_eq!(template.render(&notice).ok(), Some(body));
        }
    }
    Corpus::Keep
});

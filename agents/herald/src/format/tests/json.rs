//! The bytes of the formats that programs read.

use super::*;

const SEEN: &str = concat!(
    r#""uid":"0a9133f9-a747-5993-ad1c-48c885e59ccf","sequence":42,"#,
    r#""time":"2026-11-20T18:00:00.123Z","agent":"hostmetrics","kind":"hostmetrics.disk","#,
    r#""state":"firing","severity":"warning","correlation":"disk:/home:7","subject":"/home","#,
    r#""order_key":"disk:/home","message":"/home is 91 % full","labels":{"role":"db"},"#,
    r#""data":{"unit":"%","value":91.2}"#
);
const SEEN_AFTER: &str = concat!(
    r#""uid":"second","sequence":43,"#,
    r#""time":"2026-11-20T18:01:00.123Z","agent":"hostmetrics","kind":"hostmetrics.disk","#,
    r#""state":"resolved","severity":"notice","correlation":"disk:/home:7","subject":"/home","#,
    r#""order_key":"disk:/home","message":"/home is well again","labels":{"role":"db"},"#,
    r#""data":{"unit":"%","value":91.2}"#
);
const ABOUT: &str = concat!(
    r#""resource":{"uid":"disk:/home:7","type":"hostmetrics.disk","name":"/home","#,
    r#""namespace":"","annotationValue":""},"metadata":{"labels":{"role":"db"}}"#
);

fn data() -> String {
    format!(r#"{{"host":"web1","trigger":"disks",{SEEN}}}"#)
}

fn digest() -> String {
    format!(
        r#"{{"host":"web1","trigger":"disks","severity":"warning","total":2,"omitted":0,"events":[{{{SEEN}}},{{{SEEN_AFTER}}}]}}"#
    )
}

#[test]
fn standard() {
    let data = data();
    let body = body(Format::Standard, &single(&event()));
    assert_eq!(
        (body.content_type.as_str(), body.headers),
        ("application/json", vec![])
    );
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        format!(
            r#"{{"type":"hostmetrics.disk","timestamp":"2026-11-20T18:00:00.123Z","data":{data}}}"#
        )
    );
    let (lead, members) = pair();
    let data = digest();
    assert_eq!(
        text(Format::Standard, &group(&lead, &members)),
        format!(
            r#"{{"type":"herald.digest","timestamp":"2026-11-20T18:01:00.123Z","data":{data}}}"#
        )
    );
    assert_eq!(
        text(Format::Standard, &single(&bare())),
        r#"{"type":"hostmetrics.disk","timestamp":"2026-11-20T18:00:00.123Z","data":{"host":"web1","trigger":"disks","uid":"bare","sequence":42,"time":"2026-11-20T18:00:00.123Z","agent":"hostmetrics","kind":"hostmetrics.disk","state":"occurred","severity":"info","message":"","labels":{},"data":{}}}"#
    );
}

#[test]
fn cloudevents() {
    let data = data();
    let body = body(Format::Cloudevents, &single(&event()));
    assert_eq!(body.content_type, "application/cloudevents+json");
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        format!(
            r#"{{"specversion":"1.0","id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","source":"/roundsman/web1/hostmetrics","type":"io.roundsman.hostmetrics.disk","subject":"/home","time":"2026-11-20T18:00:00.123Z","datacontenttype":"application/json","sequence":"0000000000000000042","partitionkey":"disk:/home","severity":"warning","data":{data}}}"#
        )
    );
    let (lead, members) = pair();
    let data = digest();
    assert_eq!(
        text(Format::Cloudevents, &group(&lead, &members)),
        format!(
            r#"{{"specversion":"1.0","id":"group-1","source":"/roundsman/web1/herald","type":"io.roundsman.herald.digest","subject":"disks","time":"2026-11-20T18:01:00.123Z","datacontenttype":"application/json","sequence":"0000000000000000043","severity":"warning","data":{data}}}"#
        )
    );
}

/// CloudEvents 1.0.2 §2 and §3: names are lower-case letters and digits, the four required
/// attributes are there and not empty, optional ones are absent or not empty, a String has no
/// control character, and `source` is a URI reference.
#[test]
fn the_attributes_of_a_cloudevent_are_as_its_specification_wants_them() {
    let odd = Event {
        uid: "a.b\r\nc".to_owned(),
        agent: "a/b ä%".to_owned(),
        kind: "x\u{0}y\u{85}z\u{fffe}".to_owned(),
        subject: Some("s\u{1b}[0m\n".to_owned()),
        order_key: Some(String::new()),
        ..event()
    };
    let (lead, members) = pair();
    let notices = [
        single(&odd),
        single(&lead),
        group(&lead, &members),
        group(&odd, &members),
    ];
    for notice in notices {
        let event = object(value(Format::Cloudevents, &notice));
        for name in ["id", "source", "specversion", "type"] {
            assert!(
                event[name].as_str().is_some_and(|v| !v.is_empty()),
                "{name}"
            );
        }
        assert_eq!(event["specversion"], "1.0");
        for (name, value) in event.iter().filter(|(name, _)| *name != "data") {
            let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(name.chars().all(lower) && name.len() <= 20, "{name}");
            let value = value.as_str().unwrap();
            let clean = |c: char| !c.is_control() && u32::from(c) & 0xfffe != 0xfffe;
            assert!(
                !value.is_empty() && value.chars().all(clean),
                "{name}: {value:?}"
            );
        }
        let time = event["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        let source = event["source"].as_str().unwrap();
        let in_uri = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
        assert!(source.chars().all(in_uri), "{source}");
    }
    let event = value(Format::Cloudevents, &notices[0]);
    assert_eq!(event["source"], "/roundsman/web1/a%2Fb%20%C3%A4%25");
    assert_eq!(event["id"], crate::sign::message_id("a.b\r\nc"));
    assert_eq!(event["data"]["uid"], "a.b\r\nc");
    assert_eq!(event.get("partitionkey"), None);
}

/// An event of a Kubernetes object, as beacon's.
fn created() -> Event {
    Event {
        kind: "beacon.created".to_owned(),
        state: State::Occurred,
        data: object(json!({
            "uid": "u-1", "kind": "ConfigMap", "name": "app", "namespace": "shop",
            "annotation_value": "yes", "annotations": {"a/b": "1", "n": 2},
            "labels": {"tier": "web"}, "resource_version": "77",
        })),
        ..event()
    }
}

#[test]
fn beacon() {
    let body = body(Format::Beacon, &single(&created()));
    assert_eq!(
        body.content_type,
        "application/cloudevents+json; charset=UTF-8"
    );
    let agent = concat!("beacon/", env!("CARGO_PKG_VERSION"));
    assert_eq!(body.headers, [("user-agent", agent.to_owned())]);
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        r#"{"specversion":"1.0","id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","source":"/beacon/shop/ConfigMap","type":"net.bakerapps.beacon.resource.created","subject":"app","time":"2026-11-20T18:00:00Z","datacontenttype":"application/json","data":{"resource":{"uid":"u-1","type":"ConfigMap","name":"app","namespace":"shop","annotationValue":"yes"},"metadata":{"annotations":{"a/b":"1"},"labels":{"tier":"web"},"resourceVersion":"77"}}}"#
    );
    // What is no object of Kubernetes, and beacon's source of an object without a namespace.
    assert_eq!(
        text(Format::Beacon, &single(&event())),
        format!(
            r#"{{"specversion":"1.0","id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","source":"/beacon//hostmetrics.disk","type":"net.bakerapps.beacon.resource.created","subject":"/home","time":"2026-11-20T18:00:00Z","datacontenttype":"application/json","data":{{{ABOUT}}}}}"#
        )
    );
    let (lead, members) = pair();
    assert_eq!(
        text(Format::Beacon, &group(&lead, &members)),
        format!(
            r#"{{"specversion":"1.0","id":"group-1","source":"/beacon/digest","type":"net.bakerapps.beacon.resource.digest","subject":"disks","time":"2026-11-20T18:01:00Z","datacontenttype":"application/json","data":{{"total":2,"omitted":0,"events":[{{"id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","timestamp":"2026-11-20T18:00:00Z","eventType":"created",{ABOUT}}},{{"id":"second","timestamp":"2026-11-20T18:01:00Z","eventType":"deleted",{ABOUT}}}]}}}}"#
        )
    );
    let options = Options {
        source_prefix: Some("/ours"),
        type_prefix: Some("org.example"),
        ..Options::default()
    };
    let renderer = Renderer::new(Format::Beacon, &options).unwrap();
    let body = renderer.render(&single(&created())).unwrap();
    let event: Value = serde_json::from_slice(&body.bytes).unwrap();
    assert_eq!(event["source"], "/ours/shop/ConfigMap");
    assert_eq!(event["type"], "org.example.created");
}

#[test]
fn beacon_legacy() {
    let deleted = Event {
        kind: "beacon.deleted".to_owned(),
        ..created()
    };
    let body = body(Format::BeaconLegacy, &single(&deleted));
    assert_eq!(body.content_type, "application/json");
    let id = (
        "x-event-id",
        "0a9133f9-a747-5993-ad1c-48c885e59ccf".to_owned(),
    );
    assert_eq!(body.headers[1], id);
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        r#"{"id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","timestamp":"2026-11-20T18:00:00Z","eventType":"deleted","resource":{"uid":"u-1","type":"ConfigMap","name":"app","namespace":"shop","annotationValue":"yes"},"metadata":{"annotations":{"a/b":"1"},"labels":{"tier":"web"},"resourceVersion":"77"}}"#
    );
    let (lead, members) = pair();
    let digest = value(Format::BeaconLegacy, &group(&lead, &members));
    assert_eq!(digest["eventType"], "digest");
    assert_eq!(digest["events"][1]["eventType"], "deleted");
}

#[test]
fn pitch() {
    assert_eq!(
        text(Format::Pitch, &single(&event())),
        r#"{"title":"hostmetrics.disk /home","message":"/home is 91 % full","severity":"warning","author":"hostmetrics","timestamp":"2026-11-20T18:00:00.123Z","system":"web1","tags":"hostmetrics.disk,firing,role=db"}"#
    );
    let (lead, members) = pair();
    assert_eq!(
        text(Format::Pitch, &group(&lead, &members)),
        r#"{"title":"disks: 2 events on web1: 1 warning, 1 resolved","message":"warning: /home is 91 % full\nresolved: /home is well again","severity":"warning","author":"herald","timestamp":"2026-11-20T18:01:00.123Z","system":"web1","tags":"digest,disks"}"#
    );
    // The receiver refuses a message without title or message.
    assert_eq!(
        text(Format::Pitch, &single(&bare())),
        r#"{"title":"hostmetrics.disk","message":"hostmetrics.disk","severity":"info","author":"hostmetrics","timestamp":"2026-11-20T18:00:00.123Z","system":"web1","tags":"hostmetrics.disk,occurred"}"#
    );
    let message = value(Format::Pitch, &single(&resolved()));
    assert_eq!(message["severity"], "success");
    let commas = Event {
        labels: [("list".to_owned(), "a,b\nc".to_owned())].into(),
        ..event()
    };
    let message = value(Format::Pitch, &single(&commas));
    assert_eq!(message["tags"], "hostmetrics.disk,firing,list=a_b c");
}

#[test]
fn tinyforge() {
    let data = data();
    let body = body(Format::Tinyforge, &single(&event()));
    assert_eq!(body.content_type, "application/json");
    let headers = [
        ("user-agent", "Tinyforge-Webhook/1"),
        ("x-tinyforge-event", "hostmetrics.disk"),
        (
            "x-tinyforge-delivery",
            "0a9133f9-a747-5993-ad1c-48c885e59ccf",
        ),
        ("x-tinyforge-timestamp", "2026-11-20T18:00:00.123Z"),
        ("x-tinyforge-tier", "event-trigger"),
    ];
    assert_eq!(
        body.headers,
        headers.map(|(name, value)| (name, value.to_owned()))
    );
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        format!(
            r#"{{"event":"hostmetrics.disk","delivery_id":"0a9133f9-a747-5993-ad1c-48c885e59ccf","timestamp":"2026-11-20T18:00:00.123Z","source":"hostmetrics","severity":"warn","message":"/home is 91 % full","metadata":{data}}}"#
        )
    );
    let (lead, members) = pair();
    let data = digest();
    assert_eq!(
        text(Format::Tinyforge, &group(&lead, &members)),
        format!(
            r#"{{"event":"herald.digest","delivery_id":"group-1","timestamp":"2026-11-20T18:01:00.123Z","source":"herald","severity":"warn","message":"disks: 2 events on web1: 1 warning, 1 resolved","metadata":{data}}}"#
        )
    );
}

#[test]
fn nothing_of_an_event_breaks_a_header() {
    let odd = Event {
        uid: "x\r\nevil: 1".to_owned(),
        kind: "k\r\nevil: 1 ä".to_owned(),
        ..event()
    };
    let (_, members) = pair();
    for format in ALL {
        for notice in [single(&odd), group(&odd, &members)] {
            let body = body(format, &notice);
            let values = body.headers.iter().map(|(_, value)| value);
            for value in values.chain([&body.content_type]) {
                let visible = |byte: u8| matches!(byte, b' '..=b'~');
                assert!(value.bytes().all(visible), "{format:?}: {value:?}");
            }
        }
    }
}

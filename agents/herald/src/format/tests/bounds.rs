//! Large events and large groups.

use super::fit::BODY_BYTES;
use super::*;

const BOUNDED: [Format; 9] = [
    Format::Standard,
    Format::Cloudevents,
    Format::Beacon,
    Format::BeaconLegacy,
    Format::Pitch,
    Format::Tinyforge,
    Format::Slack,
    Format::Discord,
    Format::Ntfy,
];

fn with_data(data: Value) -> Event {
    Event {
        data: object(data),
        ..event()
    }
}

fn assert_bounded(notice: &Notice<'_>) {
    for format in BOUNDED {
        let body = body(format, notice).bytes;
        assert!(body.len() < BODY_BYTES, "{format:?}: {}", body.len());
        serde_json::from_slice::<Value>(&body).unwrap();
    }
}

#[test]
fn the_longest_strings_of_a_large_event_are_cut_and_the_event_says_so() {
    let event = with_data(json!({
        "log": "ä".repeat(50_000), "short": "kept", "list": [{"deep": "x".repeat(5000)}],
    }));
    let data = &value(Format::Standard, &single(&event))["data"];
    assert_eq!(data["truncated"], true);
    let log = data["data"]["log"].as_str().unwrap();
    assert!(log.ends_with("ä…") && log.len() <= 4096, "{}", log.len());
    assert_eq!(data["data"]["short"], "kept");
    let deep = data["data"]["list"][0]["deep"].as_str().unwrap();
    assert_eq!((deep.len(), deep.ends_with("x…")), (4096, true));
    assert_bounded(&single(&event));

    let fits = with_data(json!({"log": "x".repeat(15_000)}));
    let data = &value(Format::Standard, &single(&fits))["data"];
    assert_eq!(data["data"]["log"].as_str().unwrap().len(), 15_000);
    assert_eq!(data.get("truncated"), None);
}

#[test]
fn data_that_no_cutting_makes_short_is_left_out() {
    let event = with_data(json!({"numbers": vec![123_456; 100_000]}));
    let data = &value(Format::Standard, &single(&event))["data"];
    assert_eq!(data["data"], json!({}));
    assert_eq!(
        (&data["truncated"], &data["message"]),
        (&true.into(), &event.message.as_str().into())
    );
    assert_bounded(&single(&event));
}

#[test]
fn an_event_that_is_absurd_everywhere_still_fits() {
    let long = "\u{1}".repeat(30_000);
    let absurd = Event {
        uid: long.clone(),
        agent: long.clone(),
        kind: long.clone(),
        correlation: Some(long.clone()),
        subject: Some(long.clone()),
        order_key: Some(long.clone()),
        dedup_key: Some(long.clone()),
        labels: (0..2000)
            .map(|n| (format!("l{n}"), long[..100].to_owned()))
            .collect(),
        message: long.clone(),
        data: object(json!({"uid": long, "kind": long, "annotations": {"a": long}})),
        ..event()
    };
    assert_bounded(&Notice {
        host: &long,
        trigger: &long,
        ..single(&absurd)
    });
    let members = vec![absurd.clone(); 3];
    assert_bounded(&Notice {
        host: &long,
        trigger: &long,
        ..group(&absurd, &members)
    });
}

#[test]
fn a_large_group_tells_as_many_as_fit_and_counts_the_rest() {
    let members: Vec<Event> = (0..1000)
        .map(|n| Event {
            id: EventId(n),
            message: format!("disk {n} {}", "x".repeat(400)),
            ..event()
        })
        .collect();
    let lead = event();
    let notice = group(&lead, &members);
    assert_bounded(&notice);
    let data = &value(Format::Standard, &notice)["data"];
    let told = data["events"].as_array().unwrap().len();
    assert_eq!(data["total"], 1000);
    assert_eq!(data["omitted"], 1000 - told);
    assert!(told >= 25, "{told}");
    for (format, at) in [
        (Format::Slack, "/blocks/0/text/text"),
        (Format::Discord, "/content"),
        (Format::Ntfy, "/message"),
        (Format::Pitch, "/message"),
    ] {
        let message = value(format, &notice);
        let text = message.pointer(at).unwrap().as_str().unwrap();
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("… and 99") && last.ends_with(" more"),
            "{last}"
        );
    }
}

#[test]
fn a_message_of_five_hundred_bytes_passes_whole() {
    let message = format!("{}é", "x".repeat(498));
    let long = Event {
        message: message.clone(),
        ..event()
    };
    for format in BOUNDED
        .into_iter()
        .filter(|format| !matches!(format, Format::Beacon | Format::BeaconLegacy))
    {
        assert!(
            text(format, &single(&long)).contains(&message),
            "{format:?}"
        );
    }
}

//! The bytes of the formats that people read, and what an attacker would write.

use super::*;

#[test]
fn slack() {
    assert_eq!(
        text(Format::Slack, &single(&event())),
        r#"{"text":"WARNING /home is 91 % full","mrkdwn":false,"parse":"none","link_names":false,"unfurl_links":false,"unfurl_media":false,"blocks":[{"type":"section","text":{"type":"plain_text","text":"WARNING /home is 91 % full","emoji":false}},{"type":"context","elements":[{"type":"plain_text","text":"hostmetrics.disk /home","emoji":false},{"type":"plain_text","text":"firing","emoji":false},{"type":"plain_text","text":"on web1","emoji":false}]}]}"#
    );
    let (lead, members) = pair();
    assert_eq!(
        text(Format::Slack, &group(&lead, &members)),
        r#"{"text":"disks: 2 events on web1: 1 warning, 1 resolved","mrkdwn":false,"parse":"none","link_names":false,"unfurl_links":false,"unfurl_media":false,"blocks":[{"type":"section","text":{"type":"plain_text","text":"WARNING /home is 91 % full\nRESOLVED /home is well again","emoji":false}},{"type":"context","elements":[{"type":"plain_text","text":"disks","emoji":false},{"type":"plain_text","text":"on web1","emoji":false}]}]}"#
    );
}

#[test]
fn discord() {
    assert_eq!(
        text(Format::Discord, &single(&event())),
        r#"{"content":"**WARNING** /home is 91 % full\nAbout hostmetrics.disk /home, firing, on web1","allowed_mentions":{"parse":[]},"flags":4}"#
    );
    let (lead, members) = pair();
    assert_eq!(
        text(Format::Discord, &group(&lead, &members)),
        r#"{"content":"**disks: 2 events on web1: 1 warning, 1 resolved**\n**WARNING** /home is 91 % full\n**RESOLVED** /home is well again","allowed_mentions":{"parse":[]},"flags":4}"#
    );
}

#[test]
fn ntfy() {
    assert_eq!(
        text(Format::Ntfy, &single(&event())),
        r#"{"topic":"ops","title":"web1: hostmetrics.disk /home","message":"warning: /home is 91 % full","priority":3,"tags":["warning","hostmetrics.disk"]}"#
    );
    let (lead, members) = pair();
    assert_eq!(
        text(Format::Ntfy, &group(&lead, &members)),
        r#"{"topic":"ops","title":"disks: 2 events on web1: 1 warning, 1 resolved","message":"warning: /home is 91 % full\nresolved: /home is well again","priority":3,"tags":["warning","herald.digest"]}"#
    );
    let priorities = Severity::ALL.map(|severity| {
        let event = Event {
            severity,
            ..event()
        };
        value(Format::Ntfy, &single(&event))["priority"].clone()
    });
    assert_eq!(priorities, [5, 5, 5, 4, 3, 3, 2, 1]);
    let well = value(Format::Ntfy, &single(&resolved()));
    assert_eq!(well["tags"][0], "white_check_mark");
}

const ATTACK: &str = "<!channel> <@U1> @everyone a@b.c \"q\" & *x* _y_ `z` ||s|| [t](http://e) # \\ \
                      \r\n> n\u{0}\u{7}\u{1b}[2J\u{9b}\u{202e}";

fn attack() -> Event {
    Event {
        subject: Some(ATTACK.to_owned()),
        kind: ATTACK.to_owned(),
        message: ATTACK.to_owned(),
        labels: [(ATTACK.to_owned(), ATTACK.to_owned())].into(),
        ..event()
    }
}

#[test]
fn slack_shows_an_attack_and_calls_nobody() {
    let message = value(Format::Slack, &single(&attack()));
    let expected = "WARNING &lt;!channel&gt; &lt;@\u{200b}U1&gt; @\u{200b}everyone a@b.c \"q\" \
                    &amp; *x* _y_ `z` ||s|| [t](http://e) # \\   &gt; n���[2J��";
    assert_eq!(message["text"], expected);
    assert_eq!(message["blocks"][0]["text"]["text"], expected);
}

#[test]
fn discord_shows_an_attack_and_calls_nobody() {
    let message = value(Format::Discord, &single(&attack()));
    let expected = "**WARNING** \\<!channel\\> \\<@\u{200b}U1\\> @\u{200b}everyone a@b.c \"q\" & \
                    \\*x\\* \\_y\\_ \\`z\\` \\|\\|s\\|\\| \\[t\\]\\(http://e\\) \\# \\\\   \\> \
                    n���\\[2J��\nAbout ";
    let content = message["content"].as_str().unwrap();
    assert!(content.starts_with(expected), "{content}");
    assert_eq!(message["allowed_mentions"], json!({"parse": []}));
}

/// Every string of `value`, keys too.
fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.push(key.clone());
            strings(value, into);
        }),
        _ => {}
    }
}

#[test]
fn no_control_character_gets_through_to_people() {
    let event = attack();
    let members = [event.clone(), event.clone()];
    let formats = [
        Format::Slack,
        Format::Discord,
        Format::Ntfy,
        Format::Pitch,
        Format::Alertmanager,
    ];
    for format in formats {
        for notice in [single(&event), group(&event, &members)] {
            let notice = Notice {
                host: ATTACK,
                trigger: ATTACK,
                ..notice
            };
            let mut found = Vec::new();
            strings(&value(format, &notice), &mut found);
            for text in found {
                let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                assert!(!text.contains(obeyed), "{format:?}: {text:?}");
                // The only line breaks are ours.
                assert!(!text.contains("\n>"), "{format:?}: {text:?}");
            }
        }
    }
}

#[test]
fn discord_never_gets_more_than_it_takes() {
    for part in ["*".repeat(500), "😀".repeat(125), "@".repeat(500)] {
        let event = Event {
            subject: Some(part.repeat(4)),
            kind: part.repeat(4),
            message: part.clone(),
            ..event()
        };
        let members = vec![event.clone(); 30];
        let host = part.repeat(3);
        for notice in [single(&event), group(&event, &members)] {
            let notice = Notice {
                host: &host,
                ..notice
            };
            let message = value(Format::Discord, &notice);
            let content = message["content"].as_str().unwrap();
            let units = content.encode_utf16().count();
            assert!((600..=2000).contains(&units), "{units}");
        }
    }
}

#[test]
fn slack_never_gets_more_than_it_takes() {
    let event = Event {
        message: "&".repeat(500),
        ..event()
    };
    let message = value(Format::Slack, &single(&event));
    let section = message["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(section.ends_with("&amp;") && section.len() <= 3000);
    let text = message["text"].as_str().unwrap();
    assert!(
        text.ends_with("&amp;…") && text.len() <= 602,
        "{}",
        text.len()
    );
}

//! Chats publish limits and fields, but no library that checks them: each expectation here stands
//! on the page that it names.

use roundsman_tests::Receiver;
use serde_json::Value;

use crate::sender::{Sender, awkward, long};

/// What arrives for an event with awkward text, and for one with far too much of it.
fn bodies(keys: &str) -> [Value; 2] {
    let receiver = Receiver::local().unwrap();
    let sender = Sender::new(&format!("url = '{}'\n{keys}", receiver.url()), &[]);
    let mut earlier = 0;
    [awkward(), long()].map(|event| {
        sender.publish(&event);
        let arrival = receiver.next_after(earlier).unwrap();
        earlier += 1;
        assert_eq!(arrival.headers["content-type"], "application/json");
        arrival.json().unwrap()
    })
}

#[track_caller]
fn assert_keys(object: &Value, known: &[&str]) {
    for key in object.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "{key} in {object:#}");
    }
}

fn units(text: &Value) -> usize {
    text.as_str().unwrap().encode_utf16().count()
}

/// <https://docs.slack.dev/reference/block-kit/blocks/section-block>: text has 1 to 3000
/// characters; <https://docs.slack.dev/reference/block-kit/blocks/context-block>: at most 10
/// elements; <https://docs.slack.dev/reference/block-kit/composition-objects/text-object>;
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>: `&`, `<` and `>` are
/// escaped.
#[test]
fn slack_gets_blocks_within_its_limits_and_nobody_is_called() {
    for body in bodies("format = 'slack'") {
        assert_keys(
            &body,
            &[
                "text",
                "blocks",
                "mrkdwn",
                "parse",
                "link_names",
                "unfurl_links",
                "unfurl_media",
            ],
        );
        assert!(units(&body["text"]) > 0);
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert_eq!(blocks[0]["type"], "section");
        assert!((1..=3000).contains(&units(&blocks[0]["text"]["text"])));
        assert_eq!(blocks[1]["type"], "context");
        let elements = blocks[1]["elements"].as_array().unwrap();
        assert!((1..=10).contains(&elements.len()));
        for text in elements.iter().chain([&blocks[0]["text"]]) {
            assert_keys(text, &["type", "text", "emoji"]);
            assert_eq!(text["type"], "plain_text");
            assert!(units(&text["text"]) > 0, "{body:#}");
        }
        let said = body.to_string();
        assert!(!said.contains('<') && !said.contains('>'), "{said}");
    }
}

/// <https://discord.com/developers/docs/resources/webhook#execute-webhook>: content has up to 2000
/// characters; <https://discord.com/developers/docs/resources/message#allowed-mentions-object>: an
/// empty `parse` mentions nobody; flag 4 is `SUPPRESS_EMBEDS`.
#[test]
fn discord_gets_content_within_its_limit_and_nobody_is_mentioned() {
    for body in bodies("format = 'discord'") {
        assert_keys(&body, &["content", "allowed_mentions", "flags"]);
        assert!((1..=2000).contains(&units(&body["content"])));
        assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([]));
        assert_eq!(body["flags"], 4);
    }
}

/// <https://docs.ntfy.sh/publish/#publish-as-json>: the fields, with priorities from 1 to 5;
/// <https://docs.ntfy.sh/publish/#limitations>: a message has up to 4096 bytes, a longer one
/// becomes an attachment.
#[test]
fn ntfy_gets_its_fields_within_its_limits() {
    for body in bodies("format = 'ntfy'\ntopic = 'alerts'") {
        assert_keys(&body, &["topic", "title", "message", "priority", "tags"]);
        assert_eq!(body["topic"], "alerts");
        assert!((1..=4096).contains(&body["message"].as_str().unwrap().len()));
        assert!(!body["title"].as_str().unwrap().contains('\n'));
        assert!((1..=5).contains(&body["priority"].as_u64().unwrap()));
        for tag in body["tags"].as_array().unwrap() {
            assert!(!tag.as_str().unwrap().contains(','), "{tag}");
        }
    }
}

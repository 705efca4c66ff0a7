//! A Slack incoming webhook. All text is `plain_text`, so no mark-up in an event means anything;
//! `&`, `<` and `>` are escaped, without which `<!channel>` would call everybody, and an `@` that
//! begins a mention is followed by a space of no width, for compatible servers read `@channel`.

use roundsman_store::event::Event;
use serde::Serialize;

use super::{Body, Notice, RenderError, text};

/// Slack's limit for the text of a section.
const SECTION: usize = 3000;
/// What the fallback and each part of the context may have.
const SHORT: usize = 600;

#[derive(Serialize)]
struct Message {
    /// For notifications, and for servers without blocks.
    text: String,
    mrkdwn: bool,
    parse: &'static str,
    link_names: bool,
    unfurl_links: bool,
    unfurl_media: bool,
    blocks: [Block; 2],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Section { text: Text },
    Context { elements: Vec<Text> },
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
    emoji: bool,
}

impl Text {
    fn new(text: String) -> Self {
        Self {
            r#type: "plain_text",
            text,
            emoji: false,
        }
    }
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let event = notice.event;
    let (text, section, context) = if notice.is_digest() {
        let lines = notice.members.iter().map(|event| line(event, 300));
        let context = vec![notice.trigger.to_owned(), format!("on {}", notice.host)];
        let text = escape(&text::summary(notice), SHORT);
        (text, text::join(lines, SECTION), context)
    } else {
        let context = vec![
            text::title(event),
            event.state.to_string(),
            format!("on {}", notice.host),
        ];
        (line(event, SHORT), line(event, SECTION), context)
    };
    let context = context.iter();
    let elements = context.map(|part| Text::new(escape(part, SHORT))).collect();
    let message = Message {
        text,
        mrkdwn: false,
        parse: "none",
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
        blocks: [
            Block::Section {
                text: Text::new(section),
            },
            Block::Context { elements },
        ],
    };
    Ok(Body::json(serde_json::to_vec(&message)?))
}

fn line(event: &Event, units: usize) -> String {
    let mark = text::mark(event).to_uppercase();
    escape(&format!("{mark} {}", text::sentence(event)), units)
}

/// `value` in at most `units`, as Slack wants it.
pub fn escape(value: &str, units: usize) -> String {
    text::escape(value, units, |out, last, c| match c {
        '&' => *out += "&amp;",
        '<' => *out += "&lt;",
        '>' => *out += "&gt;",
        c if text::begins_mention(last, c) => *out += "@\u{200b}",
        c => out.push(c),
    })
}

//! A Discord webhook. Nobody is mentioned whatever the text says (`allowed_mentions`), mark-up is
//! escaped, links get no preview, and the content ends before Discord's 2000 characters.

use roundsman_store::event::Event;
use serde::Serialize;

use super::{Body, Notice, RenderError, text};

/// Discord's limit, in UTF-16 units to be on the safe side.
const CONTENT: usize = 2000;
/// What one foreign part of the content may have.
const PART: usize = 400;
/// The flag that suppresses previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

#[derive(Serialize)]
struct Message {
    content: String,
    allowed_mentions: Mentions,
    flags: u32,
}

#[derive(Serialize)]
struct Mentions {
    parse: [&'static str; 0],
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let content = if notice.is_digest() {
        let head = format!("**{}**\n", escape(&text::summary(notice), PART));
        let room = CONTENT - head.encode_utf16().count();
        let lines = notice.members.iter().map(|event| line(event, PART));
        head + &text::join(lines, room)
    } else {
        let event = notice.event;
        let about = escape(&text::title(event), PART);
        let host = escape(notice.host, PART / 2);
        format!(
            "{}\nAbout {about}, {}, on {host}",
            line(event, CONTENT / 2),
            event.state
        )
    };
    let message = Message {
        content,
        allowed_mentions: Mentions { parse: [] },
        flags: SUPPRESS_EMBEDS,
    };
    Ok(Body::json(serde_json::to_vec(&message)?))
}

/// Begins with a word of ours, so that nothing foreign begins a list, a heading or a quotation.
fn line(event: &Event, units: usize) -> String {
    let mark = text::mark(event).to_uppercase();
    format!("**{mark}** {}", escape(&text::sentence(event), units))
}

/// `value` in at most `units`, so that Discord shows it as it is.
pub fn escape(value: &str, units: usize) -> String {
    text::escape(value, units, |out, last, c| {
        if "\\*_~`|<>#[]()".contains(c) {
            out.push('\\');
        }
        out.push(c);
        if text::begins_mention(last, c) {
            out.push('\u{200b}');
        }
    })
}

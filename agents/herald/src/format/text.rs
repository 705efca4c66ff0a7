//! Words for people, in what a chat can show and cannot obey.

use roundsman_store::event::{Event, Severity, State};

use super::Notice;

const ELLIPSIS: char = '…';

/// `text` on one line, without control characters, without those that turn the direction of
/// writing, and without those that no text may contain.
pub fn plain(text: &str) -> String {
    text.chars().map(harmless).collect()
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => {
            char::REPLACEMENT_CHARACTER
        }
        '\u{2066}'..='\u{2069}' | '\u{fdd0}'..='\u{fdef}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() || u32::from(c) & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// `text`, or as much of it as fits into `bytes` with an ellipsis. At fewer bytes than the
/// ellipsis has, the ellipsis alone.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let room = bytes.saturating_sub(ELLIPSIS.len_utf8());
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end));
    let mut text = text[..end.unwrap_or(0)].to_owned();
    text.push(ELLIPSIS);
    text
}

/// `text` made plain, each character as `write` writes it, in at most `units` UTF-16 units, which
/// is how chats count. It is cut between characters, never within what was written for one.
pub fn escape(text: &str, units: usize, write: impl Fn(&mut String, Option<char>, char)) -> String {
    let (mut out, mut used, mut last, mut whole) = (String::new(), 0, None, 0);
    for c in text.chars().map(harmless) {
        let start = out.len();
        write(&mut out, last, c);
        last = Some(c);
        used += width(&out[start..]);
        if used > units {
            out.truncate(whole);
            out.push(ELLIPSIS);
            return out;
        }
        if used < units {
            whole = out.len();
        }
    }
    out
}

fn width(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Whether an `@` behind `last` would mention somebody: the one of a mail address does not.
pub fn begins_mention(last: Option<char>, c: char) -> bool {
    c == '@' && last.is_none_or(|last| !last.is_alphanumeric())
}

/// `lines` as far as they fit into `units` UTF-16 units, and how many do not.
pub fn join(lines: impl ExactSizeIterator<Item = String>, units: usize) -> String {
    /// Room for the line that says how many are left out.
    const REST: usize = 40;
    let (mut out, mut left) = (String::new(), lines.len());
    let mut room = units;
    for line in lines {
        let needed = width(&line) + 1;
        let spare = if left == 1 { 0 } else { REST };
        if needed + spare > room {
            out += &format!("… and {left} more");
            return out;
        }
        room -= needed;
        left -= 1;
        out += &line;
        if left > 0 {
            out.push('\n');
        }
    }
    out
}

/// The word for an event's state and severity: `resolved`, or how urgent it is.
pub fn mark(event: &Event) -> &'static str {
    match event.state {
        State::Resolved => "resolved",
        State::Occurred | State::Firing => word(event.severity),
    }
}

/// A severity in full.
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Emergency => "emergency",
        Severity::Alert => "alert",
        Severity::Critical => "critical",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Info => "info",
        Severity::Debug => "debug",
    }
}

/// What a person reads first: the message, or kind and subject of an event that has none.
pub fn sentence(event: &Event) -> String {
    if event.message.trim().is_empty() {
        return title(event);
    }
    event.message.clone()
}

/// `hostmetrics.disk /home`.
pub fn title(event: &Event) -> String {
    match event.subject.as_deref() {
        Some(subject) if !subject.is_empty() => format!("{} {subject}", event.kind),
        _ => event.kind.clone(),
    }
}

/// `disks: 3 events on web1: 1 critical, 1 warning, 1 resolved`.
pub fn summary(notice: &Notice<'_>) -> String {
    let events = notice.events();
    let mut counts: Vec<(u8, &'static str, usize)> = Vec::new();
    for event in events {
        let word = mark(event);
        match counts.iter_mut().find(|(_, counted, _)| *counted == word) {
            Some((_, _, count)) => *count += 1,
            None => counts.push((order(event), word, 1)),
        }
    }
    counts.sort_unstable();
    let counts: Vec<String> = counts
        .iter()
        .map(|(_, word, count)| format!("{count} {word}"))
        .collect();
    let plural = if events.len() == 1 { "event" } else { "events" };
    let (trigger, host, total) = (notice.trigger, notice.host, events.len());
    format!(
        "{trigger}: {total} {plural} on {host}: {}",
        counts.join(", ")
    )
}

/// The most urgent first, what is over last.
fn order(event: &Event) -> u8 {
    match event.state {
        State::Resolved => u8::MAX,
        State::Occurred | State::Firing => event.severity.level(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_or_a_chat_obeys_passes() {
        let evil = "a\r\nb\tc\u{1b}[31m\u{7}\0\u{9b}\u{202e}\u{2066}\u{feff}\u{fffe}\u{10ffff}é";
        assert_eq!(plain(evil), "a  b c�[31m����\u{fffd}\u{feff}��é");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_marked() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüx", 6), "ä…");
        assert_eq!(cut("äöü", 2), "…");
        let double = |out: &mut String, _, c| out.extend(['\\', c]);
        assert_eq!(escape("abc", 6, double), "\\a\\b\\c");
        assert_eq!(escape("abc", 5, double), "\\a\\b…");
        assert_eq!(escape("abc", 4, double), "\\a…");
        // A character outside the basic plane counts twice.
        let as_is = |out: &mut String, _, c| out.push(c);
        assert_eq!(escape("😀😀", 4, as_is), "😀😀");
        assert_eq!(escape("😀😀", 3, as_is), "😀…");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let lines = |n: usize, units| join((0..n).map(|i| format!("line {i}")), units);
        assert_eq!(lines(2, 100), "line 0\nline 1");
        assert_eq!(lines(9, 60), "line 0\nline 1\n… and 7 more");
        for units in 40..200 {
            assert!(lines(50, units).len() <= units + 2, "{units}");
        }
    }

    #[test]
    fn the_sign_of_a_mail_address_is_no_mention() {
        assert!(begins_mention(None, '@') && begins_mention(Some('!'), '@'));
        assert!(!begins_mention(Some('x'), '@') && !begins_mention(None, 'x'));
    }
}

//! The last journal lines of one invocation of a unit, read by `journalctl`.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::capture::{End, capture};

/// A line of a unit that prints more than this is cut, so that an event stays an event.
const LONGEST_LINE: usize = 500;

/// Far above what lines of ordinary length need; a unit's message may be of any length.
const MOST_BYTES: usize = 4 << 20;

/// A journal on a slow disk takes a second; the failure itself must not wait for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What could be read.
#[derive(Debug, Default)]
pub struct Lines {
    /// Oldest first. Each is `{"at": ms, "priority": 0-7, "message": "…"}`; what journald did
    /// not say is left out.
    pub lines: Vec<Value>,
    /// Why some are missing.
    pub trouble: Option<String>,
}

/// The last `wanted` entries of `unit`'s invocation: what its processes printed and what the
/// service manager said of it. An event without these lines is still an event, so trouble with
/// them is no error.
pub fn last_lines(unit: &str, invocation: &str, wanted: u32) -> Lines {
    if wanted == 0 {
        return Lines::default();
    }
    let mut command = journalctl(unit, invocation, wanted);
    let captured = capture(&mut command, PATIENCE, MOST_BYTES).context("running journalctl");
    let (text, end) = match captured {
        Ok(captured) => captured,
        Err(error) => {
            return Lines {
                trouble: Some(format!("{error:#}")),
                ..Lines::default()
            };
        }
    };
    let trouble = match end {
        End::Exited(status) if status.success() => None,
        End::Exited(status) => Some(format!("journalctl ended with {status}")),
        End::TooSlow => Some(format!("journalctl took more than {PATIENCE:?}")),
        End::TooMuch => Some(format!("journalctl printed more than {MOST_BYTES} bytes")),
    };
    Lines {
        lines: parse(&text, wanted),
        trouble,
    }
}

fn journalctl(unit: &str, invocation: &str, wanted: u32) -> Command {
    let mut command = Command::new("journalctl");
    // All: without it a field above 4096 bytes is printed as null. Reverse: what is cut off is
    // the oldest.
    command.args([
        "--quiet",
        "--no-pager",
        "--output=json",
        "--all",
        "--reverse",
    ]);
    command
        .arg("--output-fields=MESSAGE,PRIORITY")
        .arg(format!("--lines={wanted}"));
    if invocation.is_empty() {
        command.arg(format!("--unit={unit}"));
    } else {
        // Both halves of one story: the unit's own lines, or the manager's lines about it.
        command
            .arg(format!("_SYSTEMD_INVOCATION_ID={invocation}"))
            .arg("+")
            .arg(format!("INVOCATION_ID={invocation}"));
    }
    command
}

/// The first `wanted` entries, in reverse; the last line may have been cut.
fn parse(text: &[u8], wanted: u32) -> Vec<Value> {
    let mut lines: Vec<_> = text
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .filter_map(entry)
        .take(usize::try_from(wanted).unwrap_or(usize::MAX))
        .collect();
    lines.reverse();
    lines
}

fn entry(line: &[u8]) -> Option<Value> {
    let entry: Value = serde_json::from_slice(line).ok()?;
    let number = |key: &str| text(&entry[key])?.parse::<i64>().ok();
    let message = text(&entry["MESSAGE"])?;
    let mut kept = Map::new();
    if let Some(micros) = number("__REALTIME_TIMESTAMP") {
        kept.insert("at".into(), (micros / 1000).into());
    }
    if let Some(priority) = number("PRIORITY") {
        kept.insert("priority".into(), priority.into());
    }
    kept.insert("message".into(), cut(&message).into());
    Some(kept.into())
}

/// A field's text. `journalctl` prints what is not plain text as an array of its bytes, and a
/// field that an entry has several times as an array of its values: then the first counts.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) if bytes.iter().all(Value::is_u64) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(values) => values.iter().find_map(text),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST_LINE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_LINE - '…'.len_utf8())
        .rev()
        .find(|at| text.is_char_boundary(*at));
    format!("{}…", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_are_text_binary_repeated_or_passed_over() {
        let entry = |line: &str| entry(line.as_bytes());
        let text = entry(r#"{"MESSAGE":"hi","PRIORITY":"3","__REALTIME_TIMESTAMP":"1500000"}"#);
        assert_eq!(
            text,
            Some(json!({"at": 1500, "priority": 3, "message": "hi"}))
        );
        let binary = entry(r#"{"MESSAGE":[104,255,105],"PRIORITY":null}"#);
        assert_eq!(binary, Some(json!({"message": "h\u{fffd}i"})));
        let twice = entry(r#"{"MESSAGE":["one","two"],"PRIORITY":["4","5"]}"#);
        assert_eq!(twice, Some(json!({"priority": 4, "message": "one"})));
        let twice = entry(r#"{"MESSAGE":[null,[104,105],"two"]}"#);
        assert_eq!(twice, Some(json!({"message": "hi"})));
        assert_eq!(entry(r#"{"MESSAGE":null}"#), None);
        assert_eq!(entry("garbage"), None);
    }

    #[test]
    fn lines_are_turned_round_and_a_torn_one_is_left_out() {
        let text = b"{\"MESSAGE\":\"new\"}\n{\"MESSAGE\":\"old\"}\n{\"MESSAGE\":\"torn\"}";
        assert_eq!(parse(text, 1), [json!({"message": "new"})]);
        let lines = parse(text, 9);
        assert_eq!(
            lines,
            [json!({"message": "old"}), json!({"message": "new"})]
        );
        let long = cut(&"ü".repeat(400));
        assert!(
            long.len() <= LONGEST_LINE && long.ends_with('…'),
            "{}",
            long.len()
        );
    }
}

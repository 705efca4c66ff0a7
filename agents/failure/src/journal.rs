//! The last journal lines of one invocation of a unit, read by `journalctl`.

use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

/// A line of a unit that prints more than this is cut, so that an event stays an event.
const LONGEST_LINE: usize = 500;

/// Enough for the most lines of the configuration at their longest, with what JSON adds.
const MOST_BYTES: u64 = 1 << 20;

/// The last `lines` entries of `unit`'s invocation, oldest first: what its processes printed and
/// what the service manager said of it. Each is `{"at": ms, "priority": 0-7, "message": "…"}`.
///
/// # Errors
/// `journalctl` is not there or fails. An event without these lines is still an event.
pub fn last_lines(unit: &str, invocation: &str, lines: u32) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--output=json"]);
    command
        .arg("--output-fields=MESSAGE,PRIORITY")
        .arg(format!("--lines={lines}"));
    if invocation.is_empty() {
        command.arg(format!("--unit={unit}"));
    } else {
        // Both halves of one story: the unit's own lines, or the manager's lines about it.
        command
            .arg(format!("_SYSTEMD_INVOCATION_ID={invocation}"))
            .arg("+");
        command.arg(format!("INVOCATION_ID={invocation}"));
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting journalctl")?;
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(MOST_BYTES)
            .read_to_end(&mut text)
            .context("reading journalctl's output")?;
    }
    let status = child.wait().context("waiting for journalctl")?;
    anyhow::ensure!(status.success(), "journalctl ended with {status}");
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .filter_map(entry)
        .collect())
}

fn entry(line: &str) -> Option<Value> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let number = |key: &str| {
        entry[key]
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
    };
    let message = message(&entry["MESSAGE"])?;
    Some(json!({
        "at": number("__REALTIME_TIMESTAMP").map(|micros| micros / 1000),
        "priority": number("PRIORITY"),
        "message": cut(&message),
    }))
}

/// `journalctl` prints a message that is not plain text as an array of its bytes.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
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

    #[test]
    fn entries_are_text_binary_or_passed_over_and_long_ones_are_cut() {
        let text = entry(r#"{"MESSAGE":"hi","PRIORITY":"3","__REALTIME_TIMESTAMP":"1500000"}"#);
        assert_eq!(
            text,
            Some(json!({"at": 1500, "priority": 3, "message": "hi"}))
        );
        let binary = entry(r#"{"MESSAGE":[104,255,105]}"#).unwrap();
        assert_eq!(binary["message"], "h\u{fffd}i");
        assert_eq!(entry(r#"{"MESSAGE":null}"#), None);
        assert_eq!(entry("garbage"), None);
        let long = cut(&"ü".repeat(400));
        assert!(
            long.len() <= LONGEST_LINE && long.ends_with('…'),
            "{}",
            long.len()
        );
    }
}

//! One event as text.

use std::io::Write;

use anstyle::Style;
use roundsman_store::event::{Event, Severity, State};
use serde::Serialize;

use super::Format;
use crate::flat;
use crate::moment;
use crate::terminal::{BAD, FAINT, ODD, Out, escape};

/// An event for other programs: the row as it is, and what is awkward to derive from it.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    event: &'a Event,
    /// `at` in RFC 3339.
    time: String,
    /// `severity` as a number, to compare.
    level: u8,
}

/// Writes one event.
pub fn write(event: &Event, format: Format, out: &mut Out) -> anyhow::Result<()> {
    match format {
        Format::Short => writeln!(out, "{}", short(event, out))?,
        Format::Verbose => verbose(event, out)?,
        Format::Json => out.json_line(&Json {
            event,
            time: event.at.to_string(),
            level: event.severity.level(),
        })?,
    }
    Ok(())
}

/// `TIME SEVERITY KIND [STATE] [SUBJECT:] MESSAGE`.
pub fn short(event: &Event, out: &Out) -> String {
    let style = style(event.severity);
    let mut line = format!(
        "{} {} {}",
        out.paint(FAINT, &moment::show(event.at)),
        out.paint(style, &format!("{:<7}", event.severity)),
        escape(&event.kind),
    );
    if event.state != State::Occurred {
        line.push_str(&format!(" {}", event.state));
    }
    if let Some(subject) = &event.subject
        && !event.message.contains(subject)
    {
        line.push_str(&format!(" {}:", escape(subject)));
    }
    let style = if event.severity <= Severity::Error {
        style
    } else {
        Style::new()
    };
    line.push_str(&format!(" {}", out.paint(style, &event.message)));
    line
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Warning => ODD,
        urgent if urgent < Severity::Warning => BAD,
        _ => Style::new(),
    }
}

fn verbose(event: &Event, out: &mut Out) -> anyhow::Result<()> {
    writeln!(out, "{}", short(event, out))?;
    let id = event.id.0.to_string();
    let state = event.state.to_string();
    let fields = [
        ("id", Some(&id)),
        ("uid", Some(&event.uid)),
        ("agent", Some(&event.agent)),
        ("state", Some(&state)),
        ("subject", event.subject.as_ref()),
        ("correlation", event.correlation.as_ref()),
        ("order_key", event.order_key.as_ref()),
        ("dedup_key", event.dedup_key.as_ref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(out, "    {name}={}", escape(value))?;
        }
    }
    for (name, value) in &event.labels {
        writeln!(out, "    labels.{}={}", escape(name), escape(value))?;
    }
    for (name, value) in flat::pairs(&event.data) {
        writeln!(out, "    data.{}={}", escape(&name), escape(&value))?;
    }
    Ok(())
}

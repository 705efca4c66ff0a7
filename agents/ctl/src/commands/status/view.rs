//! The report for a person.

use std::io::Write;

use anstyle::Style;
use roundsman_store::cycle::Outcome;

use super::model::{LastCycle, Report, Row, State};
use crate::commands::events::short;
use crate::moment;
use crate::terminal::{BAD, Cell, FAINT, GOOD, HEAD, ODD, Out, escape};

/// Prints it.
pub fn show(report: &Report, out: &mut Out) -> anyhow::Result<()> {
    head(report, out)?;
    writeln!(out)?;
    if report.agents.is_empty() {
        let sentence = if report.knows_all_agents {
            "No agent is installed here."
        } else {
            "No agent could be seen; there may be some."
        };
        writeln!(out, "{sentence}")?;
    } else {
        let heads = ["AGENT", "STATE", "BOOT", "LAST CYCLE", "NEXT", ""];
        let mut table = vec![heads.map(|head| Cell::styled(head, HEAD)).to_vec()];
        table.extend(report.agents.iter().map(|row| cells(row, report)));
        out.table(&table)?;
    }
    silences(report, out)?;
    if !report.events.is_empty() {
        let head = out.paint(HEAD, "Last day, warning or worse");
        writeln!(out, "\n{head} (more: roundsman events)")?;
        for event in &report.events {
            writeln!(out, "{}", short(event, out))?;
        }
    }
    Ok(())
}

/// Those that are in force.
fn silences(report: &Report, out: &mut Out) -> anyhow::Result<()> {
    let active = || report.silences.iter().filter(|one| one.is_active);
    if active().next().is_some() {
        let head = out.paint(HEAD, "Silences");
        writeln!(out, "\n{head} (more: roundsman silence list)")?;
    }
    for one in active() {
        let held = one.held.map(|held| format!(", {held} held"));
        let until = format!(
            "until {} ({}){}",
            moment::show(one.until),
            moment::relative(one.until, report.at),
            held.unwrap_or_default()
        );
        let (name, reason) = (out.paint(ODD, &one.name), escape(&one.reason));
        writeln!(out, "{name} {until}, {}: {reason}", escape(&one.matches))?;
    }
    Ok(())
}

fn head(report: &Report, out: &mut Out) -> anyhow::Result<()> {
    let (style, words) = match report.state {
        State::Well => (GOOD, "all is well"),
        State::Degraded => (BAD, "not all is well"),
        State::Unknown => (
            ODD,
            "nothing is known to be wrong, but not everything could be seen",
        ),
    };
    writeln!(
        out,
        "{} {}",
        out.paint(HEAD, &report.host),
        out.paint(style, words)
    )?;
    if let Some(target) = &report.target {
        let style = if target.is_active() { GOOD } else { BAD };
        let state = out.paint(style, &target.state);
        let since = target.since.map(|since| {
            format!(
                " since {} ({})",
                moment::show(since),
                moment::relative(since, report.at)
            )
        });
        let enabled = if target.enabled.is_empty() {
            "not installed"
        } else {
            &target.enabled
        };
        writeln!(
            out,
            "  target  {state}{}, {}",
            since.unwrap_or_default(),
            escape(enabled)
        )?;
    }
    if let Some(store) = &report.store {
        writeln!(
            out,
            "  store   {}, {} and {} not yet merged, schema {}, events so far: {}",
            escape(&store.path),
            bytes(store.db_bytes),
            bytes(store.wal_bytes),
            store.schema,
            store.events_total
        )?;
    }
    lists(report, out)
}

fn lists(report: &Report, out: &mut Out) -> anyhow::Result<()> {
    let lists = [
        (BAD, "wrong ", &report.wrong),
        (ODD, "unseen", &report.unseen),
        (FAINT, "note  ", &report.notes),
    ];
    for (style, word, list) in lists {
        for line in list {
            let mut lines = line.lines();
            let first = escape(lines.next().unwrap_or_default());
            writeln!(out, "  {}  {first}", out.paint(style, word))?;
            for line in lines {
                writeln!(out, "          {}", escape(line.trim()))?;
            }
        }
    }
    Ok(())
}

fn cells(row: &Row, report: &Report) -> Vec<Cell> {
    let state_style = match row.state.as_str() {
        "failed" | "bad-setting" | "error" => BAD,
        "auto-restart" => ODD,
        "inactive" | "template" | "masked" => FAINT,
        _ => Style::new(),
    };
    let age = |cycle: &LastCycle| moment::relative(cycle.finished, report.at);
    let next = row.next_at.map(|at| moment::relative(at, report.at));
    let (sentence, sentence_style) = sentence(row);
    vec![
        Cell::new(&row.name),
        Cell::styled(or_dash(&row.state), state_style),
        Cell::new(or_dash(&row.enabled)),
        Cell::new(row.cycle.as_ref().map_or_else(|| "-".to_owned(), age)),
        Cell::new(next.unwrap_or_else(|| "-".to_owned())),
        Cell::styled(sentence, sentence_style),
    ]
}

/// What the agent said last, after how often that has failed and how often it was restarted.
fn sentence(row: &Row) -> (String, Style) {
    let mut parts = Vec::new();
    if !row.stopped.is_empty() {
        parts.push(format!(
            "stopped: systemctl start {}",
            row.stopped.join(" ")
        ));
    }
    if row.restarts > 0 {
        parts.push(format!("restarted {}", times(u64::from(row.restarts))));
    }
    let mut style = if row.restarts > 0 { ODD } else { Style::new() };
    if let Some(cycle) = &row.cycle {
        match cycle.outcome {
            Outcome::Ok => {}
            Outcome::Degraded => style = ODD,
            Outcome::Failed => style = BAD,
        }
        if cycle.consecutive_failures > 0 {
            let class = cycle.class.unwrap_or("failure");
            parts.push(format!(
                "failed {} ({class})",
                times(cycle.consecutive_failures)
            ));
        } else if cycle.outcome == Outcome::Degraded {
            parts.push("degraded".to_owned());
        }
        parts.push(cycle.sentence.clone());
    }
    if !row.stopped.is_empty() {
        style = BAD;
    }
    (parts.join(": "), style)
}

fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A size with three digits that matter: `512 B`, `1.4 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut size = n as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_the_unit_that_fits() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }
}

//! `roundsman events`: the bus, as a person reads it.

mod follow;
mod line;

use std::collections::VecDeque;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use roundsman_kit::clock::Timestamp;
use roundsman_store::Store;
use roundsman_store::event::{self, Event, EventId, Filter, Severity};

pub use self::line::short;
use crate::host::Host;
use crate::moment;
use crate::terminal::{Out, complain};

const EXAMPLES: &str = "\
Examples:
  roundsman events -f
  roundsman events --since -1h --severity warning
  roundsman events --kind 'hostmetrics.*' -o json | jq .data

Severities are emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7.
";

/// How many rows are read at once.
const PAGE: u32 = 1000;
/// How many events are shown unless told otherwise, and before following.
const LINES: u32 = 100;
const LINES_BEFORE_FOLLOWING: u32 = 10;

/// The options of `roundsman events`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n{}", moment::FORMS))]
pub struct Options {
    /// Go on showing events as they happen
    #[arg(short, long, conflicts_with_all = ["until", "reverse"])]
    follow: bool,
    /// From this time on
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Kinds that fit this glob; may be repeated
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    kind: Vec<String>,
    /// This severity or a more urgent one
    #[arg(long, short = 'p', value_name = "LEVEL", value_parser = severity)]
    severity: Option<Severity>,
    /// Events of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The last N events, or "all" [default: 100; 10 with --follow; all with --since or --until]
    #[arg(short = 'n', long, value_name = "N", value_parser = Lines::parse)]
    lines: Option<Lines>,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t = Format::Short)]
    output: Format,
    /// The newest first
    #[arg(short, long)]
    reverse: bool,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line each
    Short,
    /// Every field on a line of its own
    Verbose,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    All,
    Last(u32),
}

impl Lines {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::Last)
                .map_err(|_| "write a number or \"all\"".to_owned()),
        }
    }
}

/// A glob as SQLite knows it (`*`, `?`, `[a-z]`). One whose bracket is open fits nothing.
fn glob(text: &str) -> Result<String, String> {
    let mut rest = text;
    while let Some((_, inside)) = rest.split_once('[') {
        // A closing bracket that comes first stands for itself.
        let first = inside.strip_prefix('^').unwrap_or(inside);
        let first = first.strip_prefix(']').unwrap_or(first);
        (_, rest) = first
            .split_once(']')
            .ok_or("a \"[\" is not closed by a \"]\"")?;
    }
    Ok(text.to_owned())
}

/// A severity by its name, a usual other name, or its number.
fn severity(text: &str) -> Result<Severity, String> {
    let level = match text {
        "emergency" | "panic" => "emerg",
        "critical" => "crit",
        "error" => "err",
        "warn" => "warning",
        other => other,
    };
    let by_number = || {
        let number: u8 = level.parse().ok()?;
        Severity::ALL
            .into_iter()
            .find(|severity| severity.level() == number)
    };
    level.parse().ok().or_else(by_number).ok_or_else(|| {
        "write emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7".into()
    })
}

impl Options {
    /// Shows them.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        // Listening begins before the first look, so that nothing falls between the two.
        let follower = if self.follow {
            Some(follow::Follower::open(host)?)
        } else {
            None
        };
        let mut store = host.store()?;
        let (events, seen) = self.selected(&mut store, out)?;
        for event in events {
            line::write(&event, self.output, out)?;
        }
        out.flush()?;
        if let Some(follower) = follower {
            follower.run(&mut store, seen, &self.filter(), self.output, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn filter(&self) -> Filter {
        Filter {
            since: self.since,
            kinds: self.kind.clone(),
            min_severity: self.severity,
            agent: self.agent.clone(),
        }
    }

    fn limit(&self) -> Option<u32> {
        match self.lines {
            Some(Lines::Last(n)) => Some(n),
            Some(Lines::All) => None,
            None if self.follow && self.since.is_none() => Some(LINES_BEFORE_FOLLOWING),
            None if self.since.is_some() || self.until.is_some() => None,
            None => Some(LINES),
        }
    }

    /// The events to show now, in the order in which to show them. Without a limit they are
    /// written page by page, and what is returned is only what has to be turned round. With them
    /// comes the newest event of that moment, after which following begins.
    fn selected(
        &self,
        store: &mut Store,
        out: &mut Out,
    ) -> anyhow::Result<(VecDeque<Event>, EventId)> {
        let filter = self.filter();
        let mut kept = VecDeque::new();
        let seen = match (self.limit(), self.until) {
            (Some(limit), None) => {
                let (events, newest) = store.read(|tx| {
                    let events = event::last_apart(tx, &filter, limit)?;
                    Ok((events, event::newest_id(tx)?))
                })?;
                complain(events.complaints());
                kept.extend(events.found);
                newest
            }
            (limit, until) => walk(store, &filter, |event| {
                if until.is_some_and(|until| event.at > until) {
                    return Ok(());
                }
                if limit.is_none() && !self.reverse {
                    return line::write(&event, self.output, out);
                }
                kept.push_back(event);
                if limit.is_some_and(|limit| kept.len() > limit as usize) {
                    kept.pop_front();
                }
                Ok(())
            })?,
        };
        if self.reverse {
            kept.make_contiguous().reverse();
        }
        Ok((kept, seen))
    }
}

/// Every event that passes, oldest first, in short transactions: a long one would keep the
/// write-ahead log from shrinking. Returns the newest event when there was nothing more.
fn walk(
    store: &mut Store,
    filter: &Filter,
    mut visit: impl FnMut(Event) -> anyhow::Result<()>,
) -> anyhow::Result<EventId> {
    let mut position = EventId(0);
    loop {
        let (page, newest) = store.read(|tx| {
            let page = event::after(tx, filter, position, PAGE)?;
            Ok((page, event::newest_id(tx)?))
        })?;
        let Some(reached) = page.reached else {
            return Ok(newest);
        };
        position = reached;
        complain(page.rows.complaints());
        page.rows.found.into_iter().try_for_each(&mut visit)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_of_a_glob_is_closed() {
        for text in ["*", "unit.*", "[a-c]*", "[]]", "[^]x]", "a]"] {
            assert_eq!(glob(text).as_deref(), Ok(text));
        }
        for text in ["[", "[]", "[^]", "[a][b"] {
            assert!(glob(text).is_err(), "{text}");
        }
    }

    #[test]
    fn severities_have_names_and_numbers() {
        for (text, level) in [
            ("emerg", 0),
            ("err", 3),
            ("error", 3),
            ("warn", 4),
            ("7", 7),
        ] {
            assert_eq!(severity(text).unwrap().level(), level, "{text}");
        }
        for text in ["", "8", "-1", "loud"] {
            assert!(severity(text).is_err(), "{text}");
        }
    }
}

//! `roundsman samples`: the figures that were measured, newest or over time.

use std::collections::VecDeque;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use roundsman_kit::clock::Timestamp;
use roundsman_store::Store;
use roundsman_store::sample::{self, Sample};
use serde::Serialize;

use crate::flat;
use crate::host::Host;
use crate::moment;
use crate::terminal::{FAINT, HEAD, Out, complain, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman samples
  roundsman samples --kind memory --since today
  roundsman samples --kind cpu -n 60 -o json | jq .payload

Without a range the newest sample of every kind is shown.
";

/// How many rows are read at once.
const PAGE: u32 = 1000;

/// The options of `roundsman samples`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n{}", moment::FORMS))]
pub struct Options {
    /// Samples of this kind: cpu, memory, …; may be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Samples of this host, where the store holds several
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// From this time on
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// The last N of each kind
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t = Format::Short)]
    output: Format,
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line each
    Short,
    /// One JSON object per line
    Json,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    sample: &'a Sample,
    /// `at` in RFC 3339.
    time: String,
}

impl Options {
    /// Shows them, one kind of one host after the other.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let mut store = host.store()?;
        let newest = store.read(sample::newest)?;
        complain(newest.complaints());
        for sample in newest.found.iter().filter(|sample| self.wants(sample)) {
            if self.since.is_none() && self.until.is_none() && self.lines.is_none() {
                self.write(sample, out)?;
            } else {
                self.series(&mut store, &sample.host, &sample.kind, out)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn wants(&self, sample: &Sample) -> bool {
        (self.kind.is_empty() || self.kind.contains(&sample.kind))
            && self.host.as_ref().is_none_or(|host| *host == sample.host)
    }

    fn series(
        &self,
        store: &mut Store,
        host: &str,
        kind: &str,
        out: &mut Out,
    ) -> anyhow::Result<()> {
        let mut from = self.since.unwrap_or(Timestamp(0));
        let until = self.until.unwrap_or(Timestamp(i64::MAX));
        let mut kept = VecDeque::new();
        loop {
            let page = store.read(|tx| sample::range(tx, host, kind, from, until, PAGE))?;
            if let Some(reached) = page.reached {
                from = Timestamp(reached.as_millis().saturating_add(1));
            }
            complain(page.rows.complaints());
            for sample in page.rows.found {
                if self.lines.is_none() {
                    self.write(&sample, out)?;
                    continue;
                }
                kept.push_back(sample);
                if self.lines.is_some_and(|n| kept.len() > n) {
                    kept.pop_front();
                }
            }
            if !page.is_full {
                break;
            }
        }
        kept.iter().try_for_each(|sample| self.write(sample, out))
    }

    fn write(&self, sample: &Sample, out: &mut Out) -> anyhow::Result<()> {
        if self.output == Format::Json {
            let time = sample.at.to_string();
            return out.json_line(&Json { sample, time });
        }
        let at = out.paint(FAINT, &moment::show(sample.at));
        let kind = out.paint(HEAD, &sample.kind);
        write!(out, "{at} {} {kind}", escape(&sample.host))?;
        for (key, value) in flat::pairs(&sample.payload) {
            write!(out, " {}={}", escape(&key), escape(&value))?;
        }
        writeln!(out)?;
        Ok(())
    }
}

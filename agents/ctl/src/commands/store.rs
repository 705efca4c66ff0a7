//! `roundsman store`: looking after the shared database.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use roundsman_kit::{Class, Fault};
use roundsman_store::{cycle, event, event_count, sample};

use crate::agents;
use crate::commands::status::bytes;
use crate::host::Host;
use crate::progress::Progress;
use crate::terminal::{BAD, Out, complain, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman store status
  roundsman store check
  roundsman store backup /var/backups/roundsman.db
  sqlite3 -readonly \"$(roundsman store path)\" .schema

A backup is a complete database, made while the agents go on writing, that only its owner can
read. To restore one:

  systemctl stop roundsman.target
  roundsman store restore /var/backups/roundsman.db
  systemctl start roundsman.target

Do not put it in place by hand: a write-ahead log (-wal) that is left of the earlier store would
be read into it.";

/// The options of `roundsman store`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what it holds and how large it is
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Read all of it and report damage; exits with 65 if there is any
    Check,
    /// Write a complete copy of it to a file
    Backup {
        /// The file; one that is there is replaced when the copy is complete. Until then the
        /// copy is called FILE.incomplete-…, which a killed run leaves behind
        file: PathBuf,
    },
    /// Put a copy in its place, while no agent runs; the store of before is kept beside it
    Restore {
        /// A backup, or any other copy of a store
        file: PathBuf,
    },
    /// Print where it lies
    Path,
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Path => {
                let location = host.location()?;
                writeln!(out, "{}", location.db().display())?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Status { json } => status(host, out, json),
            Action::Check => check(host, out),
            Action::Backup { file } => backup(host, out, &file),
            Action::Restore { file } => restore(host, out, &file),
        }
    }
}

fn status(host: &Host, out: &mut Out, json: bool) -> anyhow::Result<ExitCode> {
    let location = host.location()?;
    let mut store = host.store()?;
    let figures = store.figures()?;
    let (counts, newest_id, series, cycles) = store.read(|tx| {
        Ok((
            event_count::list(tx)?,
            event::newest_id(tx)?,
            sample::newest(tx)?,
            cycle::list_apart(tx)?,
        ))
    })?;
    let unreadable: Vec<String> = counts
        .complaints()
        .chain(series.complaints())
        .chain(cycles.complaints())
        .collect();
    let (counts, series, cycles) = (counts.found, series.found, cycles.found);
    let events_total = event_count::total(&counts);
    complain(unreadable.iter().cloned());
    if json {
        out.json_line(&serde_json::json!({
            "path": location.db(),
            "db_bytes": figures.db_bytes,
            "wal_bytes": figures.wal_bytes,
            "pages": figures.pages,
            "free_pages": figures.free_pages,
            "schema": figures.schema,
            "events_total": events_total,
            "newest_event_id": newest_id,
            "events": counts,
            "unreadable": unreadable,
            "newest_samples": series.iter().map(|sample| serde_json::json!({
                "host": sample.host, "kind": sample.kind, "at": sample.at,
            })).collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "file     {}",
        escape(&location.db().display().to_string())
    )?;
    writeln!(out, "size     {}", bytes(figures.db_bytes))?;
    writeln!(out, "wal      {}", bytes(figures.wal_bytes))?;
    writeln!(
        out,
        "pages    {}, {} of them free",
        figures.pages, figures.free_pages
    )?;
    writeln!(out, "schema   {}", figures.schema)?;
    writeln!(
        out,
        "events   {events_total} so far, kinds: {}",
        kinds(&counts)
    )?;
    writeln!(out, "samples  kinds: {}", series.len())?;
    writeln!(out, "cycles   agents: {}", cycles.len())?;
    Ok(ExitCode::SUCCESS)
}

fn kinds(counts: &[event_count::EventCount]) -> usize {
    let mut kinds: Vec<&str> = counts.iter().map(|count| count.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len()
}

fn check(host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut store = host.store()?;
    let size = bytes(store.figures()?.db_bytes);
    let findings = {
        let _progress = Progress::show(move || format!("reading {size}"));
        store.check()?
    };
    if findings.is_empty() {
        writeln!(out, "the store is sound")?;
        return Ok(ExitCode::SUCCESS);
    }
    for finding in &findings {
        writeln!(out, "{}", out.paint(BAD, finding))?;
    }
    writeln!(
        out,
        "the store is damaged: stop roundsman.target and restore a backup (roundsman store --help)"
    )?;
    Ok(Class::Incompatible.exit_code().into())
}

fn backup(host: &Host, out: &mut Out, file: &Path) -> anyhow::Result<ExitCode> {
    let mut store = host.store()?;
    let total = store.figures()?.db_bytes;
    {
        let _progress = Progress::show(move || format!("copying at most {}", bytes(total)));
        store.backup(file)?;
    }
    let size = std::fs::metadata(file)
        .map(|metadata| metadata.len())
        .unwrap_or(0);
    let shown = file.display().to_string();
    writeln!(out, "{}: {}", escape(&shown), bytes(size))?;
    Ok(ExitCode::SUCCESS)
}

fn restore(host: &Host, out: &mut Out, file: &Path) -> anyhow::Result<ExitCode> {
    host.require_root("restoring a store")?;
    refuse_while_agents_run(host)?;
    let location = host.location()?;
    let restored = {
        let _progress = Progress::show(|| "checking and copying".to_owned());
        roundsman_store::restore(&location, file)?
    };
    let shown = |path: &Path| escape(&path.display().to_string()).into_owned();
    writeln!(
        out,
        "{} is now a copy of {}, schema {}",
        shown(location.db()),
        shown(file),
        restored.schema
    )?;
    if let Some(kept) = &restored.kept {
        writeln!(out, "the store of before is {}", shown(kept))?;
    }
    writeln!(out, "next: systemctl start roundsman.target")?;
    Ok(ExitCode::SUCCESS)
}

/// Between two cycles an agent does not have the store open, and would begin one meanwhile.
fn refuse_while_agents_run(host: &Host) -> anyhow::Result<()> {
    let Ok(manager) = host.manager() else {
        // Without systemd the locks of the store tell.
        return Ok(());
    };
    let agents = agents::discover(host, Some(&manager))?;
    let units = agents.iter().flat_map(|agent| &agent.units);
    let up = units.filter(|unit| !matches!(&*unit.active, "" | "inactive" | "failed"));
    let names: Vec<&str> = up.map(|unit| unit.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let list = names.join(", ");
    let message = format!("agents are running ({list}): systemctl stop roundsman.target first");
    Err(Fault::new(Class::Unavailable, message).into())
}

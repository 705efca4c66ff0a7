//! `roundsman silence`: what nobody wants to hear of for a while.

mod add;
mod list;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use roundsman_kit::clock::Timestamp;
use serde::Serialize;

use super::deliveries::refuse;
use crate::drop_in;
use crate::herald::UNIT;
use crate::host::Host;
use crate::moment;
use crate::silences;
use crate::terminal::{Out, complain, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman silence add disks --for 2h --reason \"new disks\" --kind 'hostmetrics.disk*'
  roundsman silence add nightly --until 06:00 --reason \"restore test\" --subject 'backup-*'
  roundsman silence list
  roundsman silence remove disks

A silence is a file, /etc/roundsman/silences.d/NAME.toml. What it is about waits until it has ended;
emerg, alert and crit pass unless --urgent is given. Adding and removing need root.";

/// How long herald may take to read the files.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest name.
const NAME: usize = 64;

/// The options of `roundsman silence`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", moment::FORMS))]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add one
    Add(add::Add),
    /// List them, and how much each holds
    List(list::List),
    /// End one
    #[command(after_long_help = "Example:\n  roundsman silence remove disks")]
    Remove {
        /// The silence
        #[arg(value_parser = name)]
        name: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add(add) => add.run(host, out),
            Action::List(list) => list.run(host, out),
            Action::Remove { name, json } => remove(host, &name, json, out),
        }
    }
}

fn remove(host: &Host, name: &str, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let file = silences::file(host.paths(), name);
    if !drop_in::remove_file(&file)? {
        return Ok(refuse(&[format!("there is no silence {name}")]));
    }
    match json {
        true => out.json_line(&Told {
            name,
            file: file.display().to_string(),
            until: None,
        })?,
        false => writeln!(out, "silence {} is removed", escape(name))?,
    }
    say(take_effect(host), json, out)?;
    Ok(ExitCode::SUCCESS)
}

/// What was done, for other programs.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    file: String,
    /// When it ends; none for one that was removed.
    until: Option<Timestamp>,
}

/// Says what is left to do, beside JSON on standard error.
fn say(note: Option<String>, json: bool, out: &mut Out) -> anyhow::Result<()> {
    match note.map(|note| format!("note: {note}")) {
        Some(note) if json => complain([note]),
        Some(note) => writeln!(out, "{}", escape(&note))?,
        None => {}
    }
    Ok(())
}

/// Has herald read the files again; or what is left to do for it. The file is as it should be.
fn take_effect(host: &Host) -> Option<String> {
    let Ok(manager) = host.manager() else {
        return Some(format!(
            "systemd could not be asked; herald reads it after systemctl reload {UNIT}"
        ));
    };
    let is_up = manager.unit(UNIT).is_ok_and(|unit| unit.active == "active");
    if !is_up {
        return Some(format!(
            "herald does not run and reads it when it starts: systemctl start {UNIT}"
        ));
    }
    if let Err(why) = manager.reload_unit(UNIT) {
        return Some(format!(
            "herald has not read it ({why:#}): systemctl reload {UNIT}"
        ));
    }
    await_herald(host, PATIENCE)
}

/// Waits until herald, which was asked to read the files, goes by them; or what is left to do.
fn await_herald(host: &Host, within: Duration) -> Option<String> {
    match silences::are_in_force(host, within) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "herald has not read it within {}: journalctl -u {UNIT}",
            moment::span(within)
        )),
        Err(why) => Some(format!("whether herald has read it is not known: {why:#}")),
    }
}

/// The value parser of a silence's name, which is a file's.
fn name(text: &str) -> Result<String, String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > NAME || !text.chars().all(is_fine) {
        return Err(format!(
            "use letters, digits, \"-\" and \"_\", at most {NAME}"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use roundsman_store::cursor::{self, Cursor};
    use roundsman_store::{Role, Store};
    use roundsman_tests::Root;

    use super::*;

    #[test]
    fn a_silence_has_taken_effect_only_once_herald_goes_by_it() {
        let root = Root::new();
        let host = Host::new(Some(root.path().to_owned()));
        let mut store = Store::open(&host.location().unwrap(), Role::Migrate).unwrap();
        let shortly = Duration::from_millis(50);
        let read = |store: &mut Store| {
            let (all, _) = roundsman_herald::silence::load(&silences::directory(host.paths()));
            let row = Cursor {
                agent: crate::herald::AGENT.to_owned(),
                stream: roundsman_herald::silence::STREAM.to_owned(),
                position: roundsman_herald::silence::fingerprint(&all),
                updated_at: moment::now(),
            };
            store.write(|tx| cursor::set(tx, &row)).unwrap();
        };
        for text in ["reason = 'a'", "reason = 'b'"] {
            let text = format!("kinds = ['*']\nuntil = '2026-11-21T08:00:00Z'\n{text}\n");
            root.write("/etc/roundsman/silences.d/disks.toml", text);
            let note = await_herald(&host, shortly).unwrap();
            assert!(note.contains("has not read it"), "{note}");
            read(&mut store);
            assert_eq!(await_herald(&host, shortly), None);
        }
    }
}

//! Silences: files that say which events nobody wants to hear of, and until when.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use roundsman_herald::config::Trigger;
use roundsman_herald::matching::Matcher;
use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Filter, State};
use roundsman_store::event::{self, Event};
use roundsman_store::{ReadTx, Result};
use serde::Serialize;

use crate::herald;
use crate::host::Host;

/// Where they lie.
const DIRECTORY: &str = "/etc/roundsman/silences.d";

/// More files, and longer ones, are not looked at.
const MOST: usize = 1000;
const BYTES: u64 = 64 * 1024;

/// How many deliveries are looked at to count what is held: the newest.
const COUNTED: u32 = 10_000;

/// A silence.
struct Silence {
    /// The file's name without its suffix.
    name: String,
    until: Timestamp,
    reason: String,
    /// Whether it holds urgent events, too.
    urgent: bool,
    /// What it is about.
    conditions: Trigger,
    matcher: Matcher,
}

/// What a person or another program is shown of one.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// When it ends.
    pub until: Timestamp,
    /// Whether that is still to come.
    pub is_active: bool,
    /// Why it is there.
    pub reason: String,
    /// Whether it holds urgent events, too.
    pub urgent: bool,
    /// What it is about.
    pub matches: String,
    /// How many deliveries wait that it is about; none where the store could not be asked.
    pub held: Option<u64>,
}

/// All silences of a host.
pub struct Overview {
    /// Each, by name.
    pub shown: Vec<Shown>,
    /// What is wrong with files that are none.
    pub faults: Vec<String>,
    /// Why it is not known what they hold.
    pub uncounted: Option<anyhow::Error>,
}

/// Reads them, and counts what they hold.
pub fn overview(host: &Host, now: Timestamp) -> Overview {
    let (all, faults) = load(host.paths());
    let count = || match all.is_empty() {
        true => Ok(Vec::new()),
        false => anyhow::Ok(host.store()?.read(|tx| held(tx, &all, now))?),
    };
    let (held, uncounted) = match count() {
        Ok(held) => (held, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let shown = all.iter().enumerate();
    Overview {
        shown: shown
            .map(|(at, one)| one.shown(held.get(at).copied(), now))
            .collect(),
        faults,
        uncounted,
    }
}

/// The directory of this host.
pub fn directory(paths: &Paths) -> PathBuf {
    paths.at(DIRECTORY)
}

/// The file of the silence of this name.
pub fn file(paths: &Paths, name: &str) -> PathBuf {
    directory(paths).join(format!("{name}.toml"))
}

/// All silences by name, and what is wrong with files that are none.
fn load(paths: &Paths) -> (Vec<Silence>, Vec<String>) {
    let (mut silences, mut faults) = (Vec::new(), Vec::new());
    let directory = directory(paths);
    let mut files = match list(&directory) {
        Ok(files) => files,
        Err(error) => {
            faults.push(format!("{}: {error}", directory.display()));
            return (silences, faults);
        }
    };
    files.sort();
    if files.len() > MOST {
        faults.push(format!("{}: more than {MOST} files", directory.display()));
        files.truncate(MOST);
    }
    for path in files {
        match read(&path) {
            Ok(silence) => silences.push(silence),
            Err(why) => faults.push(format!("{}: {why}", path.display())),
        }
    }
    (silences, faults)
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "toml");
    paths
        .filter(|path| path.as_ref().map_or(true, is_toml))
        .collect()
}

fn read(path: &Path) -> std::result::Result<Silence, String> {
    let mut text = String::new();
    let file = File::open(path).map(|file| file.take(BYTES));
    file.and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> std::result::Result<Silence, String> {
    let mut table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let until = match table.remove("until") {
        Some(toml::Value::String(text)) => text,
        Some(toml::Value::Datetime(time)) => time.to_string(),
        _ => return Err("until is missing, or no time".into()),
    };
    let until: jiff::Timestamp = until
        .parse()
        .map_err(|_| format!("until: \"{until}\" is no time as 2026-11-20T08:00:00Z"))?;
    let Some(toml::Value::String(reason)) = table.remove("reason") else {
        return Err("reason is missing, or no text".into());
    };
    let urgent = match table.remove("urgent") {
        None => false,
        Some(toml::Value::Boolean(urgent)) => urgent,
        Some(_) => return Err("urgent is neither true nor false".into()),
    };
    let conditions: Trigger = table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let matcher = Matcher::new(&conditions).map_err(|(key, why, _)| format!("{key}: {why}"))?;
    Ok(Silence {
        name: name.to_owned(),
        until: Timestamp(until.as_millisecond()),
        reason,
        urgent,
        conditions,
        matcher,
    })
}

impl Silence {
    /// Whether it is about the event, and has not ended.
    fn holds(&self, event: &Event, now: Timestamp) -> bool {
        let is_urgent = event.severity <= event::Severity::Critical;
        now < self.until && (self.urgent || !is_urgent) && self.matcher.judge(event).is_ok()
    }

    fn shown(&self, held: Option<u64>, now: Timestamp) -> Shown {
        Shown {
            name: self.name.clone(),
            until: self.until,
            is_active: now < self.until,
            reason: self.reason.clone(),
            urgent: self.urgent,
            matches: herald::in_words(&self.conditions),
            held,
        }
    }
}

/// How many of the deliveries that wait each silence is about.
///
/// # Errors
/// That of the store.
fn held(tx: &ReadTx<'_>, silences: &[Silence], now: Timestamp) -> Result<Vec<u64>> {
    let mut counts = vec![0; silences.len()];
    if silences.iter().all(|one| one.until <= now) {
        return Ok(counts);
    }
    let due = Filter {
        state: Some(State::Due),
        ..Filter::default()
    };
    for delivery in delivery::list_without_bodies(tx, &due, COUNTED)? {
        let event = match delivery.event {
            Some(id) => event::by_id(tx, id)?,
            None => None,
        };
        let Some(event) = event else { continue };
        for (silence, count) in silences.iter().zip(&mut counts) {
            *count += u64::from(silence.holds(&event, now));
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_silence_is_refused_with_its_key() {
        for (text, needle) in [
            ("reason = 'x'", "until"),
            ("until = 'soon'\nreason = 'x'", "until"),
            ("until = '2026-11-20T08:00:00Z'", "reason"),
            (
                "until = '2026-11-20T08:00:00Z'\nreason = 'x'\nurgent = 1",
                "urgent",
            ),
            (
                "until = '2026-11-20T08:00:00Z'\nreason = 'x'\nkind = 'a'",
                "kind",
            ),
            (
                "until = '2026-11-20T08:00:00Z'\nreason = 'x'\nmessage = '('",
                "message",
            ),
        ] {
            let why = parse("x", text).err().unwrap();
            assert!(why.contains(needle), "{text}: {why}");
        }
        let dated = parse("x", "until = 2026-11-20T08:00:00Z\nreason = 'x'").unwrap();
        assert_eq!(dated.until.to_string(), "2026-11-20T08:00:00.000Z");
    }
}

//! Silences: files that say which events nobody wants to hear of, and until when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use roundsman_herald::silence::{self, Silence};
use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, HeldCount};
use roundsman_store::{Doorbell, cursor};
use serde::Serialize;

use crate::bell;
use crate::herald;
use crate::host::Host;

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
    /// How many deliveries it holds back; none where the store could not be asked.
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
    let (all, findings) = silence::load(&directory(host.paths()));
    let count = || match all.is_empty() {
        true => Ok(BTreeMap::new()),
        false => anyhow::Ok(counts(host.store()?.read(|tx| delivery::held(tx, now))?)),
    };
    let (held, uncounted) = match count() {
        Ok(held) => (Some(held), None),
        Err(why) => (None, Some(why)),
    };
    let held_by = |one: &Silence| {
        let held = held.as_ref()?;
        Some(held.get(&one.label()).copied().unwrap_or(0))
    };
    Overview {
        shown: all
            .iter()
            .map(|one| shown(one, held_by(one), now))
            .collect(),
        faults: findings.iter().map(ToString::to_string).collect(),
        uncounted,
    }
}

/// Waits until herald goes by the files as they are now; false if it does not in that time.
///
/// # Errors
/// That of opening or reading the store.
pub fn are_in_force(host: &Host, within: Duration) -> anyhow::Result<bool> {
    let (all, _) = silence::load(&directory(host.paths()));
    let wanted = silence::fingerprint(&all);
    let location = host.location()?;
    let (mut store, mut doorbell) = (host.store()?, Doorbell::open(&location)?);
    let until = Instant::now() + within;
    loop {
        let found = store.read(|tx| cursor::get(tx, herald::AGENT, silence::STREAM))?;
        if found.is_some_and(|row| row.position == wanted) {
            return Ok(true);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        bell::hear(&mut doorbell, left)?;
    }
}

/// The directory of this host.
pub fn directory(paths: &Paths) -> PathBuf {
    paths.at(silence::DIRECTORY)
}

/// The file of the silence of this name.
pub fn file(paths: &Paths, name: &str) -> PathBuf {
    directory(paths).join(format!("{name}.toml"))
}

fn counts(held: Vec<HeldCount>) -> BTreeMap<String, u64> {
    let held = held.into_iter();
    held.map(|one| (one.reason, one.count)).collect()
}

fn shown(silence: &Silence, held: Option<u64>, now: Timestamp) -> Shown {
    Shown {
        name: silence.name.clone(),
        until: silence.until,
        is_active: now < silence.until,
        reason: silence.reason.clone(),
        urgent: silence.urgent,
        matches: herald::in_words(&silence.file),
        held,
    }
}

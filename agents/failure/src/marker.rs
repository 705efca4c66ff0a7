//! The marker files: one for each unit with a condition, so that the sweep's timer starts no
//! process while there is none (`ConditionDirectoryNotEmpty=`). A marker also holds the failures
//! that are not in the store yet: it is written before the store is asked, so that a failure
//! outlives a store that cannot take it.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use roundsman_kit::{Class, Context, ResultExt, atomic};

use crate::report::Report;
use crate::unit_name::is_unit_name;

/// A store that is away for long is one condition: of the failures meanwhile the first ones are
/// kept.
const MOST_PENDING: usize = 100;

/// The directory of the markers.
#[derive(Debug)]
pub struct Markers(PathBuf);

impl Markers {
    /// The directory that tmpfiles.d makes beside the store; it outlives a reboot, as the
    /// conditions do.
    pub fn new(ctx: &Context) -> Self {
        Self(ctx.paths().at("/var/lib/roundsman/failed"))
    }

    /// Adds a failure to the marker of `unit`, and returns all that await the store.
    pub fn add(&self, unit: &str, report: &Report) -> anyhow::Result<Vec<Report>> {
        let _turn = self.turn()?;
        let mut pending = self.read(unit)?;
        if pending.len() < MOST_PENDING {
            pending.push(report.clone());
        }
        self.write(unit, &pending)?;
        Ok(pending)
    }

    /// The failures of `unit` that await the store.
    pub fn pending(&self, unit: &str) -> anyhow::Result<Vec<Report>> {
        let _turn = self.turn()?;
        self.read(unit)
    }

    /// Takes failures that the store has out of the marker of `unit`, which stays.
    pub fn settle(&self, unit: &str, stored: &[Report]) -> anyhow::Result<()> {
        let _turn = self.turn()?;
        let mut pending = self.read(unit)?;
        pending.retain(|report| !stored.contains(report));
        self.write(unit, &pending)
    }

    /// The units that have a marker.
    pub fn list(&self) -> anyhow::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("listing {}", self.0.display()))?,
        };
        let names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
            .with_context(|| format!("listing {}", self.0.display()))?;
        Ok(names
            .into_iter()
            .filter(|name| is_unit_name(name))
            .collect())
    }

    /// Removes the marker of `unit` unless a failure awaits the store in it or `needed` says
    /// otherwise. No hook can add one between the look and the removal.
    pub fn remove_unless(
        &self,
        unit: &str,
        needed: impl FnOnce() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let _turn = self.turn()?;
        if !self.read(unit)?.is_empty() || needed()? {
            return Ok(());
        }
        let path = self.0.join(unit);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
    }

    /// One process at a time; the turn ends when the value is dropped.
    fn turn(&self) -> anyhow::Result<File> {
        let directory = File::open(&self.0).and_then(|directory| {
            directory.lock()?;
            Ok(directory)
        });
        directory.fault(Class::Unavailable, || {
            format!(
                "locking {}; systemd-tmpfiles --create makes it",
                self.0.display()
            )
        })
    }

    fn read(&self, unit: &str) -> anyhow::Result<Vec<Report>> {
        let path = self.0.join(unit);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes.with_context(|| format!("reading {}", path.display()))?,
        };
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            // It is replaced whole, so it is nobody's half-written file but a stranger's.
            log::warn!("{}: no list of failures: {error}", path.display());
            Vec::new()
        }))
    }

    fn write(&self, unit: &str, pending: &[Report]) -> anyhow::Result<()> {
        let path = self.0.join(unit);
        let text = serde_json::json!(pending).to_string();
        atomic::write(&path, text.as_bytes(), 0o660)
            .with_context(|| format!("writing {}", path.display()))
    }
}

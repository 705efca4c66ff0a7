//! `--dry-run`: says what a run would do now, by the same rules, and changes nothing.

use std::io::Write;

use roundsman_kit::clock::Timestamp;
use roundsman_kit::quantity::Size;
use roundsman_store::event::{self, EventId};
use roundsman_store::retention::{self, Ended};
use roundsman_store::{Result, Store, sample};

use crate::config::Config;
use crate::plan::{self, Dropped, Keep, Window, Work};
use crate::sweep::{CHUNK, kept};

/// What would be done.
pub struct Rehearsal<'a> {
    /// Opened for reading.
    pub store: &'a mut Store,
    /// How long what is kept.
    pub config: &'a Config,
    /// When.
    pub now: Timestamp,
}

impl Rehearsal<'_> {
    /// Writes to `out` what would be done.
    ///
    /// # Errors
    /// That of the store, or of `out`.
    pub fn say(&mut self, work: &Work, out: &mut impl Write) -> anyhow::Result<()> {
        let (events, lost) = self.events(&work.events)?;
        writeln!(out, "events to remove: {events}")?;
        for (kind, count) in &lost.kinds {
            writeln!(out, "  of {kind}, not read by everybody: {count}")?;
        }
        for (reader, count) in &lost.readers {
            writeln!(
                out,
                "  not read by {reader}, which is not waited for: {count}"
            )?;
        }
        for (ended, name) in [
            (Ended::Done, "delivered"),
            (Ended::Parked, "parked"),
            (Ended::Orphaned, "of endpoints that are gone"),
        ] {
            let before = self.now.minus(kept(self.config, ended));
            let count = self.store.read(|tx| retention::count(tx, ended, before))?;
            writeln!(out, "deliveries to remove, {name}: {count}")?;
        }
        let samples = self.samples(&work.samples)?;
        writeln!(out, "samples to remove: {samples}")?;
        let space = self.store.space()?;
        let limit = self.config.events.size;
        if space.used_bytes() > limit.0 {
            let used = Size(space.used_bytes());
            writeln!(
                out,
                "the database holds {used}, more than {limit}: besides, the oldest would go until \
                 it does not"
            )?;
        }
        let free = Size(space.free * space.page_bytes);
        writeln!(out, "free space to give back, before that: {free}")?;
        let backup = if work.backs_up { "due" } else { "not due" };
        writeln!(out, "backup: {backup}")?;
        Ok(())
    }

    fn events(&mut self, windows: &[Window]) -> Result<(u64, Dropped)> {
        let (mut total, mut lost) = (0, Dropped::default());
        for window in windows {
            let mut from = (window.from, EventId(i64::MIN));
            loop {
                let page = self.store.read(|tx| {
                    let page = event::aged(tx, from, window.before, CHUNK)?;
                    let keep = Keep(&self.config.events);
                    let over = page.iter().filter(|event| keep.is_over(event, self.now));
                    let ids: Vec<EventId> = over.map(|event| event.id).collect();
                    let readers = retention::readers(tx)?;
                    let hold = plan::hold(&readers, self.now, self.config.events.max_age.0);
                    let going = event::removable(tx, &ids, hold)?;
                    total += going.len() as u64;
                    lost.add(&plan::lost(&going, &readers));
                    Ok(page)
                })?;
                match page.last() {
                    Some(last) if page.len() == CHUNK as usize => from = (last.at, last.id),
                    _ => break,
                }
            }
        }
        Ok((total, lost))
    }

    fn samples(&mut self, windows: &[Window]) -> Result<u64> {
        let expired = self.now.minus(self.config.samples.keep.0);
        let mut total = 0;
        for window in windows {
            let mut from = (window.from, i64::MIN);
            loop {
                let page = self
                    .store
                    .read(|tx| sample::aged(tx, from, window.before, CHUNK))?;
                let over = page.iter();
                let over = over.filter(|sample| sample.is_surplus || sample.at < expired);
                total += over.count() as u64;
                match page.last() {
                    Some(last) if page.len() == CHUNK as usize => from = (last.at, last.id),
                    _ => break,
                }
            }
        }
        Ok(total)
    }
}

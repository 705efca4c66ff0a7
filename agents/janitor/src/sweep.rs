//! Removes what is over, chunk by chunk. Between two chunks others have their turn, and there the
//! sweep ends when its time is up.

mod size;

use std::time::Instant;

use roundsman_kit::Context;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{self, EventId};
use roundsman_store::retention::{self, Ended, Over};
use roundsman_store::{Result, Store, WriteTx, sample};

use crate::config::Config;
use crate::plan::{self, Dropped, Keep, Window, Work};
use crate::state;

/// Rows that one transaction removes: some milliseconds on a store of a million events, tens on a
/// busy disk, in which everybody else waits.
pub const CHUNK: u32 = 200;

/// Rows that one look reads.
const PAGE: u32 = 10_000;

/// Rows that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Of table `event`.
    pub events: u64,
    /// Of table `delivery`.
    pub deliveries: u64,
    /// Of table `sample`.
    pub samples: u64,
}

/// When a run ends.
pub struct Budget<'c> {
    ctx: &'c Context,
    end: Instant,
}

impl<'c> Budget<'c> {
    /// From now on.
    pub fn new(ctx: &'c Context, config: &Config) -> Self {
        let end = Instant::now() + config.max_run.0;
        Self { ctx, end }
    }

    /// There is time for another chunk, and nobody has asked to stop.
    pub fn is_left(&self) -> bool {
        Instant::now() < self.end && !self.ctx.stopping()
    }
}

/// One sweep.
pub struct Sweep<'a> {
    /// What is swept.
    pub store: &'a mut Store,
    /// How long what is kept.
    pub config: &'a Config,
    /// Whose state holds what was dropped.
    pub unit: String,
    /// What is old is judged by this time.
    pub now: Timestamp,
    /// When it ends.
    pub budget: &'a Budget<'a>,
    /// What was removed so far.
    pub removed: Removed,
    /// It ended because somebody reads an old state of the store, so that the log only grows.
    pub is_held_up: bool,
}

impl Sweep<'_> {
    /// Removes what is too old; false if the time was up before all was looked at.
    pub fn by_age(&mut self, work: &Work) -> Result<bool> {
        self.begin_age()?;
        // Deliveries first: they hold events.
        for ended in Ended::ALL {
            if !self.deliveries(ended)? {
                return Ok(false);
            }
        }
        for window in &work.events {
            if !self.events(*window)? {
                return Ok(false);
            }
        }
        for window in &work.samples {
            if !self.samples(*window)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A reader that has died before the clock was set back must not be waited for longer by that.
    fn begin_age(&mut self) -> Result<()> {
        let now = self.now;
        let readers = self.store.read(retention::readers)?;
        if readers.iter().any(|reader| reader.updated_at > now) {
            self.store.write(|tx| retention::begin_age(tx, now))?;
        }
        Ok(())
    }

    /// There is time for another chunk, and room for it in the log.
    fn goes_on(&mut self) -> Result<bool> {
        if self.store.figures()?.wal_bytes >= self.config.storage.wal.critical.0 {
            self.is_held_up = !self.store.checkpoint()?.is_complete();
        }
        Ok(self.budget.is_left() && !self.is_held_up)
    }

    fn deliveries(&mut self, ended: Ended) -> Result<bool> {
        let before = self.now.minus(kept(self.config, ended));
        loop {
            if !self.goes_on()? {
                return Ok(false);
            }
            let (found, removed) = self.store.write(|tx| {
                let over = retention::over(tx, ended, before, CHUNK)?;
                let removed = retention::remove(tx, &over)?;
                if ended != Ended::Done {
                    note(tx, &self.unit, self.now, &undelivered(&over))?;
                }
                Ok((over.len(), removed))
            })?;
            self.removed.deliveries += removed as u64;
            if found < CHUNK as usize {
                return Ok(true);
            }
        }
    }

    fn events(&mut self, window: Window) -> Result<bool> {
        let mut from = (window.from, EventId(i64::MIN));
        loop {
            let (page, hold) = self.store.read(|tx| {
                let readers = retention::readers(tx)?;
                let hold = plan::hold(&readers, self.now, self.config.events.max_age.0);
                Ok((event::aged(tx, from, window.before, PAGE)?, hold))
            })?;
            let over: Vec<EventId> = page
                .iter()
                .filter(|event| event.id <= hold.read_up_to)
                .filter(|event| Keep(&self.config.events).is_over(event, self.now))
                .map(|event| event.id)
                .collect();
            for ids in over.chunks(CHUNK as usize) {
                if !self.goes_on()? {
                    return Ok(false);
                }
                self.removed.events += self.remove_events(ids)?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => from = (last.at, last.id),
                _ => return Ok(true),
            }
            if !self.goes_on()? {
                return Ok(false);
            }
        }
    }

    /// Removes those of `ids` that nobody waits for, as it is at this moment.
    fn remove_events(&mut self, ids: &[EventId]) -> Result<u64> {
        self.store.write(|tx| {
            let readers = retention::readers(tx)?;
            let hold = plan::hold(&readers, self.now, self.config.events.max_age.0);
            let removed = event::remove(tx, ids, hold)?;
            note(tx, &self.unit, self.now, &plan::lost(&removed, &readers))?;
            Ok(removed.len() as u64)
        })
    }

    fn samples(&mut self, window: Window) -> Result<bool> {
        let expired = self.now.minus(self.config.samples.keep.0);
        let mut from = (window.from, i64::MIN);
        loop {
            let page = self
                .store
                .read(|tx| sample::aged(tx, from, window.before, PAGE))?;
            let over = page.iter();
            let over = over.filter(|sample| sample.is_surplus || sample.at < expired);
            let over: Vec<i64> = over.map(|sample| sample.id).collect();
            for ids in over.chunks(CHUNK as usize) {
                if !self.goes_on()? {
                    return Ok(false);
                }
                let removed = self.store.write(|tx| sample::remove(tx, ids))?;
                self.removed.samples += removed as u64;
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => from = (last.at, last.id),
                _ => return Ok(true),
            }
            if !self.goes_on()? {
                return Ok(false);
            }
        }
    }
}

/// How long deliveries that ended so are kept.
pub fn kept(config: &Config, ended: Ended) -> std::time::Duration {
    match ended {
        Ended::Done => config.deliveries.delivered.0,
        Ended::Parked | Ended::Orphaned => config.deliveries.max_age.0,
    }
}

fn undelivered(over: &[Over]) -> Dropped {
    let mut dropped = Dropped::default();
    for delivery in over {
        dropped.delivery(&delivery.endpoint);
    }
    dropped
}

/// Remembers what was dropped in the transaction that drops it, so that it is told whatever
/// becomes of this run.
fn note(tx: &WriteTx<'_>, unit: &str, now: Timestamp, dropped: &Dropped) -> Result<()> {
    if dropped.is_empty() {
        return Ok(());
    }
    let mut state = state::read(tx, unit)?;
    state.untold.add(dropped);
    state::write(tx, unit, &state, now)
}

//! The limit of the database's size: what goes when the times alone do not keep it small.

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{self, EventId, Hold};
use roundsman_store::{Result, retention};

use super::{CHUNK, Sweep, note, undelivered};
use crate::plan;

/// What goes first, and what last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Deliveries that are done.
    Done,
    /// Events that everybody has seen.
    Seen,
    /// Events that somebody has not, with what is owed of them.
    Unseen,
    /// Deliveries of events that are gone.
    Owed,
}

impl Sweep<'_> {
    /// Removes the oldest rows until the database holds no more than it may; false if it still
    /// does.
    pub fn by_size(&mut self) -> Result<bool> {
        for stage in [Stage::Done, Stage::Seen, Stage::Unseen, Stage::Owed] {
            let mut after = EventId(0);
            while self.is_too_large()? {
                if !self.goes_on()? {
                    return Ok(false);
                }
                let found = match stage {
                    Stage::Done => self.done()?,
                    Stage::Seen => self.seen(&mut after)?,
                    Stage::Unseen => self.unseen()?,
                    Stage::Owed => self.owed()?,
                };
                if found == 0 {
                    break;
                }
            }
        }
        Ok(!self.is_too_large()?)
    }

    fn is_too_large(&mut self) -> Result<bool> {
        Ok(self.store.space()?.used_bytes() > self.config.events.size.0)
    }

    fn done(&mut self) -> Result<usize> {
        const ALL: Timestamp = Timestamp(i64::MAX);
        let removed = self.store.write(|tx| {
            let over = retention::over(tx, retention::Ended::Done, ALL, CHUNK)?;
            retention::remove(tx, &over)
        })?;
        self.removed.deliveries += removed as u64;
        Ok(removed)
    }

    fn seen(&mut self, after: &mut EventId) -> Result<usize> {
        let page = self.store.read(|tx| event::oldest(tx, *after, CHUNK))?;
        let ids: Vec<EventId> = page.iter().map(|event| event.id).collect();
        if let Some(last) = ids.last() {
            *after = *last;
            self.removed.events += self.remove_events(&ids)?;
        }
        Ok(ids.len())
    }

    fn unseen(&mut self) -> Result<usize> {
        let (events, deliveries) = self.store.write(|tx| {
            let readers = retention::readers(tx)?;
            let page = event::oldest(tx, EventId(0), CHUNK)?;
            let ids: Vec<EventId> = page.iter().map(|event| event.id).collect();
            let open = retention::open(tx, &ids)?;
            let deliveries = retention::remove(tx, &open)?;
            let events = event::remove(tx, &ids, Hold::NONE)?;
            let mut dropped = plan::lost(&events, &readers);
            dropped.add(&undelivered(&open));
            dropped.by_size = dropped.total();
            note(tx, &self.unit, self.now, &dropped)?;
            Ok((events.len(), deliveries))
        })?;
        self.removed.events += events as u64;
        self.removed.deliveries += deliveries as u64;
        Ok(events)
    }

    fn owed(&mut self) -> Result<usize> {
        let removed = self.store.write(|tx| {
            let over = retention::oldest_open(tx, CHUNK)?;
            let removed = retention::remove(tx, &over)?;
            let mut dropped = undelivered(&over);
            dropped.by_size = dropped.total();
            note(tx, &self.unit, self.now, &dropped)?;
            Ok(removed)
        })?;
        self.removed.deliveries += removed as u64;
        Ok(removed)
    }
}

//! The file itself: giving space back, and keeping the write-ahead log small.

use roundsman_store::{Checkpoint, Result, Store};

use crate::config::Config;
use crate::sweep::Budget;

/// Pages that one transaction gives back: some milliseconds.
const PAGES: u32 = 500;

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidied {
    /// Bytes given back to the file system.
    pub given_back: u64,
    /// The last checkpoint.
    pub checkpoint: Checkpoint,
    /// The file cannot shrink, and nobody but a person can change that.
    pub is_rigid: bool,
}

/// Gives free pages back and moves the log into the database. Call it after all else that
/// writes.
///
/// # Errors
/// That of SQLite.
pub fn tidy(store: &mut Store, config: &Config, budget: &Budget<'_>) -> Result<Tidied> {
    let is_idle = !store.changed()?;
    let before = store.space()?;
    let mut is_rigid = !before.shrinks;
    if is_rigid && before.wants_rewrite() && is_idle {
        match store.rewrite() {
            Ok(()) => is_rigid = false,
            // Somebody uses it after all: the next run tries again.
            Err(error) => log::debug!("the store was not written anew: {error}"),
        }
    }
    give_back(store, config, budget)?;
    let after = store.space()?;
    let checkpoint = store.checkpoint()?;
    let log = store.figures()?.wal_bytes;
    if log >= config.checkpoint.truncate.0 && checkpoint.is_complete() && !store.changed()? {
        store.truncate_log()?;
    }
    Ok(Tidied {
        given_back: before.pages.saturating_sub(after.pages) * before.page_bytes,
        checkpoint,
        is_rigid,
    })
}

fn give_back(store: &mut Store, config: &Config, budget: &Budget<'_>) -> Result<()> {
    let mut left = u64::MAX;
    loop {
        let space = store.space()?;
        if !space.shrinks || space.free == 0 || space.free >= left || !budget.is_left() {
            return Ok(());
        }
        left = space.free;
        // Each page is written to the log first, which cannot begin anew while somebody reads.
        if store.figures()?.wal_bytes >= config.storage.wal.warning.0
            && !store.checkpoint()?.is_complete()
        {
            return Ok(());
        }
        store.give_back(PAGES)?;
    }
}

//! How full the file system of the store is.

use std::io;
use std::path::Path;

use roundsman_store::{Figures, Location};

use crate::plan::Reading;

/// Sizes of the database and of its log.
pub fn sizes(figures: &Figures) -> Vec<Reading> {
    let size = |subject, bytes: u64| {
        let value = bytes as f64;
        Reading { subject, value }
    };
    vec![
        size("database", figures.db_bytes),
        size("wal", figures.wal_bytes),
    ]
}

/// How full the file system is. A share that is not known is not there: some file systems have no
/// fixed number of inodes.
///
/// # Errors
/// That of statvfs(2).
pub fn shares(location: &Location) -> io::Result<Vec<Reading>> {
    let volume = rustix::fs::statvfs(location.db())?;
    let used = volume.f_blocks.saturating_sub(volume.f_bfree);
    let inodes = volume.f_files.saturating_sub(volume.f_ffree);
    let share = |subject, used: u64, free: u64| {
        let all = used.checked_add(free).filter(|all| *all > 0)?;
        let value = used as f64 * 100.0 / all as f64;
        Some(Reading { subject, value })
    };
    let is_counted = volume.f_files > 0;
    let all = [
        // What is reserved for root is not free, as in df(1).
        share("volume", used, volume.f_bavail),
        share("inodes", inodes, volume.f_favail).filter(|_| is_counted),
    ];
    Ok(all.into_iter().flatten().collect())
}

/// Whether the file system of `directory` has room for `bytes` more.
///
/// # Errors
/// That of statvfs(2).
pub fn has_room(directory: &Path, bytes: u64) -> io::Result<bool> {
    let volume = rustix::fs::statvfs(directory)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize) >= bytes)
}

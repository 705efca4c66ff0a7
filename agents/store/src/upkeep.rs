//! Check, figures, and what keeps the file small: retention, space, checkpoints.

mod checkpoint;
pub mod retention;
mod space;

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{At, Error, Result, beside};
use crate::store::Store;

pub use checkpoint::Checkpoint;
pub use space::Space;

/// How many findings of `integrity_check` are worth reading.
const FINDINGS: i64 = 100;

/// Sizes of the file, for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Size of the database file, in bytes.
    pub db_bytes: u64,
    /// Size of the write-ahead log, in bytes; 0 when it does not exist.
    pub wal_bytes: u64,
    /// Pages of the database, free ones included.
    pub pages: u64,
    /// Pages that are free to use.
    pub free_pages: u64,
    /// The schema.
    pub schema: u32,
}

impl Store {
    /// Reads the whole file and returns what is wrong with it: nothing, if all is well.
    ///
    /// # Errors
    /// That of SQLite, where the file is too damaged to be read at all.
    pub fn check(&mut self) -> Result<Vec<String>> {
        let started = self.start_waiting();
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut findings = Vec::new();
            self.connection()
                .pragma(None, "integrity_check", FINDINGS, |row| {
                    findings.push(row.get(0)?);
                    Ok(())
                })?;
            findings.retain(|line: &String| line != "ok");
            self.connection()
                .pragma_query(None, "foreign_key_check", |row| {
                    let (table, parent): (String, String) = (row.get("table")?, row.get("parent")?);
                    findings.push(format!(
                        "a row of {table} refers to a missing row of {parent}"
                    ));
                    Ok(())
                })?;
            Ok(findings)
        };
        read().map_err(|source| self.failed("check", started, source))
    }

    /// Sizes of the file.
    ///
    /// # Errors
    /// That of SQLite or of the file system.
    pub fn figures(&mut self) -> Result<Figures> {
        let started = self.start_waiting();
        let number = |pragma: &str| {
            self.connection()
                .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
                .map_err(|source| self.failed("read figures", started, source))
        };
        let size = |path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(At::new(path, "read figures"), error)),
        };
        let db_bytes = size(self.path())?.ok_or_else(|| Error::Missing {
            path: self.path().to_path_buf(),
        })?;
        Ok(Figures {
            db_bytes,
            // Without a WAL there is nothing in it.
            wal_bytes: size(&beside(self.path(), "-wal"))?.unwrap_or(0),
            pages: number("page_count")?,
            free_pages: number("freelist_count")?,
            schema: number("user_version")? as u32,
        })
    }
}

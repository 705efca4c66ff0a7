//! Bringing a file to this version's schema. Only [`crate::Role::Migrate`] comes here.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};

use crate::backup::vacuum_into;
use crate::error::{At, Error, Result, beside};

/// `rdsm`: how a file says that it is ours.
pub(crate) const APPLICATION_ID: u32 = 0x7264_736d;

/// One step of the schema. Its number is its place in [`STEPS`] plus one.
pub(crate) struct Step {
    /// The file name without its suffix.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    /// False for a step after which the previous version could not use the file, or that drops
    /// or rewrites rows: a copy is taken first.
    pub(crate) additive: bool,
}

/// Every step there has ever been. A released file is never edited.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "0001_foundation",
        sql: include_str!("../migrations/0001_foundation.sql"),
        additive: true,
    },
    Step {
        name: "0002_deliveries",
        sql: include_str!("../migrations/0002_deliveries.sql"),
        additive: true,
    },
    Step {
        name: "0003_holding",
        sql: include_str!("../migrations/0003_holding.sql"),
        additive: true,
    },
    Step {
        name: "0004_trial",
        sql: include_str!("../migrations/0004_trial.sql"),
        additive: true,
    },
];

/// The schema of this version.
pub(crate) fn known() -> u32 {
    number_of(STEPS)
}

fn number_of(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).expect("a handful of steps")
}

/// What opening as [`crate::Role::Migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The schema that was found; 0 is an empty file.
    pub from: u32,
    /// The schema now.
    pub to: u32,
    /// The steps that were taken, as `0001_foundation`.
    pub steps: Vec<&'static str>,
    /// The copy that was taken before a step that is not additive.
    pub copy: Option<PathBuf>,
}

/// What the header of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    application_id: u32,
    schema: u32,
    tables: u32,
    wal: bool,
}

/// What the header of the file at `path` says.
pub(crate) fn header(connection: &Connection, path: &Path) -> Result<Header> {
    let read = || -> rusqlite::Result<Header> {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let journal: String =
            connection.query_row("PRAGMA journal_mode", [], |row| row.get("journal_mode"))?;
        Ok(Header {
            // Both are 32 bits in the file; SQLite shows them as signed.
            application_id: number("PRAGMA application_id")? as u32,
            schema: number("PRAGMA user_version")? as u32,
            tables: number("SELECT count(*) FROM sqlite_schema")? as u32,
            wal: journal == "wal",
        })
    };
    read().map_err(failed(path, "read the header"))
}

impl Header {
    fn is_blank(self) -> bool {
        (self.application_id, self.schema, self.tables) == (0, 0, 0)
    }

    /// The schema, if a copy with this header can become the store.
    pub(crate) fn restorable(self, path: &Path) -> Result<u32> {
        if self.is_blank() {
            // An empty database is nobody's copy of anything.
            return Err(Error::Foreign {
                path: path.to_path_buf(),
                application_id: 0,
            });
        }
        self.refuse_strangers(path, known())?;
        Ok(self.schema)
    }

    /// Refuses what no version before or at `known` has made.
    fn refuse_strangers(self, path: &Path, known: u32) -> Result<()> {
        let path = path.to_path_buf();
        if !self.is_blank() && self.application_id != APPLICATION_ID {
            return Err(Error::Foreign {
                path,
                application_id: self.application_id,
            });
        }
        if self.schema > known {
            let copy = Some(copy_path(&path, known)).filter(|copy| copy.exists());
            return Err(Error::Newer {
                path,
                found: self.schema,
                known,
                copy,
            });
        }
        Ok(())
    }

    /// Whether everything is there that this version needs.
    pub(crate) fn judge(self, path: &Path) -> Result<()> {
        self.refuse_strangers(path, known())?;
        let path = path.to_path_buf();
        if self.schema < known() {
            return Err(Error::Older {
                path,
                found: self.schema,
                known: known(),
            });
        }
        if !self.wal {
            return Err(Error::Unprepared { path });
        }
        Ok(())
    }
}

/// The copy of the file as it was at `schema`.
fn copy_path(db: &Path, schema: u32) -> PathBuf {
    beside(db, &format!(".schema-{schema}"))
}

/// Runs the steps that are missing. The caller holds the ticket, so no other agent writes
/// between the copy and the last step.
pub(crate) fn run(connection: &mut Connection, path: &Path, steps: &[Step]) -> Result<Migration> {
    let known = number_of(steps);
    let found = header(connection, path)?;
    found.refuse_strangers(path, known)?;
    let missing = &steps[found.schema as usize..];
    let mut done = Migration {
        from: found.schema,
        to: known,
        steps: Vec::new(),
        copy: None,
    };
    if found.schema > 0 && missing.iter().any(|step| !step.additive) {
        done.copy = Some(copy(connection, path, found.schema)?);
    }
    if found.is_blank() {
        // Only a file without tables takes this setting, and WAL writes the first page.
        connection
            .execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")
            .map_err(failed(path, "create"))?;
    }
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(failed(path, "switch to WAL"))?;
    for (number, step) in (found.schema + 1..).zip(missing) {
        take(connection, number, step).map_err(failed(path, step.name))?;
        done.steps.push(step.name);
    }
    connection
        .execute_batch("PRAGMA synchronous = NORMAL;")
        .map_err(failed(path, "create"))?;
    Ok(done)
}

/// One step and its number are one transaction.
fn take(connection: &mut Connection, number: u32, step: &Step) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(step.sql)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", number)?;
    tx.commit()
}

fn copy(connection: &Connection, path: &Path, schema: u32) -> Result<PathBuf> {
    let copy = copy_path(path, schema);
    vacuum_into(connection, path, &copy)?;
    // Restoring it is a rename, so it has the mode that the store must have.
    fs::set_permissions(&copy, Permissions::from_mode(0o660))
        .map_err(|error| Error::io(At::new(&copy, "set the mode"), error))?;
    Ok(copy)
}

fn failed(path: &Path, operation: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    let (at, started) = (At::new(path, operation), Instant::now());
    move |source| Error::sqlite(at.clone(), started, source)
}

#[cfg(test)]
mod tests;

//! Transaction handles. What a function may do to the store is the handle it asks for.

use std::cell::Cell;
use std::ops::Deref;
use std::path::Path;
use std::time::Instant;

use roundsman_kit::clock::Timestamp;
use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Params, Row, Statement};
use serde::de::DeserializeOwned;

use crate::error::{At, Error, Result};
use crate::rows::{Rows, Unreadable};

/// How much of a strange row's key is shown, in characters per column.
const LONGEST_NAME: usize = 100;

/// A table and what is done with it, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doing {
    pub(crate) table: &'static str,
    pub(crate) operation: &'static str,
}

impl Doing {
    pub(crate) const fn on(table: &'static str, operation: &'static str) -> Self {
        Self { table, operation }
    }
}

/// A snapshot: everything read with it is from one moment.
#[derive(Debug)]
pub struct ReadTx<'s> {
    connection: &'s Connection,
    path: &'s Path,
}

impl<'s> ReadTx<'s> {
    pub(crate) fn new(connection: &'s Connection, path: &'s Path) -> Self {
        Self { connection, path }
    }

    pub(crate) fn at(&self, doing: Doing) -> At {
        At {
            path: self.path.to_path_buf(),
            table: Some(doing.table),
            operation: doing.operation,
        }
    }

    fn failed(&self, doing: Doing) -> impl Fn(rusqlite::Error) -> Error + '_ {
        let started = Instant::now();
        move |source| Error::sqlite(self.at(doing), started, source)
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        doing: Doing,
        sql: &str,
        params: impl Params,
        map: impl Fn(&Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.each(doing, sql, params, |row| {
            found.push(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows of a query, those apart that hold a value which does not fit; they are named by
    /// the columns of `key`.
    pub(crate) fn rows_apart<T>(
        &self,
        doing: Doing,
        sql: &str,
        params: impl Params,
        key: &[&'static str],
        map: impl Fn(&Columns<'_>) -> Result<T>,
    ) -> Result<Rows<T>> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        self.each(doing, sql, params, |row| {
            match map(row) {
                Ok(value) => found.push(value),
                Err(Error::Value { at, column, source }) => unreadable.push(Unreadable {
                    at,
                    row: row.name(key),
                    column,
                    source,
                }),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        Ok(Rows { found, unreadable })
    }

    fn each(
        &self,
        doing: Doing,
        sql: &str,
        params: impl Params,
        mut visit: impl FnMut(&Columns<'_>) -> Result<()>,
    ) -> Result<()> {
        let failed = self.failed(doing);
        let mut statement = self.connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = statement.query(params).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            visit(&Columns {
                row,
                next: Cell::new(0),
                doing,
                tx: self,
            })?;
        }
        Ok(())
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row<T>(
        &self,
        doing: Doing,
        sql: &str,
        params: impl Params,
        map: impl Fn(&Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.rows(doing, sql, params, map)?.into_iter().next())
    }
}

/// The right to write: the ticket is ours and `BEGIN IMMEDIATE` has succeeded.
#[derive(Debug)]
pub struct WriteTx<'s> {
    read: ReadTx<'s>,
    rings: Cell<bool>,
}

impl<'s> WriteTx<'s> {
    pub(crate) fn new(connection: &'s Connection, path: &'s Path) -> Self {
        Self {
            read: ReadTx::new(connection, path),
            rings: Cell::new(false),
        }
    }

    /// Rings the bell after the commit: others wait for what this transaction holds. Rows that
    /// nobody waits for (samples, cycles, positions) do not, or an agent that records each
    /// cycle would wake itself for ever.
    pub fn ring(&self) {
        self.rings.set(true);
    }

    pub(crate) fn rings(&self) -> bool {
        self.rings.get()
    }

    /// Executes one statement and returns how many rows it changed.
    pub(crate) fn execute(&self, doing: Doing, sql: &str, params: impl Params) -> Result<usize> {
        let failed = self.failed(doing);
        let mut statement = self.connection.prepare_cached(sql).map_err(&failed)?;
        statement.execute(params).map_err(&failed)
    }

    /// The rowid of the last row that this connection inserted.
    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }
}

impl<'s> Deref for WriteTx<'s> {
    type Target = ReadTx<'s>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

/// The right to insert events: the commit will be synced to disk before it returns.
#[derive(Debug)]
pub struct EventTx<'s>(WriteTx<'s>);

impl<'s> EventTx<'s> {
    pub(crate) fn new(write: WriteTx<'s>) -> Self {
        Self(write)
    }
}

impl<'s> Deref for EventTx<'s> {
    type Target = WriteTx<'s>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A row, read by column name; a value that does not fit names its table and column.
pub(crate) struct Columns<'r> {
    row: &'r Row<'r>,
    /// The column after the last that was read. Rows are mostly read in their order, and a name
    /// is looked for from the first column on otherwise.
    next: Cell<usize>,
    doing: Doing,
    tx: &'r ReadTx<'r>,
}

impl Columns<'_> {
    pub(crate) fn get<T: FromSql>(&self, column: &'static str) -> Result<T> {
        let value = self.place(column).and_then(|place| self.row.get(place));
        value.map_err(|error| self.unfit(column, error))
    }

    fn place(&self, column: &'static str) -> rusqlite::Result<usize> {
        let statement: &Statement<'_> = self.row.as_ref();
        let next = self.next.get();
        let place = match statement.column_name(next) {
            Ok(name) if name == column => next,
            _ => statement.column_index(column)?,
        };
        self.next.set(place + 1);
        Ok(place)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.get(column).map(Timestamp)
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u64> {
        let count: i64 = self.get(column)?;
        u64::try_from(count).map_err(|error| self.unfit(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.unfit(column, error))
    }

    /// The values of these columns, whatever they hold: `agent=a kind=b`.
    fn name(&self, key: &[&'static str]) -> String {
        let value = |column: &&'static str| {
            let text = match self.row.get_ref(*column) {
                Ok(ValueRef::Integer(number)) => number.to_string(),
                Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => {
                    let text = String::from_utf8_lossy(bytes);
                    text.chars().take(LONGEST_NAME).collect()
                }
                _ => "?".to_owned(),
            };
            format!("{column}={text}")
        };
        key.iter().map(value).collect::<Vec<_>>().join(" ")
    }

    fn unfit(
        &self,
        column: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::Value {
            at: self.tx.at(self.doing),
            column,
            source: Box::new(source),
        }
    }
}

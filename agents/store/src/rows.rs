//! What a query found, where one strange row must not hide the others.

use crate::error::{At, Cause, Error, Result};

/// The rows that could be read, and the others by name.
#[derive(Debug)]
pub struct Rows<T> {
    /// Those that this version understands.
    pub found: Vec<T>,
    /// Those that it does not.
    pub unreadable: Vec<Unreadable>,
}

/// A row that this version cannot read: another one, or another program, has written it.
#[derive(Debug, thiserror::Error)]
#[error(
    "row {row} of table {} is left out: column {column}: {source}",
    at.table.unwrap_or_default()
)]
pub struct Unreadable {
    /// What was being done.
    pub at: At,
    /// Its key, as `id=17`.
    pub row: String,
    /// The column.
    pub column: &'static str,
    /// What is strange about it.
    pub source: Cause,
}

/// A page of a stream that is followed by position.
#[derive(Debug)]
pub struct Page<T, P> {
    /// Its rows.
    pub rows: Rows<T>,
    /// Where to go on: the last row that was looked at, read or not; none on an empty page.
    pub reached: Option<P>,
    /// Whether there may be more behind it.
    pub is_full: bool,
}

impl<T> Rows<T> {
    /// All of them, for whom a part is of no use.
    ///
    /// # Errors
    /// [`Error::Value`] for the first that could not be read.
    pub fn whole(self) -> Result<Vec<T>> {
        match self.unreadable.into_iter().next() {
            None => Ok(self.found),
            Some(Unreadable {
                at, column, source, ..
            }) => Err(Error::Value { at, column, source }),
        }
    }

    /// The sentences about those that could not be read.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.unreadable.iter().map(ToString::to_string)
    }
}

//! Pages of the file: how many are free, and giving them back to the file system.

use crate::error::Result;
use crate::store::Store;
use crate::tx::Doing;

/// A file whose free pages cannot be given back one by one is written anew only up to this size:
/// the copy is made in memory, and everybody waits for it.
const LARGEST_REWRITE: u64 = 32 << 20;

const FILE: Doing = Doing::on("sqlite_schema", "give space back");

/// Where the bytes of the database are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of a page, in bytes.
    pub page_bytes: u64,
    /// Pages, free ones included.
    pub pages: u64,
    /// Free pages.
    pub free: u64,
    /// Free pages can be given back (`auto_vacuum = INCREMENTAL`).
    pub shrinks: bool,
}

impl Space {
    /// Bytes that hold something.
    pub fn used_bytes(self) -> u64 {
        self.pages.saturating_sub(self.free) * self.page_bytes
    }

    /// Whether [`Store::rewrite`] is worth its while: the file does not shrink, and is small.
    pub fn wants_rewrite(self) -> bool {
        !self.shrinks && self.pages * self.page_bytes <= LARGEST_REWRITE
    }
}

impl Store {
    /// Where the bytes of the database are; a few microseconds.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn space(&mut self) -> Result<Space> {
        const INCREMENTAL: u64 = 2;
        let started = self.start_waiting();
        let number = |pragma: &str| {
            self.connection()
                .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
                .map_err(|source| self.failed("read figures", started, source))
        };
        Ok(Space {
            page_bytes: number("page_size")?,
            pages: number("page_count")?,
            free: number("freelist_count")?,
            shrinks: number("auto_vacuum")? == INCREMENTAL,
        })
    }

    /// Gives up to `most` free pages back to the file system, in one transaction. The file itself
    /// is shorter after the next checkpoint.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn give_back(&mut self, most: u32) -> Result<()> {
        // Each step of this statement moves one page.
        let sql = format!("PRAGMA incremental_vacuum({most})");
        self.write(|tx| tx.rows(FILE, &sql, [], |_| Ok(())).map(drop))
    }

    /// Writes the whole file anew so that it can shrink from now on. Everybody waits meanwhile,
    /// and it fails at once if somebody reads or writes: it is for a quiet moment.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn rewrite(&mut self) -> Result<()> {
        let started = self.stop_waiting();
        self.connection()
            .execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;")
            .map_err(|source| self.failed("rewrite", started, source))
    }

    /// Refreshes the statistics that SQLite chooses its plans by, where they are out of date.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn optimize(&mut self) -> Result<()> {
        const DOING: Doing = Doing::on("sqlite_stat1", "optimize");
        self.write(|tx| {
            tx.rows(DOING, "PRAGMA analysis_limit = 400", [], |_| Ok(()))?;
            tx.rows(DOING, "PRAGMA optimize", [], |_| Ok(())).map(drop)
        })
    }
}

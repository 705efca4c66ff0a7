//! Reads systemd's journal files: its own reader of the documented format, without libsystemd.
//!
//! ```no_run
//! use roundsman_journal::{Filter, Journal, Pace, Read, Sources, Start};
//!
//! # fn main() -> std::io::Result<()> {
//! let filter = Filter::new().fields(["MESSAGE", "_SYSTEMD_UNIT"]);
//! let mut journal = Journal::open(Sources::default(), filter, Start::End, Pace::Normal)?;
//! loop {
//!     while let Some(read) = journal.next() {
//!         match read {
//!             Read::Entry(entry) => println!("{:?}", entry.field("MESSAGE")),
//!             Read::Notice(notice) => eprintln!("{notice:?}"),
//!         }
//!     }
//!     // Wait on `journal.doorbell()` for at most `journal.period()`, until `journal.rung()`.
//! #   break Ok(());
//! }
//! # }
//! ```
//!
//! Invariants:
//! - nothing is ever written, and no file is mapped: a truncated file cannot kill the process;
//! - an entry is read only when the file's header counts it, so that a half-written one is never
//!   seen;
//! - nothing is lost in silence: what is missing, damaged, deleted or forbidden is a [`Notice`]
//!   with a count;
//! - whatever the bytes of a file are, reading ends, and memory is bounded.

#![forbid(unsafe_code)]

mod adopt;
mod bytes;
mod class;
mod compress;
mod counter;
mod directory;
mod doorbell;
mod entry;
mod error;
mod family;
mod file;
mod filter;
mod header;
mod id;
mod journal;
mod lz4;
mod notice;
mod object;
mod position;
mod reader;
mod stream;
mod values;
mod window;
mod xz;

pub use directory::Sources;
pub use doorbell::Pace;
pub use entry::{Entry, Field};
pub use error::{Refused, Why};
pub use filter::{Filter, TooManyConditions};
pub use id::{BadId, Id};
pub use journal::{Journal, Read, Start};
pub use notice::{Gap, Notice, Skipped};
pub use position::{BadPosition, Bookmark, Position};

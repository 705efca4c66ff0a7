//! The shared SQLite file: the only meeting place of the agents, and the only crate with SQL.
//!
//! Invariants:
//! - whoever writes holds `&WriteTx`, hence the write ticket and `BEGIN IMMEDIATE`;
//! - an event is inserted with `&EventTx`, hence in a transaction that survives a power cut;
//! - the schema changes only in [`Role::Migrate`];
//! - the database file is never opened outside SQLite: closing such a descriptor would drop the
//!   POSIX locks of every connection of this process. ([`restore`] does, which is for a process
//!   that has none.)

mod backup;
mod bell;
pub mod condition;
mod connection;
mod error;
mod location;
mod migrate;
mod restore;
mod rows;
mod same_file;
mod store;
pub mod tables;
mod ticket;
mod tx;
mod upkeep;

pub use bell::{Bell, Doorbell};
pub use error::{At, Cause, Error, Result, class_of};
pub use location::Location;
pub use migrate::Migration;
pub use restore::{Restored, restore};
pub use rows::{Page, Rows, Unreadable};
pub use store::{Role, Store};
pub use tables::{
    cursor, cycle, delivery, delivery_group, endpoint, event, event_count, sample, trial,
};
pub use tx::{EventTx, ReadTx, WriteTx};
pub use upkeep::{Checkpoint, Figures, Space, retention};

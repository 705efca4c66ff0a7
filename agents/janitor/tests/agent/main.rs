//! The real program on a real store, with a clock of the test's own.

#![allow(clippy::unwrap_used)] // helpers of tests

mod backups;
mod house;
mod load;
mod month;
mod retention;
mod storage;

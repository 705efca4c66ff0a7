//! The library on whole trees of `/proc` and `/sys`, and on this machine.

#![allow(clippy::unwrap_used)] // helpers of tests

mod document;
mod fixture;
mod garbled;
mod golden;
mod live;
mod mounts;

//! The reader against files of real writers, whole, damaged, and while they are written.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../corpus/mod.rs"]
#[allow(dead_code, reason = "the bench and the examples use other parts")]
mod corpus;

mod damage;
mod follow;
mod golden;
mod journald;
mod missing;
mod pick;
mod places;
mod support;

//! The reader against files of real writers, whole, damaged, and while they are written.

#[path = "../corpus/mod.rs"]
#[allow(dead_code, reason = "the bench and the examples use other parts")]
mod corpus;

mod damage;
mod follow;
mod golden;
mod journald;
mod pick;
mod support;

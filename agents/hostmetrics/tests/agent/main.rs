//! The real program on a host made of files, minute by minute.

#![allow(clippy::unwrap_used)] // helpers of tests

mod conditions;
mod machine;
mod rounds;

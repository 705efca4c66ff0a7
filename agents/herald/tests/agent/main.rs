//! The real program on a real store, with receivers on the loopback interface.

#![allow(clippy::unwrap_used)] // helpers of tests

mod crash;
mod endpoints;
mod lanes;
mod mail;
mod order;
mod receiver;
mod reload;
mod support;

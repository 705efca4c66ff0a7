//! The real program on a real store, with receivers on the loopback interface.

#![allow(clippy::unwrap_used)] // helpers of tests

mod clock;
mod configured;
mod crash;
mod endpoints;
mod formats;
mod groups;
mod heartbeat;
mod lanes;
mod mail;
mod order;
mod quiet;
mod receiver;
mod reload;
mod renewal;
mod silences;
mod support;

//! The real herald against what receivers really run: their libraries, their server, their limits.
//!
//! A library or server that cannot be had here is a skip with its reason.

#![allow(clippy::unwrap_used)] // helpers of tests

mod chat;
mod cloudevents;
mod sender;
mod standard;

//! The exporter, seen from outside: the real program in a tree of its own, and an HTTP client.

#![allow(clippy::unwrap_used)] // helpers of tests

mod attacks;
mod bus;
mod pages;
mod reload;
mod serving;
mod sources;
mod support;
mod units;

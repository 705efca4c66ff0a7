//! roundsman-herald: delivers events to webhooks and mail, at least once and in order.

#![forbid(unsafe_code)]
#![allow(dead_code)]

mod client;
mod format;
mod guard;
mod sign;

fn main() {}

//! roundsman-herald: delivers events to webhooks and mail, at least once and in order.

#![forbid(unsafe_code)]

fn main() {}

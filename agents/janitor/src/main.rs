//! roundsman-janitor: keeps the store small.

#![forbid(unsafe_code)]

fn main() {}

//! Prints made-up entries in the export format, for `systemd-journal-remote -o FILE -`.
//! `cargo run -p roundsman-journal --example corpus -- (hard|usual) COUNT`

#![allow(clippy::unwrap_used, reason = "a tool of the tests")]

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next();
    let count = arguments.next().and_then(|count| count.parse().ok());
    let mut out = BufWriter::new(io::stdout().lock());
    match (kind.as_deref(), count) {
        (Some("hard"), Some(count)) => corpus::export(corpus::hard(count), &mut out)?,
        (Some("usual"), Some(count)) => corpus::export(corpus::usual(count), &mut out)?,
        _ => eprintln!("usage: corpus (hard|usual) COUNT"),
    }
    out.flush()
}

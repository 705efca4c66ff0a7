//! roundsman-migrate: brings the shared store to this version's schema.
//!
//! Every unit that opens the store requires this one and is ordered after it, so it mostly finds
//! nothing to do, and must be quick about it.

#![forbid(unsafe_code)]

mod config;
mod run;

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "migrate",
    version: env!("CARGO_PKG_VERSION"),
    about: "Brings the shared store to this version's schema",
    kind: Kind::Oneshot,
    is_template: false,
    classifiers: &[roundsman_store::class_of],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, |ctx, _: config::Config| run::run(ctx))
}

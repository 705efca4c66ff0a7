//! roundsman-janitor: keeps the store small.
//!
//! One run removes what is too old, gives the space back, moves the log into the database, makes
//! the nightly backup and judges how full everything is. It ends between two chunks when its time
//! is up, and the next run goes on.

#![forbid(unsafe_code)]

mod backup;
mod config;
mod events;
mod file;
mod metrics;
mod plan;
mod record;
mod rehearsal;
mod run;
mod state;
mod sweep;
mod volume;

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "janitor",
    version: env!("CARGO_PKG_VERSION"),
    about: "Keeps the store small: retention, checkpoints, backup, how full everything is",
    kind: Kind::Oneshot,
    is_template: false,
    classifiers: &[roundsman_store::class_of],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, |ctx, config: config::Config| run::run(ctx, &config))
}

//! roundsman-hostmetrics: measures this host once a minute.
//!
//! One run is one cycle: gather figures, compare them with the previous run, judge them against
//! the declared thresholds, record everything in one transaction.

#![forbid(unsafe_code)]

mod config;
mod events;
mod gather;
mod metrics;
mod plan;
mod previous;
mod record;
mod run;

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "hostmetrics",
    version: env!("CARGO_PKG_VERSION"),
    about: "Measures this host: samples for history, events when thresholds are crossed",
    kind: Kind::Oneshot,
    is_template: false,
    classifiers: &[roundsman_store::class_of],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, |ctx, config: config::Config| run::run(ctx, &config))
}

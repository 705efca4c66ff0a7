//! roundsman-herald: delivers events to webhooks, at least once and in order.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "herald",
    version: env!("CARGO_PKG_VERSION"),
    about: "Delivers events to webhooks, at least once and in order",
    kind: Kind::Daemon,
    is_template: false,
    classifiers: &[roundsman_store::class_of],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, roundsman_herald::run::run)
}

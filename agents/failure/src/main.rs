//! roundsman-failure: turns a failed unit into one event, and its recovery into another.
//!
//! With an instance it is the hook that systemd starts by
//! `OnFailure=roundsman-failure@%n.service`; without one it is the sweep that a timer starts to
//! see which of the failed units have recovered.

#![forbid(unsafe_code)]

mod capture;
mod condition;
mod config;
mod cycle;
mod hook;
mod journal;
mod marker;
mod record;
mod report;
mod sweep;
mod unit_name;
mod units;

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "failure",
    version: env!("CARGO_PKG_VERSION"),
    about: "Turns a failed unit into one event, and its recovery into another",
    kind: Kind::Oneshot,
    is_template: true,
    classifiers: &[roundsman_store::class_of],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, |ctx, config: config::Config| {
        let started = ctx.clock().now();
        let outcome = match ctx.instance() {
            Some(unit) => hook::run(ctx, &config, unit),
            None => sweep::run(ctx),
        };
        if let Err(failure) = &outcome {
            cycle::record_failed(ctx, &AGENT, started, failure);
        }
        outcome
    })
}

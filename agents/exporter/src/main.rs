//! One scrape page for Prometheus: this host, its units, the suite's agents, and whatever other
//! programs leave in files.

mod body;
mod config;
mod cycles;
mod family;
mod health;
mod merge;
mod present;
mod process;
mod registries;
mod report;
mod run;
mod scrape;
mod server;
mod start;
mod textfiles;
mod units;

use std::process::ExitCode;

use roundsman_kit::{Agent, Kind};

const AGENT: Agent = Agent {
    name: "exporter",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves one scrape page of host, units and agents to Prometheus",
    kind: Kind::Daemon,
    is_template: false,
    classifiers: &[roundsman_store::class_of, roundsman_net::classify],
};

fn main() -> ExitCode {
    roundsman_kit::run(&AGENT, run::run)
}

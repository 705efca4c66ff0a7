//! `roundsman`: what the agents of this host do, shown to a person, and the few things that a
//! person does for them. It holds no state and talks to no agent: it reads the store, asks
//! systemd over D-Bus, and writes files that systemd reads.

mod accounts;
mod agents;
mod bell;
mod cli;
mod commands;
mod credentials;
mod drop_in;
mod flat;
mod herald;
mod host;
mod moment;
mod programs;
mod progress;
mod silences;
mod systemd;
mod terminal;
mod unit_files;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use roundsman_kit::agent::caught;
use roundsman_kit::error;

use crate::host::Host;
use crate::terminal::Out;

/// The exit code for a wrong command line: `EX_USAGE` of `sysexits.h`, as in every agent.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            let code = if message.use_stderr() { USAGE } else { 0 };
            // A closed standard output is no reason to end otherwise than was asked for.
            let _ = message.print();
            return code.into();
        }
    };
    // A panic says itself on standard error, and must not look like any other end.
    caught(|| run(cli))
}

fn run(cli: cli::Cli) -> ExitCode {
    let mut out = Out::stdout();
    let host = Host::new(cli.root);
    let outcome = cli
        .command
        .run(&host, &mut out)
        .and_then(|code| out.flush().map(|()| code).map_err(Into::into));
    match outcome {
        Ok(code) => code,
        Err(failure) if reader_is_gone(&failure) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in format!("roundsman: {failure:#}").lines() {
                eprintln!("{}", terminal::escape(line));
            }
            error::class_of(&failure, &[roundsman_store::class_of])
                .exit_code()
                .into()
        }
    }
}

/// Whether the only thing that failed is that nobody reads on: `roundsman events | head`.
fn reader_is_gone(failure: &anyhow::Error) -> bool {
    failure
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

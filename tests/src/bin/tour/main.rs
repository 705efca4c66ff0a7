//! `make run` and `make shell`: a throw-away Debian host with the suite installed and enabled.
//!
//! `tour run` shows the suite at work. On a terminal it then stays up and follows events until
//! Ctrl-C; without one it goes on to show a timer firing and a failed unit becoming an event, and
//! exits 0 or says what failed. `tour shell` opens a shell on the host. `tour measure DIR PROGRAM
//! [ARGUMENT…]` boots a plain one, and prints what a program of this directory prints there.

#![forbid(unsafe_code)]

mod host;
mod show;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use roundsman_tests::Machine;
use roundsman_tests::machine::Options;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    let tour = match std::env::args().nth(1).as_deref() {
        Some("run") => run(),
        Some("shell") => shell(),
        Some("measure") => measure(&std::env::args().skip(2).collect::<Vec<_>>()),
        // After a run that was interrupted before it could take its host down itself.
        Some("sweep") => {
            roundsman_tests::machine::sweep();
            Ok(())
        }
        _ => Err(anyhow::anyhow!("usage: tour run|shell|measure|sweep")),
    };
    match tour {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    guarded(|machine| {
        host::prepare(machine)?;
        show::status(machine)?;
        show::scrape(machine)?;
        if interactive {
            show::ways_to_look(machine);
            follow(machine)
        } else {
            show::failed_unit(machine)?;
            show::timer(machine)?;
            show::store(machine)?;
            Ok(())
        }
    })
}

fn shell() -> Result<()> {
    guarded(|machine| {
        host::prepare(machine)?;
        show::status(machine)?;
        show::step("a shell on the host; it goes away when you leave (exit)");
        machine
            .command(["bash", "--login"])
            .env(
                "TERM",
                &std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned()),
            )
            .interactive()?;
        Ok(())
    })
}

/// A benchmark that needs a systemd of its own.
fn measure(arguments: &[String]) -> Result<()> {
    const INSIDE: &str = "/opt/bench";
    let [directory, program, arguments @ ..] = arguments else {
        bail!("usage: tour measure DIR PROGRAM [ARGUMENT…]");
    };
    let machine = Options::new("measure")
        .bind_read_only(Path::new(directory), INSIDE)
        .boot()?;
    let command = [format!("{INSIDE}/{program}")];
    let printed = machine
        .command(command.iter().chain(arguments))
        .env("ROUNDSMAN_BIN_DIR", INSIDE)
        .deadline(Duration::from_secs(600))
        .succeed();
    machine.stop()?;
    println!("{}", printed?);
    Ok(())
}

/// Boots, runs `body`, takes the host down whatever happened, and lists what stays.
fn guarded(body: impl FnOnce(&Machine) -> Result<()>) -> Result<()> {
    let machine = host::boot()?;
    let outcome = body(&machine);
    if outcome.is_err() {
        let kept = machine.keep_evidence();
        eprintln!("journal and console of the host: {}", kept.display());
    }
    show::step("taking the host down");
    machine.stop().context("taking the host down")?;
    show::what_stays();
    outcome
}

/// Follows events until Ctrl-C, or until the follower ends by itself.
fn follow(machine: &Machine) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let follower = machine
        .command(["roundsman", "events", "--follow"])
        .spawn_inherited()?;
    signals.forever().next();
    if follower.ended(Duration::ZERO)? {
        bail!("`roundsman events --follow` ended by itself");
    }
    println!();
    Ok(())
}

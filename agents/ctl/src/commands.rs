//! The subcommands, one file each.

mod check;
mod completions;
mod credential;
mod deliveries;
mod endpoints;
mod events;
mod man;
mod samples;
mod silence;
mod status;
mod store;
mod triggers;
mod watch_unit;

use std::process::ExitCode;

use clap::Subcommand;

use crate::host::Host;
use crate::terminal::{Out, complain};

/// What the command can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how the agents of this host are doing
    Status(status::Options),
    /// Show events, and follow them as they happen
    Events(events::Options),
    /// Show what is owed to endpoints, send it again, drop it
    Deliveries(deliveries::Options),
    /// Show where events are sent, and whether they arrive; enable and disable
    Endpoints(endpoints::Options),
    /// Show which events go where, and why one did or did not
    Triggers(triggers::Options),
    /// Hear nothing of some events for a while
    Silence(silence::Options),
    /// Check configuration, units, credentials, store and permissions
    Check(check::Options),
    /// Give an agent a secret, list what it has, take one away
    Credential(credential::Options),
    /// Make an event of each failure of any unit of this host
    WatchUnit(watch_unit::Options),
    /// Show the figures that were measured
    Samples(samples::Options),
    /// Look after the shared database
    Store(store::Options),
    /// Print shell completions
    Completions(completions::Options),
    /// Write the manual pages of this command
    Man(man::Options),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What prevented it, with its class and where possible the remedy.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self {
            Self::Status(options) => options.run(host, out),
            Self::Events(options) => options.run(host, out),
            Self::Deliveries(options) => options.run(host, out),
            Self::Endpoints(options) => options.run(host, out),
            Self::Triggers(options) => options.run(host, out),
            Self::Silence(options) => options.run(host, out),
            Self::Check(options) => options.run(host, out),
            Self::Credential(options) => options.run(host, out),
            Self::WatchUnit(options) => options.run(host, out),
            Self::Samples(options) => options.run(host, out),
            Self::Store(options) => options.run(host, out),
            Self::Completions(options) => options.run(out),
            Self::Man(options) => options.run(),
        }
    }
}

/// The exit code for a wrong command line that only shows when the command runs.
const USAGE: u8 = 64;

/// Refuses options of the list that stand before a subcommand: they would be without effect.
fn refuse_early() -> ExitCode {
    complain(["options of the list stand behind `list`".to_owned()]);
    USAGE.into()
}

//! `roundsman status`: what systemd, the store and the unit files say about the agents, side by
//! side. What cannot be seen is named, and the rest is shown.

mod gather;
mod model;
mod view;

use std::process::ExitCode;

use clap::Args;

pub use self::view::bytes;
use crate::host::Host;
use crate::terminal::{Out, complain};

const EXAMPLES: &str = "\
Examples:
  roundsman status
  watch -c roundsman status
  roundsman status --json | jq '.agents[] | select(.is_well | not)'

It exits with 0 if all is well, 3 if an agent, its last cycle or the store is not, and 4 if
nothing is known to be wrong but systemd or the store could not be asked, or not all that the
store holds could be read.";

/// The options of `roundsman status`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Shows it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let report = gather::report(host);
        complain(report.unreadable.iter().cloned());
        if self.json {
            out.json_line(&report)?;
        } else {
            view::show(&report, out)?;
        }
        Ok(report.state.exit_code().into())
    }
}

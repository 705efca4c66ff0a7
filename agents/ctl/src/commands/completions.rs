//! `roundsman completions`: for packages, and for `source <(roundsman completions bash)`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::terminal::Out;

const EXAMPLES: &str = "\
Examples:
  source <(roundsman completions bash)
  roundsman completions fish > ~/.config/fish/completions/roundsman.fish";

/// The options of `roundsman completions`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// The shell
    shell: Shell,
}

impl Options {
    /// Prints them.
    pub fn run(self, out: &mut Out) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "roundsman", &mut script);
        out.write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}

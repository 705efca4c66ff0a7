//! `roundsman man`: manual pages from the same texts as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use roundsman_kit::{Class, ResultExt};

use crate::cli::Cli;

const EXAMPLES: &str = "\
Example:
  roundsman man --dir /usr/local/share/man/man1";

/// The options of `roundsman man`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Where to write roundsman.1 and one roundsman-COMMAND.1 per command
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Options {
    /// Writes them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let written = std::fs::create_dir_all(&self.dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &self.dir));
        written.fault(Class::Unavailable, || {
            format!("{}: writing manual pages", self.dir.display())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

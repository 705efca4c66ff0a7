//! The command line as a whole; each subcommand's own part stands in its file.

use std::path::PathBuf;

use clap::Parser;

use crate::commands::Command;

const EXIT_CODES: &str = "\
Exit codes:
  0   done; for `status`: all is well
  1   what was named does not exist, or is in another state; for `endpoints test`: it did not
      answer 2xx
  3   `status`: an agent, its last cycle or the store is not well
  4   `status`: what could be seen is well, but something could not be seen
  64  the command line is wrong
  65  the store belongs to another version or is damaged
  70  a fault of roundsman itself
  75  something is not there right now: systemd, the store, a lock
  78  something is configured wrongly, or may not be touched by you; for `check`: findings

Members of the group roundsman can look at everything without root. What changes units or
credentials needs root.";

/// See and tend the roundsman agents of this host.
#[derive(Debug, Parser)]
#[command(
    name = "roundsman",
    version,
    max_term_width = 100,
    after_long_help = EXIT_CODES,
    arg_required_else_help = true,
    propagate_version = true
)]
pub struct Cli {
    /// Work in the tree below DIR instead of below /, as $ROUNDSMAN_ROOT does
    #[arg(long, value_name = "DIR", global = true)]
    pub root: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_every_command_shows_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            let help = subcommand.get_after_long_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(help.contains(&format!("roundsman {name}")), "{name}");
            assert!(subcommand.get_about().is_some(), "{name}");
        }
    }
}

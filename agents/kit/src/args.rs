//! The arguments of every agent: what an agent does is in files. `--dry-run` is there where the
//! agent knows how ([`crate::Config::REHEARSES`]).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::Agent;

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// Load the configuration, report every finding, and exit.
    pub check_config: bool,
    /// Print the configuration with the origin of each value, and exit.
    pub dump_config: bool,
    /// Print findings and values as JSON.
    pub json: bool,
    /// Read configuration below this directory instead of below the root.
    pub config_root: Option<PathBuf>,
    /// Do one cycle and exit.
    pub once: bool,
    /// Say what a cycle would do, do nothing, and exit.
    pub dry_run: bool,
    /// The instance of a template unit.
    pub instance: Option<String>,
}

/// The command line of `agent`, for parsing and for man pages.
pub fn command(agent: &Agent, rehearses: bool) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let command = Command::new(format!("roundsman-{}", agent.name))
        .version(agent.version)
        .about(agent.about)
        .arg(flag(
            "check-config",
            "Check the configuration, report every finding, and exit",
        ))
        .arg(flag(
            "dump-config",
            "Print the configuration with the origin of each value, and exit",
        ))
        .arg(flag("json", "Print findings or the configuration as JSON"))
        .arg(
            Arg::new("config-root")
                .long("config-root")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Read configuration below DIR instead of below /"),
        )
        .arg(flag("once", "Do one cycle and exit"));
    let command = if rehearses {
        command.arg(flag(
            "dry-run",
            "Say what a cycle would do, do nothing, and exit",
        ))
    } else {
        command
    };
    if agent.is_template {
        command.arg(
            Arg::new("instance")
                .value_name("INSTANCE")
                .help("The instance of the unit; after -- if it may begin with -"),
        )
    } else {
        command
    }
}

/// Parses the process's arguments.
///
/// # Errors
/// What clap says; `--help` and `--version` arrive here as well.
pub(crate) fn parse(agent: &Agent, rehearses: bool) -> Result<Args, clap::Error> {
    parse_from(agent, rehearses, std::env::args_os())
}

fn parse_from(
    agent: &Agent,
    rehearses: bool,
    typed: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Args, clap::Error> {
    let matches = command(agent, rehearses).try_get_matches_from(typed)?;
    Ok(Args {
        check_config: matches.get_flag("check-config"),
        dump_config: matches.get_flag("dump-config"),
        json: matches.get_flag("json"),
        config_root: matches.get_one("config-root").cloned(),
        once: matches.get_flag("once"),
        dry_run: rehearses && matches.get_flag("dry-run"),
        instance: if agent.is_template {
            matches.get_one("instance").cloned()
        } else {
            None
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    const TEMPLATE: Agent = Agent {
        name: "sample",
        version: "1",
        about: "Is a template",
        kind: Kind::Oneshot,
        is_template: true,
        classifiers: &[],
    };

    #[test]
    fn an_instance_may_begin_with_a_hyphen_and_an_option_is_none() {
        let instance = |typed: &[&str]| {
            let typed = ["roundsman-sample"].iter().chain(typed);
            parse_from(&TEMPLATE, false, typed.copied()).map(|args| (args.instance, args.once))
        };
        let root = Some("-.mount".to_owned());
        assert_eq!(instance(&["--", "-.mount"]).unwrap(), (root.clone(), false));
        assert_eq!(
            instance(&["--once", "--", "-.mount"]).unwrap(),
            (root, true)
        );
        let plain = Some("a.service".to_owned());
        assert_eq!(instance(&["a.service", "--once"]).unwrap(), (plain, true));
        let option = Some("--once".to_owned());
        assert_eq!(instance(&["--", "--once"]).unwrap(), (option, false));
        instance(&["--onec"]).unwrap_err();
        instance(&["-x"]).unwrap_err();
    }

    #[test]
    fn only_an_agent_that_rehearses_takes_a_dry_run() {
        let typed = ["roundsman-sample", "--dry-run"];
        assert!(parse_from(&TEMPLATE, true, typed).unwrap().dry_run);
        assert!(!parse_from(&TEMPLATE, true, ["x"]).unwrap().dry_run);
        parse_from(&TEMPLATE, false, typed).unwrap_err();
    }
}

//! What an agent is, and the one entry point of all of them.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::args::{self, Args};
use crate::config::{self, Config, Loaded, Refused};
use crate::context::{self, Context};
use crate::error::{Class, Classifier};
use crate::listen;
use crate::log::{self as journal, id};
use crate::paths::Paths;

/// How an agent's unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Type=oneshot`: one cycle, started by a timer or another unit.
    Oneshot,
    /// `Type=notify`: runs until it is stopped.
    Daemon,
}

/// The identity of one agent. The name is also the suffix of its crate, unit, configuration
/// file, syslog identifier and man page.
#[derive(Debug)]
pub struct Agent {
    /// The name, as `hostmetrics`.
    pub name: &'static str,
    /// The suite's version.
    pub version: &'static str,
    /// One sentence: what the agent does.
    pub about: &'static str,
    /// How its unit runs.
    pub kind: Kind,
    /// Whether its unit is a template, and so takes an instance.
    pub is_template: bool,
    /// Who knows the class of the library errors that this agent can meet.
    pub classifiers: &'static [Classifier],
}

/// The exit code for a wrong command line: `EX_USAGE` of `sysexits.h`.
const USAGE: u8 = 64;

/// Runs an agent: passed sockets, arguments, log, configuration, signals, metrics, body,
/// `STOPPING=1`, the error chain printed once, exit code. Nothing of the agent exists before its
/// configuration is whole. A panic anywhere is a [`Class::Bug`].
pub fn run<C: Config>(
    agent: &'static Agent,
    body: impl FnOnce(&mut Context, C) -> anyhow::Result<()>,
) -> ExitCode {
    listen::take(agent.name);
    caught(|| guarded(agent, body))
}

/// Runs `work`; a panic in it is reported as any other end by a bug.
pub fn caught(work: impl FnOnce() -> ExitCode) -> ExitCode {
    // Nothing of what the closure shares is looked at after a panic.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        // The panic itself, with its place, is on stderr already.
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        log::error!(
            MESSAGE_ID = id::AGENT_FAILED,
            "ROUNDSMAN_CLASS" = Class::Bug.label(),
            "ROUNDSMAN_CAUSE" = text;
            "panicked, which is a bug: {text}"
        );
        Class::Bug.exit_code().into()
    })
}

fn guarded<C: Config>(
    agent: &'static Agent,
    body: impl FnOnce(&mut Context, C) -> anyhow::Result<()>,
) -> ExitCode {
    let args = match args::parse(agent, C::REHEARSES) {
        Ok(args) => args,
        Err(message) => {
            let code = if message.use_stderr() { USAGE } else { 0 };
            // A closed standard output is no reason to end otherwise than was asked for.
            let _ = message.print();
            return code.into();
        }
    };
    journal::init(agent.name, &format!("roundsman-{}", agent.name));
    let paths = Paths::from_env();
    let loaded = context::load::<C>(agent, &args, &paths);
    if args.check_config || args.dump_config {
        let root = args.config_root.as_deref().unwrap_or(paths.root());
        let loaded = loaded.map(|mut loaded| {
            loaded.left_out.extend(C::beside(root));
            loaded
        });
        return inspect(&args, loaded);
    }
    match loaded {
        Ok(loaded) => start(agent, args, paths, loaded, body),
        Err(refused) => refuse(&refused),
    }
}

fn start<C: Config>(
    agent: &'static Agent,
    args: Args,
    paths: Paths,
    loaded: Loaded<C>,
    body: impl FnOnce(&mut Context, C) -> anyhow::Result<()>,
) -> ExitCode {
    log::set_max_level(loaded.common.log_level.into());
    let mut context = match Context::new(agent, args, paths, loaded.common) {
        Ok(context) => context,
        Err(failure) => return context::report_failure(&failure, agent).exit_code().into(),
    };
    let credentials = &context.credentials;
    if let Err(refused) = context::check_credentials(&loaded.config, agent, credentials) {
        return refuse(&refused);
    }
    context::report_left_out(&loaded.left_out);
    context.left_out = loaded.left_out;
    let outcome = body(&mut context, loaded.config);
    context.notifier.stopping();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => context::report_failure(&failure, agent).exit_code().into(),
    }
}

/// Logs every finding with its coordinates as fields.
fn refuse(refused: &Refused) -> ExitCode {
    for finding in &refused.findings {
        log::error!(
            MESSAGE_ID = id::CONFIG_REFUSED,
            "ROUNDSMAN_CLASS" = Class::Config.label(),
            "ROUNDSMAN_FILE" = finding.file,
            "ROUNDSMAN_KEY" = finding.key;
            "{finding}"
        );
    }
    Class::Config.exit_code().into()
}

/// `--check-config` and `--dump-config`: findings to stderr (JSON to stdout), values to stdout.
fn inspect<C: Config>(args: &Args, loaded: Result<Loaded<C>, Refused>) -> ExitCode {
    // What an agent would do without is still wrong.
    let loaded = loaded.and_then(
        |loaded| match loaded.left_out.is_empty() || args.dump_config {
            true => Ok(loaded),
            false => Err(Refused {
                findings: loaded.left_out,
            }),
        },
    );
    let (text, code) = match (loaded, args.json) {
        (Ok(loaded), true) if args.dump_config => (config::dump_json(&loaded).to_string(), 0),
        (Ok(loaded), false) if args.dump_config => (config::dump_toml(&loaded), 0),
        (Ok(_), true) => (serde_json::json!({ "findings": [] }).to_string(), 0),
        (Ok(_), false) => (String::new(), 0),
        (Err(refused), true) => {
            let findings = serde_json::json!({ "findings": refused.findings });
            (findings.to_string(), Class::Config.exit_code())
        }
        (Err(refused), false) => {
            for finding in &refused.findings {
                // The exit code says it as well.
                let _ = writeln!(io::stderr(), "{finding}");
            }
            (String::new(), Class::Config.exit_code())
        }
    };
    match print(text.trim_end()) {
        Ok(()) => code.into(),
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code.into(),
        Err(error) => {
            log::error!("writing to standard output: {error}");
            Class::Unavailable.exit_code().into()
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if !text.is_empty() {
        writeln!(stdout, "{text}")?;
    }
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_as_a_bug() {
        let end = caught(|| panic!("a broken invariant"));
        assert_eq!(end, ExitCode::from(Class::Bug.exit_code()));
        assert_eq!(caught(|| ExitCode::SUCCESS), ExitCode::SUCCESS);
    }
}

//! `roundsman watch-unit`: any unit of this host whose failure shall be an event.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use roundsman_kit::{Class, Fault};

use crate::drop_in::{self, DropIn};
use crate::host::Host;
use crate::systemd::Manager;
use crate::terminal::{Out, escape};
use crate::unit_files;

const EXAMPLES: &str = "\
Examples:
  roundsman watch-unit nginx backup.timer
  roundsman watch-unit --remove nginx

It writes /etc/systemd/system/UNIT.d/50-roundsman-failure.conf with
OnFailure=roundsman-failure@%n.service and reloads systemd. The unit itself is not restarted.
A unit that restarts by itself counts as failed when systemd gives it up (StartLimitBurst=).";

const FILE: &str = "50-roundsman-failure.conf";
const TEXT: &str = "\
# Written by `roundsman watch-unit`: a failure of this unit becomes an event.
[Unit]
OnFailure=roundsman-failure@%n.service
";

/// The hook that records a failure.
const HOOK: &str = "roundsman-failure@.service";
/// What looks for recoveries. The hook starts it, but only until the next restart.
const SWEEP: &str = "roundsman-failure.timer";
/// What the hook starts. With the hook behind its own failure the two would start each other
/// for ever.
const NEEDED_BY_HOOK: &str = "roundsman-migrate.service";

/// Types of units, as in the suffixes of their names.
const TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// The options of `roundsman watch-unit`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Units; a name without a type means a service
    #[arg(required = true, value_name = "UNIT")]
    units: Vec<String>,
    /// Stop watching them
    #[arg(long)]
    remove: bool,
}

impl Options {
    /// Does it for all units, or for none.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let units: Vec<String> = self
            .units
            .iter()
            .map(|name| whole_name(name))
            .collect::<Result<_, _>>()?;
        host.require_root("changing units")?;
        if self.remove {
            return remove(host, out, &units);
        }
        let manager = host.manager().ok();
        require(host, manager.as_ref(), HOOK, "failures cannot be recorded")?;
        for unit in &units {
            require(host, manager.as_ref(), unit, "it cannot be watched")?;
        }
        for unit in &units {
            let drop_in = DropIn::of(host.paths(), unit, FILE);
            drop_in.write(TEXT)?;
            let file = drop_in.path().display().to_string();
            writeln!(
                out,
                "a failure of {unit} is an event from now on ({})",
                escape(&file)
            )?;
        }
        drop_in::reload(host, out)?;
        if let Some(manager) = &manager
            && manager
                .unit_files(&[SWEEP])?
                .first()
                .is_none_or(|file| file.enabled != "enabled")
        {
            writeln!(
                out,
                "so that recoveries are seen after a restart as well: systemctl enable --now {SWEEP}"
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn remove(host: &Host, out: &mut Out, units: &[String]) -> anyhow::Result<ExitCode> {
    for unit in units {
        if DropIn::of(host.paths(), unit, FILE).remove()? {
            writeln!(out, "{unit} is no longer watched")?;
        } else {
            writeln!(out, "{unit} was not watched")?;
        }
    }
    drop_in::reload(host, out)?;
    Ok(ExitCode::SUCCESS)
}

/// `nginx` is `nginx.service`; what cannot be a unit, or must not be watched, is refused.
fn whole_name(name: &str) -> anyhow::Result<String> {
    let refuse = |why: &str| {
        let message = format!("\"{}\" {why}", escape(name));
        Err(Fault::new(Class::Config, message).into())
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if name.is_empty() || !name.chars().all(allowed) || name.starts_with(['.', '@']) {
        return refuse("is not the name of a unit; `systemctl list-units` shows them");
    }
    let has_type = name
        .rsplit_once('.')
        .is_some_and(|(_, suffix)| TYPES.contains(&suffix));
    let whole = if has_type {
        name.to_owned()
    } else {
        format!("{name}.service")
    };
    let is_hook = unit_files::template(&whole).as_deref() == Some(HOOK);
    if is_hook || whole == NEEDED_BY_HOOK {
        return refuse("is part of recording failures and cannot be watched by it");
    }
    Ok(whole)
}

/// Refuses a unit that systemd does not have, with what follows from that.
fn require(host: &Host, manager: Option<&Manager>, unit: &str, so: &str) -> anyhow::Result<()> {
    let state = match manager {
        Some(manager) if unit.contains("@.") => {
            let files = manager.unit_files(&[unit])?;
            let found = files.first().map(|file| file.enabled.clone());
            found.unwrap_or_else(|| "not-found".to_owned())
        }
        Some(manager) => manager.unit(unit)?.load,
        None => match unit_files::find(host.paths(), unit) {
            None => "not-found".to_owned(),
            Some(file) if unit_files::is_mask(&file) => "masked".to_owned(),
            Some(_) => "loaded".to_owned(),
        },
    };
    let remedy = match state.as_str() {
        "not-found" => "check the name with `systemctl list-unit-files`",
        "masked" => "unmask it first",
        "bad-setting" | "error" => "`systemctl status` says what is wrong with its file",
        _ => return Ok(()),
    };
    let message = format!("{unit} is {state}, {so} ({remedy})");
    Err(Fault::new(Class::Config, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_systemctl_does() {
        for (name, whole) in [
            ("nginx", "nginx.service"),
            ("org.example.App", "org.example.App.service"),
            ("backup.timer", "backup.timer"),
            ("getty@tty1", "getty@tty1.service"),
            ("srv-data\\x2dold.mount", "srv-data\\x2dold.mount"),
            ("foo@", "foo@.service"),
        ] {
            assert_eq!(whole_name(name).unwrap(), whole);
        }
    }

    #[test]
    fn the_hook_and_what_it_needs_are_refused_and_so_is_what_is_no_unit() {
        for name in [
            "",
            "../x",
            "a b",
            "a\u{1b}[0m",
            ".service",
            "roundsman-failure@x",
            "roundsman-failure@",
            "roundsman-migrate",
        ] {
            assert!(whole_name(name).is_err(), "{name}");
        }
    }
}

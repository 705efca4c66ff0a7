//! The agents' own programs, asked about their configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use roundsman_kit::config::Finding;
use serde::Deserialize;
use serde_json::Value;

use crate::agents::PREFIX;
use crate::host::Host;

/// What a program says about its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It can be used, but for what is left out.
    Sound {
        /// The credentials that it names.
        credentials: Vec<String>,
        /// Every value, defaults included.
        values: Value,
        /// What is wrong with items of it, each of which is left out.
        left_out: Vec<Finding>,
    },
    /// It was refused.
    Refused(Vec<Finding>),
    /// The program did not answer as agents do.
    Odd(String),
}

/// As whom a program is asked: files that its unit's user cannot read are findings too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asker {
    /// The user and group id; none for whoever runs this command.
    pub ids: Option<(u32, u32)>,
    /// Variables of the unit that change configuration.
    pub environment: Vec<(String, String)>,
}

/// Every agent's program, by the agent's name: those in `libexec/roundsman` beside this
/// program's directory, else those beside this program itself, as cargo builds them.
pub fn all() -> BTreeMap<String, PathBuf> {
    let Ok(own) = std::env::current_exe() else {
        return BTreeMap::new();
    };
    let own_directory = own.parent().unwrap_or(Path::new("/"));
    let installed = own_directory.join("../libexec/roundsman");
    let directory = fs::canonicalize(installed).unwrap_or_else(|_| own_directory.to_owned());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let programs = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let agent = name.strip_prefix(PREFIX)?;
        let metadata = fs::metadata(entry.path()).ok()?;
        let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        (runs && !agent.contains('.')).then(|| (agent.to_owned(), entry.path()))
    });
    programs.collect()
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Dump {
    Sound {
        credentials: Vec<String>,
        values: Value,
        /// Items that are left out.
        #[serde(default)]
        findings: Vec<Row>,
    },
    Refused {
        findings: Vec<Row>,
    },
}

#[derive(Debug, Deserialize)]
struct Row {
    file: String,
    key: String,
    reason: String,
    remedy: String,
}

/// Asks `program` for its configuration: one run gives the findings, or the values.
pub fn ask(host: &Host, program: &Path, instance: Option<&str>, asker: &Asker) -> Answer {
    let mut command = Command::new(program);
    command.args(["--dump-config", "--json"]).args(instance);
    command.envs(asker.environment.iter().cloned());
    if !host.is_live() {
        command.env("ROUNDSMAN_ROOT", host.paths().root());
    }
    if let Some((uid, gid)) = asker.ids {
        // Setting the user drops the groups of this process as well.
        command.uid(uid).gid(gid);
    }
    let ended = match command.output() {
        Ok(ended) => ended,
        Err(error) => return Answer::Odd(error.to_string()),
    };
    match serde_json::from_slice(&ended.stdout) {
        Ok(Dump::Sound {
            credentials,
            values,
            findings,
        }) => Answer::Sound {
            credentials,
            values,
            left_out: findings.into_iter().map(Row::into_finding).collect(),
        },
        Ok(Dump::Refused { findings }) => {
            Answer::Refused(findings.into_iter().map(Row::into_finding).collect())
        }
        Err(_) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            let line = said.lines().next().unwrap_or("no answer");
            Answer::Odd(format!("{} ({line})", ended.status))
        }
    }
}

impl Row {
    fn into_finding(self) -> Finding {
        Finding {
            file: self.file,
            key: self.key,
            reason: self.reason,
            remedy: self.remedy,
        }
    }
}

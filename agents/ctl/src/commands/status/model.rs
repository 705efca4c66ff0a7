//! What `roundsman status` knows; `--json` prints it as it is. Times are milliseconds since 1970.

use roundsman_kit::clock::Timestamp;
use roundsman_store::cycle::{Cycle, Outcome};
use roundsman_store::event::Event;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::agents::{Agent, Unit};
use crate::silences::Shown;

/// How the suite is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything was seen and is well.
    Well,
    /// Something is not.
    Degraded,
    /// What was seen is well; something could not be seen.
    Unknown,
}

impl State {
    /// The exit code of the command.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Degraded => 3,
            Self::Unknown => 4,
        }
    }
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The host's name.
    pub host: String,
    /// When this was seen.
    pub at: Timestamp,
    /// The sum of it.
    pub state: State,
    /// `roundsman.target`; none without a service manager.
    pub target: Option<Target>,
    /// The store; none if it could not be opened.
    pub store: Option<Figures>,
    /// Every agent, by name.
    pub agents: Vec<Row>,
    /// Recent events of severity warning or worse, the oldest first.
    pub events: Vec<Event>,
    /// What nobody wants to hear of, by name; those that are over, too.
    pub silences: Vec<Shown>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
    /// What is wrong besides the agents, and the remedy.
    pub wrong: Vec<String>,
    /// What is worth knowing, and neither.
    pub notes: Vec<String>,
    /// Rows of the store that are left out, and why.
    pub unreadable: Vec<String>,
    /// Whether every place was looked at that an agent could be known from.
    #[serde(skip)]
    pub knows_all_agents: bool,
}

/// The state of `roundsman.target`.
#[derive(Debug, Serialize)]
pub struct Target {
    /// The active state, or `not-found`.
    pub state: String,
    /// Whether it is started at boot.
    pub enabled: String,
    /// Since when it is in that state.
    pub since: Option<Timestamp>,
}

impl Target {
    /// Whether the agents are to run.
    pub fn is_active(&self) -> bool {
        self.state == "active"
    }
}

/// Figures of the store.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The file.
    pub path: String,
    /// Its size in bytes.
    pub db_bytes: u64,
    /// The size of its write-ahead log in bytes.
    pub wal_bytes: u64,
    /// Its schema.
    pub schema: u32,
    /// Events ever recorded.
    pub events_total: u64,
}

/// One agent.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name with its instance.
    pub name: String,
    /// Whether neither its units nor its last cycle have failed, and none of them is stopped
    /// that should run.
    pub is_well: bool,
    /// One word for what it is at: `running`, `waiting`, `listening`, `failed`, `inactive`, …;
    /// empty if systemd could not be asked.
    pub state: String,
    /// Whether it is started at boot: `enabled`, `disabled`, `static`, `masked`.
    pub enabled: String,
    /// Automatic restarts since it was started.
    pub restarts: u32,
    /// When its timer elapses next.
    pub next_at: Option<Timestamp>,
    /// Its units.
    pub units: Vec<Unit>,
    /// Those of them that start at boot and are stopped, while `roundsman.target` is active.
    pub stopped: Vec<String>,
    /// Its last cycle; none if it recorded none.
    pub cycle: Option<LastCycle>,
}

/// The last cycle of an agent.
#[derive(Debug, Serialize)]
pub struct LastCycle {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// `ok`, `degraded` or `failed`.
    pub outcome: Outcome,
    /// The class of the failure.
    pub class: Option<&'static str>,
    /// What happened, in a sentence.
    pub sentence: String,
    /// What it did, in numbers.
    pub figures: Map<String, Value>,
    /// Cycles so far.
    pub runs_total: u64,
    /// Failed ones among them.
    pub failures_total: u64,
    /// Failed ones since the last good one.
    pub consecutive_failures: u64,
    /// When the last good one ended.
    pub last_success: Option<Timestamp>,
}

impl From<Cycle> for LastCycle {
    fn from(cycle: Cycle) -> Self {
        Self {
            started: cycle.started,
            finished: cycle.finished,
            outcome: cycle.outcome,
            class: cycle.class.map(roundsman_kit::Class::label),
            sentence: cycle.sentence,
            figures: cycle.figures,
            runs_total: cycle.runs_total,
            failures_total: cycle.failures_total,
            consecutive_failures: cycle.consecutive_failures,
            last_success: cycle.last_success,
        }
    }
}

impl Row {
    /// The agent as systemd sees it, with what it recorded itself. `is_up`: `roundsman.target`
    /// is active.
    pub fn new(agent: Agent, cycle: Option<LastCycle>, is_up: bool) -> Self {
        let is_broken = |unit: &Unit| {
            unit.active == "failed"
                || unit.sub == "auto-restart"
                || matches!(&*unit.load, "bad-setting" | "error")
        };
        let has_failed = agent.units.iter().any(is_broken);
        let stopped = agent.stopped().filter(|_| is_up);
        let stopped: Vec<String> = stopped.map(|unit| unit.name.clone()).collect();
        let cycle_is_well = cycle
            .as_ref()
            .is_none_or(|cycle| cycle.outcome == Outcome::Ok);
        Self {
            is_well: !has_failed && stopped.is_empty() && cycle_is_well,
            stopped,
            state: state(&agent),
            enabled: enabled(&agent),
            restarts: 0,
            next_at: None,
            name: agent.name,
            units: agent.units,
            cycle,
        }
    }
}

/// The most telling state of an agent's units: failed, at work, or what waits for its turn.
fn state(agent: &Agent) -> String {
    let units = || agent.units.iter();
    let broken = units().find(|unit| matches!(&*unit.load, "bad-setting" | "error" | "masked"));
    if let Some(unit) = units().find(|unit| unit.active == "failed") {
        return unit.active.clone();
    }
    if let Some(unit) = broken {
        return unit.load.clone();
    }
    let is_up = |unit: &&Unit| !matches!(&*unit.active, "" | "inactive");
    let service = agent.loaded("service").filter(is_up);
    if let Some(unit) = service.or_else(|| units().find(is_up)) {
        return unit.sub.clone();
    }
    if agent.is_template() {
        return "template".to_owned();
    }
    let known = units().any(|unit| !unit.active.is_empty() || !unit.enabled.is_empty());
    if known { "inactive" } else { "" }.to_owned()
}

/// Whether any of an agent's units starts at boot, by the strongest word.
fn enabled(agent: &Agent) -> String {
    const RANK: [&str; 5] = ["masked", "enabled", "enabled-runtime", "disabled", "static"];
    let has = |word: &&&str| agent.units.iter().any(|unit| unit.enabled == **word);
    let word = RANK.iter().find(has).copied();
    let any = || {
        agent
            .units
            .iter()
            .map(|unit| unit.enabled.as_str())
            .find(|w| !w.is_empty())
    };
    word.or_else(any).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(units: &[(&str, &str, &str, &str)]) -> Agent {
        let unit = |(name, active, sub, enabled): &(&str, &str, &str, &str)| Unit {
            name: format!("roundsman-x.{name}"),
            load: "loaded".into(),
            active: (*active).into(),
            sub: (*sub).into(),
            enabled: (*enabled).into(),
        };
        Agent {
            name: "x".into(),
            units: units.iter().map(unit).collect(),
        }
    }

    #[test]
    fn the_most_telling_unit_gives_the_state() {
        for (units, word, boot, is_well) in [
            (
                &[
                    ("service", "inactive", "dead", "static"),
                    ("timer", "active", "waiting", "enabled"),
                ][..],
                "waiting",
                "enabled",
                true,
            ),
            (
                &[
                    ("service", "activating", "start", "static"),
                    ("timer", "active", "running", "enabled"),
                ],
                "start",
                "enabled",
                true,
            ),
            (
                &[
                    ("service", "failed", "failed", "static"),
                    ("timer", "active", "waiting", "disabled"),
                ],
                "failed",
                "disabled",
                false,
            ),
            (
                &[
                    ("service", "inactive", "dead", "enabled"),
                    ("socket", "active", "listening", "enabled"),
                ],
                "listening",
                "enabled",
                true,
            ),
            (
                &[("service", "inactive", "dead", "static")],
                "inactive",
                "static",
                true,
            ),
        ] {
            let row = Row::new(agent(units), None, true);
            assert_eq!(
                (row.state.as_str(), row.enabled.as_str(), row.is_well),
                (word, boot, is_well)
            );
        }
    }

    #[test]
    fn what_starts_at_boot_and_is_stopped_is_not_well_while_the_target_is_up() {
        let timer = ("timer", "inactive", "dead", "enabled");
        let socket = ("socket", "inactive", "dead", "enabled");
        let idle = ("service", "inactive", "dead", "static");
        let daemon = ("service", "inactive", "dead", "enabled");
        let running = ("service", "active", "running", "enabled");
        for (units, stopped) in [
            (&[idle, timer][..], &["roundsman-x.timer"][..]),
            (&[running, socket], &["roundsman-x.socket"]),
            (&[daemon], &["roundsman-x.service"]),
            (
                &[daemon, socket],
                &["roundsman-x.service", "roundsman-x.socket"],
            ),
            (&[daemon, ("socket", "active", "listening", "enabled")], &[]),
            (&[idle, ("timer", "inactive", "dead", "disabled")], &[]),
        ] {
            let row = Row::new(agent(units), None, true);
            assert_eq!(row.stopped, stopped);
            assert_eq!(row.is_well, stopped.is_empty());
            assert!(Row::new(agent(units), None, false).is_well);
        }
    }

    #[test]
    fn a_broken_unit_file_is_not_well_and_a_masked_one_says_so() {
        let mut broken = agent(&[("service", "inactive", "dead", "")]);
        broken.units[0].load = "bad-setting".into();
        let row = Row::new(broken, None, true);
        assert_eq!((row.state.as_str(), row.is_well), ("bad-setting", false));
    }
}

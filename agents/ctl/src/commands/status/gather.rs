//! Looking at everything that can be looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, Filter, Severity};
use roundsman_store::{Error, cycle, event, event_count};

use super::model::{Figures, LastCycle, Report, Row, State, Target};
use crate::agents::{self, Agent, TARGET};
use crate::host::Host;
use crate::moment;
use crate::silences;
use crate::systemd::Manager;

/// How far back events are recent, and how many of them are shown.
const RECENT: Duration = Duration::from_secs(24 * 3600);
const N_EVENTS: u32 = 10;

/// What the store says.
#[derive(Default)]
struct Recorded {
    figures: Option<Figures>,
    cycles: BTreeMap<String, LastCycle>,
    events: Vec<Event>,
    unreadable: Vec<String>,
    /// Whether all cycles are known that there are.
    is_whole: bool,
}

/// Asks systemd and the store; whichever does not answer is named in the report.
pub fn report(host: &Host) -> Report {
    let at = moment::now();
    let (mut unseen, mut wrong, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let manager = match host.manager() {
        Ok(manager) => Some(manager),
        Err(absent) => {
            unseen.push(format!("state of units: {absent:#}"));
            None
        }
    };
    let recorded = recorded(host, at).unwrap_or_else(|failure| {
        match failure.downcast_ref::<Error>() {
            // What the package leaves behind: the first agent that starts fills it.
            Some(Error::Older { found: 0, .. }) => {
                notes.push("the store is empty: no agent has run yet".to_owned());
                return Recorded {
                    is_whole: true,
                    ..Recorded::default()
                };
            }
            Some(Error::NoPermission { .. }) => unseen.push(format!("{failure:#}")),
            _ if host.is_outsider() => unseen.push(format!("store: {failure:#}")),
            _ => wrong.push(format!("{failure:#}")),
        }
        Recorded::default()
    });
    let target = manager.as_ref().map(target).transpose();
    let target = target.unwrap_or_else(|failure| {
        unseen.push(format!("{TARGET}: {failure:#}"));
        None
    });
    let mut knows_all_agents = recorded.is_whole;
    let discovered = agents::discover(host, manager.as_ref()).unwrap_or_else(|failure| {
        unseen.push(format!("agents: {failure:#}"));
        knows_all_agents = false;
        Vec::new()
    });
    let is_up = target.as_ref().is_some_and(Target::is_active);
    let mut rows = rows(discovered, recorded.cycles, is_up);
    if let Some(manager) = &manager {
        for row in &mut rows {
            if let Err(failure) = complete(row, manager) {
                unseen.push(format!("{}: {failure:#}", row.name));
            }
        }
    }
    let silences = silences::overview(host, at);
    wrong.extend(silences.faults);
    let mut report = Report {
        host: host.name(),
        at,
        state: State::Well,
        target,
        store: recorded.figures,
        agents: rows,
        events: recorded.events,
        silences: silences.shown,
        unseen,
        wrong,
        notes,
        unreadable: recorded.unreadable,
        knows_all_agents,
    };
    report.state = judge(&report);
    report
}

fn target(manager: &Manager) -> anyhow::Result<Target> {
    let unit = manager.unit(TARGET)?;
    let is_loaded = unit.load == "loaded";
    Ok(Target {
        state: if is_loaded { unit.active } else { unit.load },
        enabled: unit.enabled,
        since: unit.since,
    })
}

fn judge(report: &Report) -> State {
    let target_is_down = report
        .target
        .as_ref()
        .is_some_and(|target| !target.is_active());
    let has_failed = report.agents.iter().any(|row| !row.is_well);
    if target_is_down || has_failed || !report.wrong.is_empty() {
        State::Degraded
    } else if report.unseen.is_empty() && report.unreadable.is_empty() {
        State::Well
    } else {
        State::Unknown
    }
}

fn recorded(host: &Host, at: Timestamp) -> anyhow::Result<Recorded> {
    let location = host.location()?;
    let mut store = host.store()?;
    let figures = store.figures()?;
    let recent = Filter {
        since: Some(at.minus(RECENT)),
        min_severity: Some(Severity::Warning),
        ..Filter::default()
    };
    let (cycles, counts, events) = store.read(|tx| {
        Ok((
            cycle::list_apart(tx)?,
            event_count::list(tx)?,
            event::last_apart(tx, &recent, N_EVENTS)?,
        ))
    })?;
    let unreadable = cycles
        .complaints()
        .chain(counts.complaints())
        .chain(events.complaints());
    Ok(Recorded {
        unreadable: unreadable.collect(),
        is_whole: cycles.unreadable.is_empty(),
        figures: Some(Figures {
            path: location.db().display().to_string(),
            db_bytes: figures.db_bytes,
            wal_bytes: figures.wal_bytes,
            schema: figures.schema,
            events_total: event_count::total(&counts.found),
        }),
        cycles: cycles
            .found
            .into_iter()
            .map(|cycle| (cycle.unit.clone(), cycle.into()))
            .collect(),
        events: events.found,
    })
}

/// One row per agent, also for those that only the store knows: in a container there are no
/// units.
fn rows(agents: Vec<Agent>, mut cycles: BTreeMap<String, LastCycle>, is_up: bool) -> Vec<Row> {
    let worth_a_line = |agent: &Agent| {
        agent.is_installed() && (cycles.contains_key(&agent.name) || !agent.is_idle_instance())
    };
    let (shown, _): (Vec<_>, Vec<_>) = agents.into_iter().partition(worth_a_line);
    let mut rows: Vec<Row> = shown
        .into_iter()
        .map(|agent| {
            let cycle = cycles.remove(&agent.name);
            Row::new(agent, cycle, is_up)
        })
        .collect();
    rows.extend(cycles.into_iter().map(|(name, cycle)| {
        let units = Vec::new();
        Row::new(Agent { name, units }, Some(cycle), is_up)
    }));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    // A template is only worth a line while it has no instance.
    let with_instances: Vec<String> = rows
        .iter()
        .filter_map(|row| row.name.split_once('@'))
        .filter(|(_, instance)| !instance.is_empty())
        .map(|(agent, _)| format!("{agent}@"))
        .collect();
    rows.retain(|row| !with_instances.contains(&row.name));
    rows
}

/// What the list of units does not tell.
fn complete(row: &mut Row, manager: &Manager) -> anyhow::Result<()> {
    for unit in row.units.iter().filter(|unit| unit.load == "loaded") {
        match unit.name.rsplit('.').next() {
            Some("service") => row.restarts = manager.service(&unit.name)?.restarts,
            Some("timer") => row.next_at = manager.timer(&unit.name)?.next,
            _ => {}
        }
    }
    Ok(())
}

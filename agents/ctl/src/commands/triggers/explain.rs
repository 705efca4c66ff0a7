//! `roundsman triggers explain`: why an event went where it went, or nowhere.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use roundsman_herald::config::Trigger;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Delivery, DeliveryId, State};
use roundsman_store::delivery_group::{self, Group, Stand};
use roundsman_store::event::{self, Event, EventId};
use roundsman_store::{ReadTx, Result};
use serde::Serialize;

use crate::commands::deliveries::{Row, refuse};
use crate::herald::{self, Herald};
use crate::host::Host;
use crate::moment;
use crate::terminal::{FAINT, GOOD, HEAD, ODD, Out, complain, escape};

/// The most deliveries of one event that are shown; it has one for each endpoint.
const MOST: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  roundsman triggers explain 4711
  roundsman triggers explain 0198f2c1-5d6e-7a00-8000-1f2e3d4c5b6a --json

Exit codes: 0; 1 there is no such event; 78 herald's files cannot be read.";

/// Which event.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Explain {
    /// The event's number or uid
    #[arg(value_name = "EVENT")]
    event: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Explanation<'e> {
    event: &'e Event,
    triggers: Vec<Verdict>,
    /// Deliveries of triggers that are no longer there, or have changed.
    others: Vec<Way>,
}

/// What one trigger makes of the event.
#[derive(Serialize)]
struct Verdict {
    trigger: String,
    wants: bool,
    /// The condition that does not hold, or why the trigger is not in use.
    why_not: Option<String>,
    /// Whether herald has looked at the event for it; none if herald has not loaded it.
    has_passed: Option<bool>,
    ways: Vec<Way>,
}

/// An endpoint, and what became of the event there.
#[derive(Serialize)]
struct Way {
    endpoint: String,
    delivery: Option<DeliveryId>,
    state: String,
}

/// What the store has of the event.
struct Known {
    rows: Vec<Row>,
    groups: Vec<(Group, Stand)>,
}

impl Known {
    /// What became of it at an endpoint, as told under a trigger; none if nothing is known.
    fn at(&self, endpoint: &str, trigger: &str) -> Option<Way> {
        let is_to = |row: &&Row| row.delivery.endpoint == endpoint;
        if let Some(row) = self.rows.iter().find(is_to) {
            return Some(sent(row, trigger));
        }
        let mut groups = self.groups.iter();
        let (group, stand) = groups.find(|(group, _)| group.endpoint == endpoint)?;
        Some(grouped(group, *stand, trigger))
    }

    /// What no trigger of now tells of.
    fn others(&self, verdicts: &[Verdict]) -> Vec<Way> {
        let ways = || verdicts.iter().flat_map(|verdict| &verdict.ways);
        let rows = self
            .rows
            .iter()
            .filter(|row| ways().all(|way| way.delivery != Some(row.delivery.id)));
        let is_told = |group: &Group| ways().any(|way| way.endpoint == group.endpoint);
        let groups = self.groups.iter().filter(|(group, _)| !is_told(group));
        let groups = groups.map(|(group, stand)| grouped(group, *stand, ""));
        rows.map(|row| sent(row, "")).chain(groups).collect()
    }
}

impl Explain {
    /// Explains it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let herald = Herald::load(host)?;
        complain(herald.left_out.iter().map(|why| format!("left out: {why}")));
        let found = host.store()?.read(|tx| {
            let Some(event) = find(tx, &self.event)? else {
                return Ok(None);
            };
            let deliveries = delivery::of_event(tx, event.id, MOST)?;
            let rows = Row::of(tx, deliveries)?;
            let groups = delivery_group::of_event(tx, event.id, MOST)?;
            let known = Known { rows, groups };
            Ok(Some((event, known, herald::positions(tx)?)))
        })?;
        let Some((event, known, positions)) = found else {
            let why = format!("there is no event \"{}\" in the store", self.event);
            return Ok(refuse(&[why]));
        };
        let passed = |name: &str| positions.get(name).map(|position| *position >= event.id);
        let mut verdicts: Vec<Verdict> = herald
            .settings
            .triggers
            .iter()
            .map(|(name, trigger)| verdict(name, trigger, &event, &known, passed(name)))
            .collect();
        verdicts.extend(
            herald
                .broken_triggers()
                .into_iter()
                .map(|(name, why)| Verdict {
                    trigger: name.to_owned(),
                    wants: false,
                    why_not: Some(format!("it is left out: {why}")),
                    has_passed: passed(name),
                    ways: Vec::new(),
                }),
        );
        let others = known.others(&verdicts);
        let explanation = Explanation {
            event: &event,
            triggers: verdicts,
            others,
        };
        match self.json {
            true => out.json_line(&explanation)?,
            false => text(&explanation, out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The event with this number, else with this uid.
pub fn find(tx: &ReadTx<'_>, text: &str) -> Result<Option<Event>> {
    if let Ok(id) = text.parse()
        && let Some(event) = event::by_id(tx, EventId(id))?
    {
        return Ok(Some(event));
    }
    event::get(tx, text)
}

fn verdict(
    name: &str,
    trigger: &Trigger,
    event: &Event,
    known: &Known,
    has_passed: Option<bool>,
) -> Verdict {
    let judged = herald::judge(trigger, event);
    let wants = judged.is_ok();
    let endpoints = trigger.endpoints.iter().filter(|_| wants);
    let ways = endpoints.map(|endpoint| {
        let way = known.at(endpoint, name);
        way.unwrap_or_else(|| Way {
            endpoint: endpoint.clone(),
            delivery: None,
            state: not_sent(event, endpoint, has_passed).to_owned(),
        })
    });
    Verdict {
        trigger: name.to_owned(),
        wants,
        ways: ways.collect(),
        why_not: judged.err().map(|mismatch| mismatch.to_string()),
        has_passed,
    }
}

/// What became of a delivery, with the trigger that made it if that is another one.
fn sent(row: &Row, trigger: &str) -> Way {
    let Delivery { id, endpoint, .. } = &row.delivery;
    let mut state = row.state().0.to_owned();
    if let Some(by) = &row.delivery.held_by
        && row.delivery.state == State::Due
        && row.delivery.next_at > moment::now()
    {
        state.push_str(&format!(", {}", held(by, row.delivery.next_at)));
    }
    if let Some(error) = &row.delivery.last_error {
        state.push_str(&format!(", {error}"));
    }
    state.push_str(&by_another(&row.delivery.trigger, trigger));
    Way {
        endpoint: endpoint.clone(),
        delivery: Some(*id),
        state,
    }
}

/// The place of the event in a group.
fn grouped(group: &Group, stand: Stand, trigger: &str) -> Way {
    let mut state = match (stand, group.closes_at, &group.last_uid) {
        (Stand::Waiting, Some(at), _) if group.held_by.is_empty() => {
            format!("waits for a digest, until {}", moment::show(at))
        }
        (Stand::Waiting, Some(at), _) => {
            format!("waits for a digest, {}", held(&group.held_by, at))
        }
        (Stand::Waiting, None, _) => "waits for a digest".to_owned(),
        (Stand::Told, _, Some(uid)) => format!("told in digests, the last of which is {uid}"),
        (Stand::Told, _, None) => "told in a digest".to_owned(),
    };
    state.push_str(&by_another(&group.trigger, trigger));
    Way {
        endpoint: group.endpoint.clone(),
        delivery: None,
        state,
    }
}

fn held(by: &str, until: Timestamp) -> String {
    let by = match by.split_once(':') {
        Some((_, silence)) => format!("silence {silence}"),
        None => format!("{by} hours"),
    };
    format!("held back by {by} until {}", moment::show(until))
}

fn by_another(made: &str, trigger: &str) -> String {
    match made == trigger {
        true => String::new(),
        false => format!(" (by trigger {made})"),
    }
}

fn not_sent(event: &Event, endpoint: &str, has_passed: Option<bool>) -> &'static str {
    match has_passed {
        _ if herald::is_about(event, endpoint) => "not sent: an endpoint is not told of itself",
        None => "not sent: herald has not loaded the trigger",
        Some(false) => "not sent yet: herald has not come to this event",
        Some(true) => {
            "no delivery: a digest has told it, or the event was there before the trigger or its \
             present conditions, or the delivery was dropped or has been removed by age"
        }
    }
}

fn text(explanation: &Explanation<'_>, out: &mut Out) -> anyhow::Result<()> {
    let event = explanation.event;
    let title = out.paint(HEAD, &format!("event {}", event.id.0));
    let about = event.subject.as_deref().unwrap_or("-");
    let (kind, message) = (escape(&event.kind), escape(&event.message));
    writeln!(
        out,
        "{title} {kind} {} {}, about {}: {message}",
        event.state,
        event.severity,
        escape(about)
    )?;
    if explanation.triggers.is_empty() {
        writeln!(out, "no triggers: herald sends nothing")?;
    }
    for verdict in &explanation.triggers {
        let name = out.paint(HEAD, &verdict.trigger);
        match &verdict.why_not {
            None => writeln!(out, "{name}  {}", out.paint(GOOD, "wants it"))?,
            Some(why) => {
                let no = out.paint(FAINT, "does not want it");
                writeln!(out, "{name}  {no}: {}", escape(why))?;
            }
        }
        if verdict.has_passed == Some(false) {
            let note = "herald has not come to this event for it yet";
            writeln!(out, "  {}", out.paint(ODD, note))?;
        }
        ways(&verdict.ways, out)?;
    }
    if !explanation.others.is_empty() {
        writeln!(out, "{}", out.paint(HEAD, "other deliveries of it"))?;
        ways(&explanation.others, out)?;
    }
    Ok(())
}

fn ways(ways: &[Way], out: &mut Out) -> anyhow::Result<()> {
    for way in ways {
        let delivery = way.delivery.map(|id| format!(" delivery {}", id.0));
        let (endpoint, state) = (escape(&way.endpoint), escape(&way.state));
        let delivery = delivery.unwrap_or_default();
        writeln!(out, "  to {endpoint}:{delivery} {state}")?;
    }
    Ok(())
}

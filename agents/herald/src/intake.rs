//! From events to deliveries. Each trigger has a position of its own in the order of events,
//! which moves in the transaction that adds its deliveries.

use std::collections::{BTreeMap, BTreeSet};

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery::{self, NewDelivery};
use roundsman_store::event::{self, Event, EventId, Filter};
use roundsman_store::{ReadTx, Result, WriteTx};

use crate::config::{Settings, Start};
use crate::matching::Matcher;

/// How many events are looked at in one transaction.
pub const PAGE: u32 = 256;

/// What the position of a trigger is called in table `cursor`.
const READER: &str = "reader:";

/// All triggers, with their positions.
#[derive(Debug, Default)]
pub struct Intake {
    agent: &'static str,
    triggers: BTreeMap<String, Trigger>,
}

#[derive(Debug)]
struct Trigger {
    matcher: Matcher,
    position: EventId,
}

/// What one look at the events brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Events that were looked at.
    pub events: usize,
    /// Deliveries that were added.
    pub deliveries: usize,
    /// There may be more.
    pub is_more: bool,
}

impl Intake {
    /// The triggers of these settings, at the positions that the store has for them. One that is
    /// new begins where it says.
    ///
    /// # Errors
    /// That of the store.
    pub fn load(
        agent: &'static str,
        tx: &WriteTx<'_>,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self> {
        let mut known = BTreeMap::new();
        for row in cursor::list(tx, agent)? {
            let Some(name) = row.stream.strip_prefix(READER) else {
                continue;
            };
            if settings.triggers.contains_key(name) {
                known.insert(name.to_owned(), row.position.parse().ok().map(EventId));
            }
        }
        let mut triggers = BTreeMap::new();
        for (name, trigger) in &settings.triggers {
            let Ok(matcher) = Matcher::new(trigger) else {
                continue; // Refused with the configuration.
            };
            let position = match known.remove(name).flatten() {
                Some(position) => position,
                None => {
                    let position = begin(tx, trigger.from)?;
                    keep(agent, tx, name, position, now)?;
                    position
                }
            };
            triggers.insert(name.clone(), Trigger { matcher, position });
        }
        Ok(Self { agent, triggers })
    }

    /// Forgets the positions of triggers that are neither in use nor left out for a fault.
    ///
    /// # Errors
    /// That of the store.
    pub fn forget(&self, tx: &WriteTx<'_>, left_out: &BTreeSet<String>) -> Result<()> {
        for row in cursor::list(tx, self.agent)? {
            let Some(name) = row.stream.strip_prefix(READER) else {
                continue;
            };
            if !self.triggers.contains_key(name) && !left_out.contains(name) {
                cursor::remove(tx, self.agent, &row.stream)?;
            }
        }
        Ok(())
    }

    /// Looks at the next events, and adds what is owed for them.
    ///
    /// # Errors
    /// That of the store. The positions here are those of the store again after
    /// [`Intake::settle`].
    pub fn take(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<(Taken, Option<EventId>)> {
        let Some(from) = self.triggers.values().map(|t| t.position).min() else {
            return Ok((Taken::default(), None));
        };
        let page = event::after(tx, &Filter::default(), from, PAGE)?;
        let Some(reached) = page.reached else {
            return Ok((Taken::default(), None));
        };
        for row in &page.rows.unreadable {
            log::error!("an event goes to nobody: {row}");
        }
        let events = page.rows.found;
        let mut taken = Taken {
            events: events.len(),
            is_more: page.is_full,
            ..Taken::default()
        };
        for event in &events {
            for (endpoint, trigger) in self.wanted_by(event) {
                let new = NewDelivery {
                    uid: &event.uid,
                    endpoint,
                    trigger,
                    event: Some(event.id),
                    order_key: event.order_key.as_deref(),
                    severity: event.severity,
                    now,
                    body: None,
                };
                taken.deliveries += usize::from(delivery::insert(tx, &new)?.is_some());
            }
        }
        for (name, trigger) in &self.triggers {
            if trigger.position < reached {
                keep(self.agent, tx, name, reached, now)?;
            }
        }
        Ok((taken, Some(reached)))
    }

    /// The transaction of [`Intake::take`] was committed.
    pub fn settle(&mut self, reached: Option<EventId>) {
        for trigger in self.triggers.values_mut() {
            trigger.position = trigger.position.max(reached.unwrap_or(trigger.position));
        }
    }

    /// Each endpoint once, with the first trigger that names it.
    fn wanted_by<'t>(&'t self, event: &Event) -> BTreeMap<&'t str, &'t str> {
        let mut wanted = BTreeMap::new();
        for (name, trigger) in &self.triggers {
            if trigger.position >= event.id || trigger.matcher.judge(event).is_err() {
                continue;
            }
            for endpoint in trigger.matcher.endpoints() {
                if !is_about(self.agent, event, endpoint) {
                    wanted.entry(endpoint.as_str()).or_insert(name.as_str());
                }
            }
        }
        wanted
    }
}

/// What happens to an endpoint is not told to that endpoint.
fn is_about(agent: &str, event: &Event, endpoint: &str) -> bool {
    event.agent == agent
        && event
            .labels
            .get("endpoint")
            .is_some_and(|one| one == endpoint)
}

fn begin(tx: &ReadTx<'_>, from: Start) -> Result<EventId> {
    let time = match from {
        Start::Now => return event::newest_id(tx),
        Start::Oldest => return Ok(EventId(0)),
        Start::Time(time) => time,
    };
    let since = Filter {
        since: Some(time),
        ..Filter::default()
    };
    match event::after(tx, &since, EventId(0), 1)?.reached {
        Some(first) => Ok(EventId(first.0 - 1)),
        None => event::newest_id(tx),
    }
}

fn keep(
    agent: &str,
    tx: &WriteTx<'_>,
    name: &str,
    position: EventId,
    now: Timestamp,
) -> Result<()> {
    let row = Cursor {
        agent: agent.to_owned(),
        stream: format!("{READER}{name}"),
        position: position.0.to_string(),
        updated_at: now,
    };
    cursor::set(tx, &row)
}

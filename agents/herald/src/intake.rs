//! From events to deliveries. Each trigger has a position of its own in the order of events,
//! which moves in the transaction that adds its deliveries.

mod again;
mod beat;
mod owe;
mod path;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery_group as groups;
use roundsman_store::event::{self, Event, EventId, Filter, Severity};
use roundsman_store::{ReadTx, Result, WriteTx};

use crate::config::{Endpoint, Settings, Start};
use crate::group::Grouping;
use crate::matching::Matcher;
use crate::quiet::Quiet;
use crate::sender::Post;
use crate::silence::{self, Silence};

pub use path::host_id;

/// How many events are looked at in one transaction.
pub const PAGE: u32 = 128;

/// What the position of a trigger is called in table `cursor`.
const READER: &str = "reader:";

/// All triggers, with their positions.
#[derive(Default)]
pub struct Intake {
    agent: &'static str,
    triggers: BTreeMap<String, Trigger>,
    endpoints: BTreeMap<String, Target>,
    around: Surroundings,
    /// Whether anything may be held back at all.
    holds: bool,
    /// When a group or a sign of life is due next; unknown at first.
    next_at: Option<Timestamp>,
    beaten_at: Option<Timestamp>,
    /// The time of the last look.
    seen_at: Option<Timestamp>,
    has_told_loop: bool,
    has_told_crowd: bool,
}

/// What decides about events beside the configuration.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The name of this host.
    pub host: String,
    /// What this host is called in the paths of events.
    pub host_id: String,
    /// What is held back.
    pub silences: Vec<Silence>,
    /// What silences that cannot be read would hold back, as `silence:NAME`: it stays so.
    pub unread: BTreeSet<String>,
}

#[derive(Debug)]
struct Trigger {
    matcher: Matcher,
    position: EventId,
    grouping: Grouping,
    quiet: Quiet,
}

/// An endpoint, as far as groups and signs of life need it.
struct Target {
    settings: Endpoint,
    post: Arc<Post>,
}

/// What a look at the events has moved, to be settled once it is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    reached: Option<EventId>,
    next_at: Option<Timestamp>,
    beaten_at: Option<Timestamp>,
    seen_at: Option<Timestamp>,
    has_looped: bool,
    is_crowded: bool,
}

/// What one look at the events brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Events that were looked at.
    pub events: usize,
    /// Deliveries that were added.
    pub deliveries: usize,
    /// Events that have passed this host before.
    pub looped: u64,
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
        (settings, posts): (&Settings, &BTreeMap<&str, &Arc<Post>>),
        around: Surroundings,
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
            let (Ok(matcher), Ok(grouping), Ok(quiet)) = (
                Matcher::new(trigger),
                Grouping::new(trigger),
                Quiet::new(trigger),
            ) else {
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
            let trigger = Trigger {
                matcher,
                position,
                grouping,
                quiet,
            };
            triggers.insert(name.clone(), trigger);
        }
        let endpoints = settings.endpoints.iter().filter_map(|(name, settings)| {
            let target = Target {
                settings: settings.clone(),
                post: Arc::clone(posts.get(name.as_str())?),
            };
            Some((name.clone(), target))
        });
        let any_quiet = settings.triggers.values().any(|one| !one.quiet.is_empty());
        let intake = Self {
            agent,
            triggers,
            endpoints: endpoints.collect(),
            holds: any_quiet || !around.silences.is_empty(),
            around,
            next_at: Some(now),
            beaten_at: None,
            seen_at: Some(now),
            has_told_loop: false,
            has_told_crowd: false,
        };
        intake.hold_again(tx, now)?;
        intake.show_silences(tx, now)?;
        Ok(intake)
    }

    /// Tells those who wait for it which silences are in force.
    fn show_silences(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
        let row = Cursor {
            agent: self.agent.to_owned(),
            stream: silence::STREAM.to_owned(),
            position: silence::fingerprint(&self.around.silences),
            updated_at: now,
        };
        tx.ring();
        cursor::set(tx, &row)
    }

    /// Whether a group or a sign of life is due: its bytes go out after the commit, which has to
    /// be on the disk before, or the same id could have other bytes after a power cut.
    ///
    /// Also when quiet hours have begun, before anything is sent in them, and when the clock has
    /// stepped back, which puts everything off that is known of the time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let is_back = self.seen_at.is_some_and(|at| now < at);
        is_back || self.next_at.is_some_and(|at| at <= now) || self.begins_quiet(now)
    }

    /// Whether quiet hours have begun since the last look.
    fn begins_quiet(&self, now: Timestamp) -> bool {
        let is_quiet = |quiet: &Quiet, at| quiet.until(Severity::Debug, at).is_some();
        let mut quiet = self.triggers.values().map(|trigger| &trigger.quiet);
        self.seen_at
            .is_some_and(|seen| quiet.any(|quiet| is_quiet(quiet, now) && !is_quiet(quiet, seen)))
    }

    /// When the next group or sign of life is due.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.next_at
    }

    /// Whose intake it is.
    pub fn agent(&self) -> &'static str {
        self.agent
    }

    /// The silences in force, and those that are over.
    pub fn silences(&self) -> &[Silence] {
        &self.around.silences
    }

    /// Adds this host to the path of an event that has one, for it to be sent on.
    pub fn pass(&self, event: &mut Event) {
        path::pass(event, &self.around.host_id);
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

    /// Looks at the next events, and adds what is owed for them, and what has waited for its time.
    ///
    /// # Errors
    /// That of the store. The positions here are those of the store again after
    /// [`Intake::settle`].
    pub fn take(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<(Taken, Moved)> {
        let (mut taken, mut moved) = (Taken::default(), Moved::default());
        if self.begins_quiet(now) {
            self.hold_again(tx, now)?;
        }
        if self.is_due(now) {
            taken.deliveries += self.close(tx, now)? + self.beat(tx, now)?;
            moved.beaten_at = Some(now);
        }
        self.take_events(tx, now, &mut taken, &mut moved)?;
        let nexts = [groups::next_at(tx)?, self.next_beat(now)];
        moved.next_at = nexts.into_iter().flatten().min();
        moved.seen_at = Some(now);
        Ok((taken, moved))
    }

    fn take_events(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        taken: &mut Taken,
        moved: &mut Moved,
    ) -> Result<()> {
        let Some(from) = self.triggers.values().map(|t| t.position).min() else {
            return Ok(());
        };
        let page = event::after(tx, &Filter::default(), from, PAGE)?;
        let Some(reached) = page.reached else {
            return Ok(());
        };
        for row in &page.rows.unreadable {
            log::error!("an event goes to nobody: {row}");
        }
        let events = page.rows.found;
        (taken.events, taken.is_more) = (events.len(), page.is_full);
        let mut room = owe::Room::default();
        for event in &events {
            if path::has_passed(event, &self.around.host_id) {
                taken.looped += 1;
                continue;
            }
            for wanted in self.wanted_by(event, now) {
                taken.deliveries += self.owe(tx, event, wanted, &mut room, now)?;
            }
        }
        for (name, trigger) in &self.triggers {
            if trigger.position < reached {
                keep(self.agent, tx, name, reached, now)?;
            }
        }
        moved.reached = Some(reached);
        moved.has_looped = taken.looped > 0;
        moved.is_crowded = room.is_crowded;
        Ok(())
    }

    /// The transaction of [`Intake::take`] was committed.
    pub fn settle(&mut self, moved: Moved) {
        for trigger in self.triggers.values_mut() {
            trigger.position = trigger
                .position
                .max(moved.reached.unwrap_or(trigger.position));
        }
        self.next_at = moved.next_at;
        self.seen_at = moved.seen_at.or(self.seen_at);
        self.beaten_at = moved.beaten_at.or(self.beaten_at);
        if moved.has_looped && !self.has_told_loop {
            log::warn!("events that have passed this host before are not sent again");
            self.has_told_loop = true;
        }
        if moved.is_crowded && !self.has_told_crowd {
            log::warn!("there are too many open groups: further events go singly");
            self.has_told_crowd = true;
        }
    }

    /// Each endpoint once, with the trigger that tells it soonest: one that is not in its quiet
    /// hours, then one that does not group, then the first by name.
    fn wanted_by<'t>(&'t self, event: &Event, now: Timestamp) -> BTreeMap<&'t str, &'t str> {
        let mut wanted = BTreeMap::new();
        for (name, trigger) in &self.triggers {
            if trigger.position >= event.id || trigger.matcher.judge(event).is_err() {
                continue;
            }
            let is_quiet = trigger.quiet.until(event.severity, now).is_some();
            let rank = (is_quiet, trigger.grouping.key(event).is_some());
            for endpoint in trigger.matcher.endpoints() {
                if is_about(self.agent, event, endpoint) {
                    continue;
                }
                let best = wanted
                    .entry(endpoint.as_str())
                    .or_insert((rank, name.as_str()));
                if rank < best.0 {
                    *best = (rank, name);
                }
            }
        }
        let names = wanted.into_iter();
        names
            .map(|(endpoint, (_, name))| (endpoint, name))
            .collect()
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

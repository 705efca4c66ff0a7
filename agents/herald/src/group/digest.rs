//! Telling groups: what has waited long enough, and what still holds. Membership, bytes and the
//! delivery of a digest are one transaction.

use std::collections::{BTreeMap, BTreeSet};

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, NewDelivery};
use roundsman_store::delivery_group::{self as groups, Group, Stand};
use roundsman_store::event::{self, Event, EventId, Severity, State};
use roundsman_store::{ReadTx, Result, WriteTx};

use super::{URGENT, since_it_began, uid};
use crate::intake::Intake;
use crate::silence;

/// How many events one digest has.
pub const MEMBERS: u32 = 100;

/// How many groups are told in one transaction.
const GROUPS: u32 = 32;

/// How many digests of one group are made in one transaction.
const DIGESTS: usize = 8;

/// How many conditions of one group are told again.
const TOLD: u32 = 1000;

/// How much of a condition's past is told to who needs it.
const PAST: u32 = 100;

impl Intake {
    /// Tells the groups that are due. Returns how many deliveries that made.
    ///
    /// # Errors
    /// That of the store.
    pub fn close(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<usize> {
        let mut made = 0;
        for group in groups::closing(tx, now, GROUPS)? {
            made += self.close_one(tx, group, now)?;
        }
        for group in groups::repeating(tx, now, GROUPS)? {
            made += self.repeat_one(tx, group, now)?;
        }
        Ok(made)
    }

    fn close_one(&self, tx: &WriteTx<'_>, mut group: Group, now: Timestamp) -> Result<usize> {
        let urgency = groups::urgency(tx, group.id)?;
        if let Some(until) = urgency.and_then(|it| self.quiet_until(&group.trigger, it, now)) {
            group.closes_at = Some(until);
            groups::set(tx, &group)?;
            return Ok(0);
        }
        let mut made = 0;
        for _ in 0..DIGESTS {
            let ids = groups::members(tx, group.id, Stand::Waiting, MEMBERS)?;
            if ids.is_empty() {
                break;
            }
            let events = read(tx, &ids)?;
            for id in ids {
                groups::leave(tx, group.id, id, Stand::Waiting)?;
            }
            made += self.tell(tx, &mut group, &events, now)?;
            self.remember(tx, &mut group, &events, now)?;
        }
        let is_more = !groups::members(tx, group.id, Stand::Waiting, 1)?.is_empty();
        group.closes_at = is_more.then_some(now);
        keep(tx, &group)?;
        Ok(made)
    }

    fn repeat_one(&self, tx: &WriteTx<'_>, mut group: Group, now: Timestamp) -> Result<usize> {
        let Some(repeat) = self.repeat_of(&group.trigger, &group.endpoint) else {
            for id in groups::members(tx, group.id, Stand::Told, TOLD)? {
                groups::leave(tx, group.id, id, Stand::Told)?;
            }
            group.repeats_at = None;
            keep(tx, &group)?;
            return Ok(0);
        };
        let holding = still_firing(tx, &group)?;
        group.repeats_at = (!holding.is_empty()).then(|| now.plus(repeat));
        // One that has not arrived yet says the same.
        let is_owed = match &group.last_uid {
            Some(uid) => delivery::is_due(tx, &group.endpoint, uid)?,
            None => false,
        };
        let is_silent = |event: &Event| silence::longest(self.silences(), event, now).is_some();
        let told: Vec<Event> = holding
            .into_iter()
            .filter(|event| !is_silent(event))
            .collect();
        let urgency = told.iter().map(|event| event.severity).min();
        let quiet = urgency.and_then(|it| self.quiet_until(&group.trigger, it, now));
        let mut made = 0;
        if quiet.is_some() {
            group.repeats_at = quiet;
        } else if !is_owed {
            for events in told.chunks(MEMBERS as usize) {
                made += self.tell(tx, &mut group, events, now)?;
            }
        }
        keep(tx, &group)?;
        Ok(made)
    }

    /// One digest of these events; each by itself if there is no way to make one.
    fn tell(
        &self,
        tx: &WriteTx<'_>,
        group: &mut Group,
        events: &[Event],
        now: Timestamp,
    ) -> Result<usize> {
        let Some(lead) = events.iter().min_by_key(|event| (event.severity, event.id)) else {
            return Ok(0);
        };
        group.n += 1;
        let n = group.n.to_string();
        let (endpoint, trigger) = (group.endpoint.as_str(), group.trigger.as_str());
        let uid = uid(&[endpoint, trigger, &group.key, &group.first_uid, &n]);
        let lead = Event {
            uid: uid.clone(),
            ..lead.clone()
        };
        let content = match self.body(tx, endpoint, trigger, &lead, events)? {
            Ok(content) => content,
            Err(error) => {
                log::warn!("{endpoint}: the events of a digest go singly: {error}");
                let mut made = 0;
                for event in events {
                    made += self.single(tx, event, endpoint, trigger, now)?;
                }
                return Ok(made);
            }
        };
        let new = NewDelivery {
            uid: &uid,
            endpoint,
            trigger,
            event: None,
            order_key: Some(&group.order_key),
            severity: lead.severity,
            now,
            body: Some(&content.body),
        };
        let inserted = delivery::insert(tx, &new)?;
        if let Some(id) = inserted {
            delivery::dress(tx, id, &content.headers)?;
            if events.iter().any(|event| event.agent == self.agent()) {
                delivery::mark_own(tx, id)?;
            }
            let of = (endpoint, group.order_key.as_str());
            self.take_along(tx, lead.severity, of, trigger, now)?;
        }
        group.last_uid = Some(uid);
        Ok(usize::from(inserted.is_some()))
    }

    /// Keeps what was told and may have to be told again.
    fn remember(
        &self,
        tx: &WriteTx<'_>,
        group: &mut Group,
        events: &[Event],
        now: Timestamp,
    ) -> Result<()> {
        let Some(repeat) = self.repeat_of(&group.trigger, &group.endpoint) else {
            return Ok(());
        };
        for event in events.iter().filter(|event| event.state == State::Firing) {
            groups::join(tx, group.id, event.id, Stand::Told)?;
            group.repeats_at = group.repeats_at.or(Some(now.plus(repeat)));
        }
        Ok(())
    }
}

/// What an Alertmanager has to see with these events, in the order of commits: each condition
/// since it began.
///
/// # Errors
/// That of the store.
pub fn with_past(tx: &ReadTx<'_>, events: &[Event]) -> Result<Vec<Event>> {
    let mut all = BTreeMap::new();
    for event in events {
        if let Some(correlation) = &event.correlation {
            let past = event::of_condition(tx, correlation, event.id, PAST)?;
            let since = since_it_began(&past).iter();
            all.extend(since.map(|event| (event.id, event.clone())));
        }
        all.insert(event.id, event.clone());
    }
    Ok(all.into_values().collect())
}

/// The latest events of the conditions that were told and hold still, each once. What does not
/// hold any more is forgotten.
fn still_firing(tx: &WriteTx<'_>, group: &Group) -> Result<Vec<Event>> {
    let (mut seen, mut firing) = (BTreeSet::new(), Vec::new());
    for id in groups::members(tx, group.id, Stand::Told, TOLD)? {
        let told = event::by_id(tx, id)?.and_then(|event| event.correlation);
        let latest = match told {
            Some(correlation) if seen.insert(correlation.clone()) => {
                event::latest_of(tx, &correlation)?
            }
            _ => None,
        };
        let latest = latest.filter(|event| event.state == State::Firing);
        if latest.as_ref().is_none_or(|event| event.id != id) {
            groups::leave(tx, group.id, id, Stand::Told)?;
        }
        if let Some(latest) = latest {
            groups::join(tx, group.id, latest.id, Stand::Told)?;
            firing.push(latest);
        }
    }
    firing.sort_by_key(|event| event.id);
    Ok(firing)
}

/// Keeps a group that has anything left to tell, and forgets the others.
///
/// # Errors
/// That of the store.
pub fn keep(tx: &WriteTx<'_>, group: &Group) -> Result<()> {
    if group.closes_at.is_none() && group.repeats_at.is_none() {
        return groups::forget(tx, group.id);
    }
    groups::set(tx, group)
}

fn read(tx: &ReadTx<'_>, ids: &[EventId]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for id in ids {
        match event::by_id(tx, *id)? {
            Some(event) => events.push(event),
            None => log::warn!("event {} was removed before its digest was made", id.0),
        }
    }
    Ok(events)
}

/// Whether something so urgent waits for nobody.
pub fn is_urgent(severity: Severity) -> bool {
    severity <= URGENT
}

//! What one event comes to for one endpoint: a delivery, now or later, or a place in a group.

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Hold, NewDelivery};
use roundsman_store::delivery_group::{self as groups, Group, GroupKey, Stand};
use roundsman_store::event::{Event, Severity, State};
use roundsman_store::{ReadTx, Result, WriteTx};

use super::{Intake, path};
use crate::compose::Content;
use crate::format::Format;
use crate::group::{self, digest};
use crate::silence;

/// How many groups there may be; what would begin another one goes singly.
const GROUPS: u64 = 10_000;

/// How many groups of one event are looked at; it is in one for each endpoint.
const MEMBERSHIPS: u32 = 1000;

/// How many more groups may begin in this transaction; known once somebody asks.
#[derive(Default)]
pub struct Room {
    left: Option<u64>,
    /// A group could not begin.
    pub is_crowded: bool,
}

impl Room {
    fn take(&mut self, tx: &ReadTx<'_>) -> Result<bool> {
        let left = match self.left {
            Some(left) => left,
            None => GROUPS.saturating_sub(groups::count(tx)?),
        };
        self.left = Some(left.saturating_sub(1));
        self.is_crowded |= left == 0;
        Ok(left > 0)
    }
}

impl Intake {
    /// Adds what an endpoint is owed for an event. Returns how many deliveries that made.
    pub(super) fn owe(
        &self,
        tx: &WriteTx<'_>,
        event: &Event,
        (endpoint, name): (&str, &str),
        room: &mut Room,
        now: Timestamp,
    ) -> Result<usize> {
        let trigger = self.triggers.get(name);
        let key = trigger.and_then(|trigger| trigger.grouping.key(event));
        if self.knows(tx, event, endpoint, key.is_some())? {
            return Ok(0);
        }
        if let Some(key) = key
            && self.wait_in_group(tx, event, (endpoint, name), &key, room, now)?
        {
            return Ok(0);
        }
        let made = self.single(tx, event, endpoint, name, now)?;
        if made > 0 {
            self.watch(tx, event, (endpoint, name), room, now)?;
        }
        Ok(made)
    }

    /// Whether an endpoint has this event, or will get it, by another trigger or an earlier look:
    /// singly (that a single one sees for itself), or with a digest as far as its members are
    /// still known.
    fn knows(
        &self,
        tx: &ReadTx<'_>,
        event: &Event,
        endpoint: &str,
        is_grouped: bool,
    ) -> Result<bool> {
        if is_grouped && delivery::is_known(tx, endpoint, &event.uid)? {
            return Ok(true);
        }
        let has_looked = |trigger: &super::Trigger| trigger.position >= event.id;
        if !self.triggers.values().any(has_looked) {
            return Ok(false);
        }
        let groups = groups::of_event(tx, event.id, MEMBERSHIPS)?;
        Ok(groups.iter().any(|(group, _)| group.endpoint == endpoint))
    }

    /// The event waits for others. False if there are too many groups.
    fn wait_in_group(
        &self,
        tx: &WriteTx<'_>,
        event: &Event,
        (endpoint, name): (&str, &str),
        key: &str,
        room: &mut Room,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(trigger) = self.triggers.get(name) else {
            return Ok(false);
        };
        let silence = silence::longest(&self.around.silences, event, now);
        let held_by = silence.as_ref().map_or("", |hold| hold.by.as_str());
        let group = GroupKey {
            endpoint,
            trigger: name,
            key,
            held_by,
        };
        let Some(mut group) = find_or_begin(tx, group, key, &event.uid, room)? else {
            return Ok(false);
        };
        groups::join(tx, group.id, event.id, Stand::Waiting)?;
        let until = match silence {
            Some(hold) => hold.until,
            None if digest::is_urgent(event.severity) => now,
            None => now.plus(trigger.grouping.wait),
        };
        let until = group.closes_at.map_or(until, |at| at.min(until));
        if group.closes_at != Some(until) {
            group.closes_at = Some(until);
            groups::set(tx, &group)?;
        }
        Ok(true)
    }

    /// A delivery of its own, now or when nothing holds it back any more.
    pub(crate) fn single(
        &self,
        tx: &WriteTx<'_>,
        event: &Event,
        endpoint: &str,
        trigger: &str,
        now: Timestamp,
    ) -> Result<usize> {
        let body = self.body_with_past(tx, event, endpoint, trigger)?;
        let new = NewDelivery {
            uid: &event.uid,
            endpoint,
            trigger,
            event: Some(event.id),
            order_key: event.order_key.as_deref(),
            severity: event.severity,
            now,
            body: body.as_ref(),
        };
        let hold = match self.holds {
            true => self.hold(tx, event, endpoint, trigger, now)?,
            false => None,
        };
        let Some(id) = delivery::insert(tx, &new)? else {
            return Ok(0);
        };
        match (&hold, &event.order_key) {
            (Some(hold), _) => delivery::hold(tx, id, hold)?,
            (None, Some(key)) if self.holds => {
                self.take_along(tx, event.severity, (endpoint, key), trigger, now)?;
            }
            _ => {}
        }
        Ok(1)
    }

    /// What goes now takes along what waits before it with the same key: what is critical takes
    /// everything, what quiet hours let pass only what they hold.
    pub(crate) fn take_along(
        &self,
        tx: &WriteTx<'_>,
        severity: Severity,
        of: (&str, &str),
        trigger: &str,
        now: Timestamp,
    ) -> Result<()> {
        if digest::is_urgent(severity) {
            delivery::release_key(tx, of, None, now)?;
        } else if self.passes_quiet(trigger, severity) {
            delivery::release_key(tx, of, Some(QUIET), now)?;
        }
        Ok(())
    }

    /// What holds a delivery of this event back: a silence, quiet hours, or an earlier one of its
    /// key that is held back.
    fn hold(
        &self,
        tx: &ReadTx<'_>,
        event: &Event,
        endpoint: &str,
        trigger: &str,
        now: Timestamp,
    ) -> Result<Option<Hold>> {
        let silence = silence::longest(&self.around.silences, event, now);
        let quiet = self
            .quiet_until(trigger, event.severity, now)
            .map(|until| Hold {
                by: QUIET.to_owned(),
                until,
            });
        let earlier = match &event.order_key {
            Some(key) if !digest::is_urgent(event.severity) => {
                let but = self.passes_quiet(trigger, event.severity).then_some(QUIET);
                delivery::hold_of_key(tx, (endpoint, key), but, now)?
            }
            _ => None,
        };
        let holds = [earlier, quiet, silence].into_iter().flatten();
        Ok(holds.max_by_key(|hold| hold.until))
    }

    /// Remembers a condition that is told again while it holds.
    fn watch(
        &self,
        tx: &WriteTx<'_>,
        event: &Event,
        (endpoint, name): (&str, &str),
        room: &mut Room,
        now: Timestamp,
    ) -> Result<()> {
        let repeat = self.repeat_of(name, endpoint);
        let (Some(repeat), Some(correlation)) = (repeat, &event.correlation) else {
            return Ok(());
        };
        let key = GroupKey {
            endpoint,
            trigger: name,
            key: correlation,
            held_by: "",
        };
        if event.state != State::Firing {
            // Whether it holds is asked when it would be told again.
            return Ok(());
        }
        let order_key = event.order_key.as_deref().unwrap_or(correlation);
        let Some(mut group) = find_or_begin(tx, key, order_key, &event.uid, room)? else {
            return Ok(());
        };
        groups::join(tx, group.id, event.id, Stand::Told)?;
        group.repeats_at = group.repeats_at.or(Some(now.plus(repeat)));
        group.last_uid = Some(event.uid.clone());
        groups::set(tx, &group)
    }

    /// An Alertmanager knows an alert by all of its labels, so that what ends one is told with
    /// what began it. Everybody else's bytes are made when they are sent.
    fn body_with_past(
        &self,
        tx: &ReadTx<'_>,
        event: &Event,
        endpoint: &str,
        trigger: &str,
    ) -> Result<Option<delivery::Body>> {
        let is_alertmanager = self
            .endpoints
            .get(endpoint)
            .is_some_and(|one| one.settings.format == Format::Alertmanager);
        if !is_alertmanager || event.correlation.is_none() {
            return Ok(None);
        }
        let body = self.body(tx, endpoint, trigger, event, std::slice::from_ref(event))?;
        Ok(body.ok().map(|content| content.body))
    }

    /// The bytes of a digest; why there are none.
    ///
    /// # Errors
    /// That of the store.
    pub(crate) fn body(
        &self,
        tx: &ReadTx<'_>,
        endpoint: &str,
        trigger: &str,
        lead: &Event,
        events: &[Event],
    ) -> Result<std::result::Result<Content, String>> {
        let Some(target) = self.endpoints.get(endpoint) else {
            return Ok(Err("the endpoint is not there".to_owned()));
        };
        let mut members = match target.settings.format {
            Format::Alertmanager => digest::with_past(tx, events)?,
            _ => events.to_vec(),
        };
        for member in &mut members {
            path::pass(member, &self.around.host_id);
        }
        let content = target
            .post
            .composer
            .render(lead, &members, trigger, &lead.uid);
        Ok(content.map_err(|reply| reply.error()))
    }

    /// Until when a trigger's quiet hours hold back something so urgent.
    pub(crate) fn quiet_until(
        &self,
        trigger: &str,
        severity: Severity,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.triggers.get(trigger)?.quiet.until(severity, now)
    }

    fn passes_quiet(&self, trigger: &str, severity: Severity) -> bool {
        let trigger = self.triggers.get(trigger);
        trigger.is_some_and(|trigger| trigger.quiet.lets_pass(severity))
    }

    /// How often an endpoint is told again what still holds.
    pub(crate) fn repeat_of(&self, trigger: &str, endpoint: &str) -> Option<std::time::Duration> {
        let grouping = self.triggers.get(trigger).map(|trigger| &trigger.grouping);
        grouping?;
        group::repeat(grouping, &self.endpoints.get(endpoint)?.settings)
    }
}

/// What deliveries are held back by that wait for the end of quiet hours.
pub const QUIET: &str = "quiet";

pub(super) fn find_or_begin(
    tx: &WriteTx<'_>,
    key: GroupKey<'_>,
    order_key: &str,
    first_uid: &str,
    room: &mut Room,
) -> Result<Option<Group>> {
    if let Some(group) = groups::find(tx, key)? {
        return Ok(Some(group));
    }
    match room.take(tx)? {
        true => groups::begin(tx, key, order_key, first_uid).map(Some),
        false => Ok(None),
    }
}

//! Holding back anew: what is owed and what waits in groups, judged by the silences and quiet hours
//! of now as if it came now.

use std::collections::HashMap;

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, DeliveryId, Hold, Owed};
use roundsman_store::delivery_group::{self as groups, Group, GroupId, GroupKey, Stand};
use roundsman_store::event::{self, Event, EventId};
use roundsman_store::{Result, WriteTx};

use super::Intake;
use super::owe::{QUIET, Room, find_or_begin};
use crate::group::{digest, uid};
use crate::silence;

/// How many rows are read at once.
const PAGE: u32 = 1000;

/// How many events are compared with the silences at one time; for what is beyond, a silence that
/// held it before counts, and no other.
const EVENTS: u32 = 100_000;

/// How far one pass has come.
struct Pass {
    now: Timestamp,
    /// How many more events are read.
    left: u32,
    /// What deliveries with a key have come to, by endpoint and key.
    keys: HashMap<(String, String), Key>,
}

struct Key {
    /// What comes before this one passes.
    urgent: Option<DeliveryId>,
    /// What holds back an earlier one longest.
    hold: Option<Hold>,
}

impl Intake {
    /// Brings what is owed in line with the silences and quiet hours of now: what has ended before
    /// its time lets go, and what has begun holds back what nobody has in hand.
    pub(super) fn hold_again(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
        let mut pass = Pass {
            now,
            left: EVENTS,
            keys: HashMap::new(),
        };
        if self.holds || delivery::holds_any(tx)? {
            let mut after = (Timestamp(i64::MIN), DeliveryId(0));
            loop {
                let page = delivery::owed(tx, after, PAGE)?;
                let Some(last) = page.last() else { break };
                after = (last.created_at, last.id);
                for owed in &page {
                    self.judge_again(tx, owed, &mut pass)?;
                }
            }
        }
        self.regroup(tx, &mut pass)?;
        if pass.left == 0 {
            log::warn!(
                "more than {EVENTS} events wait: silences that are new do not hold the rest"
            );
        }
        Ok(())
    }

    fn judge_again(&self, tx: &WriteTx<'_>, owed: &Owed, pass: &mut Pass) -> Result<()> {
        let now = pass.now;
        let held = owed.held_by.as_ref().filter(|_| owed.next_at > now);
        let held = held.map(|by| Hold {
            by: by.clone(),
            until: owed.next_at,
        });
        if owed.trigger == crate::heartbeat::TRIGGER {
            return Ok(());
        }
        let is_kept = held
            .as_ref()
            .is_some_and(|hold| self.around.unread.contains(&hold.by));
        let own = match is_kept {
            true => held.clone(),
            false => self.own_hold(tx, owed, held.as_ref(), pass)?,
        };
        let wanted = with_key(tx, owed, own, pass)?;
        match wanted {
            Some(hold) if held.as_ref() == Some(&hold) => Ok(()),
            // Its next attempt is later anyway.
            Some(hold) if held.is_none() && hold.until <= owed.next_at => Ok(()),
            Some(hold) => delivery::hold(tx, owed.id, &hold),
            None if held.is_some() => delivery::let_go(tx, owed.id, now),
            None => Ok(()),
        }
    }

    /// What holds this one back, whatever its key.
    fn own_hold(
        &self,
        tx: &WriteTx<'_>,
        owed: &Owed,
        held: Option<&Hold>,
        pass: &mut Pass,
    ) -> Result<Option<Hold>> {
        let now = pass.now;
        let event = match owed.event {
            Some(id) => self.event(tx, id, pass)?,
            None => None,
        };
        let silence = match event {
            Some(event) => silence::longest(&self.around.silences, &event, now),
            None => held.and_then(|hold| self.same_silence(&hold.by, now)),
        };
        // The bytes of a digest were made when nothing held it back.
        let quiet = match owed.event {
            Some(_) => self.quiet_until(&owed.trigger, owed.severity, now),
            None => None,
        };
        let quiet = quiet.map(|until| Hold {
            by: QUIET.to_owned(),
            until,
        });
        Ok([quiet, silence]
            .into_iter()
            .flatten()
            .max_by_key(|hold| hold.until))
    }

    /// An event that the silences are asked about; none if there is nothing to ask, or no more.
    fn event(&self, tx: &WriteTx<'_>, id: EventId, pass: &mut Pass) -> Result<Option<Event>> {
        if self.around.silences.is_empty() || pass.left == 0 {
            return Ok(None);
        }
        pass.left -= 1;
        event::by_id(tx, id)
    }

    /// The silence of this label, as it is now.
    fn same_silence(&self, label: &str, now: Timestamp) -> Option<Hold> {
        let mut silences = self.around.silences.iter();
        let silence = silences.find(|one| one.label() == label && one.until > now)?;
        Some(Hold {
            by: silence.label(),
            until: silence.until,
        })
    }

    /// The same for events that wait in groups: each waits in the group of the silence that holds
    /// it now.
    fn regroup(&self, tx: &WriteTx<'_>, pass: &mut Pass) -> Result<()> {
        let mut room = Room::default();
        let mut after = GroupId(0);
        // Groups that begin here are right already.
        let Some(newest) = groups::newest(tx)? else {
            return Ok(());
        };
        loop {
            let page = groups::open(tx, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for group in page.into_iter().filter(|group| group.id <= newest) {
                let is_plain = group.held_by.is_empty();
                let is_settled = is_plain && self.around.silences.is_empty();
                if !is_settled && !self.around.unread.contains(&group.held_by) {
                    self.regroup_one(tx, group, pass, &mut room)?;
                }
            }
        }
        Ok(())
    }

    fn regroup_one(
        &self,
        tx: &WriteTx<'_>,
        mut group: Group,
        pass: &mut Pass,
        room: &mut Room,
    ) -> Result<()> {
        let now = pass.now;
        let same = self.same_silence(&group.held_by, now);
        let (mut after, mut stay) = (EventId(0), false);
        loop {
            let ids = groups::members_after(tx, group.id, Stand::Waiting, after, PAGE)?;
            let Some(last) = ids.last() else { break };
            after = *last;
            for id in ids {
                let Some(event) = self.event(tx, id, pass)? else {
                    stay = true;
                    continue;
                };
                let hold = silence::longest(&self.around.silences, &event, now);
                let by = hold.as_ref().map_or("", |hold| hold.by.as_str());
                match by == group.held_by {
                    true => stay = true,
                    false => self.move_to(tx, &group, &event, hold.as_ref(), room, now)?,
                }
            }
        }
        match (stay, group.held_by.as_str()) {
            // Its time may have changed since it was read, by an event that was moved to it.
            (true, "") => return Ok(()),
            (true, _) => group.closes_at = Some(same.map_or(now, |hold| hold.until)),
            (false, _) => group.closes_at = None,
        }
        digest::keep(tx, &group)
    }

    /// Has an event wait in another group: that of a silence, or the plain one, which is told at
    /// once.
    fn move_to(
        &self,
        tx: &WriteTx<'_>,
        group: &Group,
        event: &Event,
        hold: Option<&Hold>,
        room: &mut Room,
        now: Timestamp,
    ) -> Result<()> {
        groups::leave(tx, group.id, event.id, Stand::Waiting)?;
        let (endpoint, trigger) = (group.endpoint.as_str(), group.trigger.as_str());
        let key = GroupKey {
            endpoint,
            trigger,
            key: &group.key,
            held_by: hold.map_or("", |hold| hold.by.as_str()),
        };
        // The ids of its digests must not be those of the group that it leaves.
        let first = uid(&[&event.uid, &group.id.0.to_string(), "moved"]);
        let Some(mut other) = find_or_begin(tx, key, &group.order_key, &first, room)? else {
            self.single(tx, event, endpoint, trigger, now)?;
            return Ok(());
        };
        groups::join(tx, other.id, event.id, Stand::Waiting)?;
        other.closes_at = Some(hold.map_or(now, |hold| hold.until));
        groups::set(tx, &other)
    }
}

/// What holds it back in the end: no less than what is before it with the same key, and nothing if
/// something urgent comes after it.
fn with_key(
    tx: &WriteTx<'_>,
    owed: &Owed,
    own: Option<Hold>,
    pass: &mut Pass,
) -> Result<Option<Hold>> {
    let Some(order_key) = &owed.order_key else {
        return Ok(own);
    };
    let place = (owed.endpoint.clone(), order_key.clone());
    if own.is_none() && !pass.keys.contains_key(&place) {
        return Ok(None);
    }
    let key = match pass.keys.entry(place) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Key {
            urgent: delivery::last_urgent(tx, &owed.endpoint, order_key)?,
            hold: None,
        }),
    };
    let has_urgent = key.urgent.is_some_and(|urgent| owed.id < urgent);
    if has_urgent || digest::is_urgent(owed.severity) && own.is_none() {
        return Ok(None);
    }
    let holds = [own, key.hold.take()].into_iter().flatten();
    key.hold = holds.max_by_key(|hold| hold.until);
    Ok(key.hold.clone())
}

//! What one turn writes: how attempts ended, what is owed for new events, what has become too old.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Attempt, Body, DeliveryId};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{EventTx, Result, WriteTx};

use crate::client::{Outcome, retry_after};
use crate::engine::Totals;
use crate::intake::{Intake, Moved, Taken};
use crate::lane::Lane;
use crate::plan::{self, Fate, Reply, Turn};
use crate::sender::Finished;

/// How many of those that are too old are parked in one transaction.
const EXPIRED_AT_ONCE: u32 = 1000;

/// An attempt that has ended.
pub struct Ended {
    /// Whose it is.
    pub id: DeliveryId,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// What came of it.
    pub reply: Reply,
    /// The beginning of the answer.
    pub answer: Vec<u8>,
    /// What was sent; none if it could not be made, so that nothing is frozen.
    pub body: Option<Body>,
}

impl Ended {
    /// What the sending thread has finished.
    pub fn of(finished: Finished, now: Timestamp) -> Self {
        let (reply, answer, was_sent) = match finished.outcome {
            Ok(Outcome::Answered {
                status,
                retry_after,
                head,
                ..
            }) => {
                let seconds = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
                let retry_after = retry_after.and_then(|text| retry_after::parse(&text, seconds));
                let reply = Reply::Answered {
                    status,
                    retry_after,
                };
                (reply, head, true)
            }
            Ok(Outcome::Failed { fault, .. }) => {
                let error = fault.to_string();
                (Reply::Unreachable { error }, Vec::new(), true)
            }
            Err(reply) => (reply, Vec::new(), false),
        };
        Self {
            id: finished.id,
            endpoint: finished.endpoint,
            reply,
            answer,
            body: was_sent.then_some(finished.content.body),
        }
    }
}

/// An endpoint, what happened to it, and what was wrong.
pub type Told = (String, Turn, String);

/// What a transaction came to, for the time after it.
#[derive(Default)]
pub struct Written {
    /// What was taken in.
    pub taken: Taken,
    /// How far the intake has moved.
    pub reached: Moved,
    /// What is known of every endpoint now.
    pub known: BTreeMap<String, Endpoint>,
    /// What was added to the totals.
    pub totals: Totals,
    /// What happened to endpoints, and what was wrong.
    pub turns: Vec<Told>,
    /// The same, by a delivery of an event of our own: it makes no other event.
    pub untold: Vec<Told>,
    /// What was parked, and why.
    pub parked: Vec<(DeliveryId, Arc<str>, String)>,
    /// What was parked for its age, by endpoint.
    pub aged: Vec<(String, Vec<DeliveryId>)>,
}

/// What one transaction writes, and what it goes by.
pub struct Record<'e> {
    /// The endpoints.
    pub lanes: &'e BTreeMap<Arc<str>, Lane>,
    /// The triggers.
    pub intake: &'e Intake,
    /// What has ended.
    pub ended: &'e [Ended],
    /// Whether to look for what is too old.
    pub expires: bool,
    /// The time of the transaction.
    pub now: Timestamp,
}

impl Record<'_> {
    /// Whether the attempt may become an event.
    pub fn may_tell(&self, one: &Ended, known: &BTreeMap<String, Endpoint>) -> bool {
        let is_open = known
            .get(&*one.endpoint)
            .is_some_and(|e| e.opened_at.is_some());
        !one.reply.is_success() || is_open
    }

    /// Writes everything.
    ///
    /// # Errors
    /// That of the store.
    pub fn write(&self, tx: &WriteTx<'_>) -> Result<Written> {
        let mut written = Written::default();
        for row in endpoint::list(tx)? {
            written.known.insert(row.name.clone(), row);
        }
        let before = written.known.clone();
        let ended: HashSet<_> = self.ended.iter().map(|one| one.id).collect();
        let mut keys: BTreeSet<(&str, &str)> = BTreeSet::new();
        for one in self.ended {
            keys.extend(self.settle(tx, one, &ended, &mut written)?);
        }
        for (name, lane) in self.lanes {
            keys.extend(lane.to_release().iter().map(|key| (&**name, key.as_str())));
        }
        for (endpoint, key) in keys {
            delivery::release(tx, endpoint, key)?;
        }
        for (name, row) in &written.known {
            if before.get(name) != Some(row) {
                endpoint::set(tx, row)?;
            }
        }
        (written.taken, written.reached) = self.intake.take(tx, self.now)?;
        if self.expires {
            self.expire(tx, &mut written)?;
        }
        Ok(written)
    }

    /// Records one attempt. Gives the key whose first is to be released.
    fn settle<'s>(
        &'s self,
        tx: &WriteTx<'_>,
        one: &'s Ended,
        ended: &HashSet<DeliveryId>,
        written: &mut Written,
    ) -> Result<Option<(&'s str, &'s str)>> {
        let lane = self.lanes.get(&one.endpoint);
        let (Some(lane), Some(row)) = (lane, written.known.get_mut(&*one.endpoint)) else {
            return Ok(None); // It left the configuration; the delivery waits.
        };
        let Some(known) = lane.known(one.id) else {
            return Ok(None);
        };
        let (dice, terms) = (fastrand::f64(), lane.terms());
        let (fate, turn) = plan::judge(&one.reply, known.attempts, row, &terms, self.now, dice);
        let attempt = Attempt {
            status: one.reply.status(),
            error: fate.error(),
            answer: (!one.answer.is_empty()).then_some(&*one.answer),
            ..Attempt::at(self.now)
        };
        let mut key = known.order_key.map(|key| (&*one.endpoint, key));
        match &fate {
            Fate::Done => {
                // Somebody may have dropped it meanwhile; the endpoint has it all the same.
                delivery::done(tx, one.id, &attempt)?;
                key = key.filter(|(_, key)| !lane.has_more(key, ended));
                written.totals.done += 1;
            }
            Fate::Retry { at, counts, .. } => {
                delivery::retry(tx, one.id, &attempt, *at, *counts, one.body.as_ref())?;
                written.totals.failed += 1;
            }
            Fate::Park { error } => {
                written.totals.failed += 1;
                if delivery::park(tx, one.id, &attempt, true)? {
                    written.totals.parked += 1;
                    let parked = (one.id, Arc::clone(&one.endpoint), error.clone());
                    written.parked.push(parked);
                }
            }
        }
        if let Some(turn) = turn {
            if turn == Turn::Recovered {
                delivery::due_at_once(tx, &one.endpoint, self.now)?;
            }
            let error = row.last_error.clone().unwrap_or_default();
            let told = match known.is_own {
                true => &mut written.untold,
                false => &mut written.turns,
            };
            told.push((one.endpoint.to_string(), turn, error));
        }
        Ok(key)
    }

    /// Parks what is too old, also of endpoints that have left the configuration.
    fn expire(&self, tx: &WriteTx<'_>, written: &mut Written) -> Result<()> {
        let default = crate::config::Endpoint::default().max_age;
        for name in written.known.keys() {
            let lane = self.lanes.get(name.as_str());
            let max_age = lane.map_or(default, |lane| lane.settings.max_age);
            let max_age = i64::try_from(max_age.0.as_millis()).unwrap_or(i64::MAX);
            let limit = Timestamp(self.now.as_millis().saturating_sub(max_age));
            let parked = delivery::expire(tx, name, limit, self.now, EXPIRED_AT_ONCE)?;
            written.totals.parked += parked.len() as u64;
            if !parked.is_empty() {
                written.aged.push((name.clone(), parked));
            }
            let Some(lane) = lane else { continue };
            let latest = self.now.plus(lane.terms().longest_pause());
            let hurried = delivery::hurry(tx, name, latest, self.now)?;
            if hurried > 0 {
                log::warn!("{name}: the clock was set back; what it has put off is due now");
            }
        }
        Ok(())
    }
}

/// Where nobody was told that an endpoint is down, for an event of our own has opened its circuit,
/// nobody is told that it is back.
pub fn keep_news(written: &mut Written, told_down: &BTreeSet<String>) {
    let mut down = told_down.clone();
    for told in std::mem::take(&mut written.turns) {
        let is_news = match told.1 {
            Turn::Opened | Turn::Disabled => {
                down.insert(told.0.clone());
                true
            }
            Turn::Recovered => down.contains(&told.0),
        };
        match is_news {
            true => written.turns.push(told),
            false => written.untold.push(told),
        }
    }
}

/// What happened to endpoints is itself an event.
///
/// # Errors
/// That of the store.
pub fn tell(tx: &EventTx<'_>, agent: &str, turns: &[Told], now: Timestamp) -> Result<()> {
    for (name, turn, error) in turns {
        let correlation = correlation(agent, name);
        let kind = format!("{agent}.endpoint");
        let event = match turn {
            Turn::Opened => NewEvent::firing(now, agent, &kind, &correlation)
                .severity(Severity::Warning)
                .message(format!("endpoint {name} does not take deliveries: {error}")),
            Turn::Disabled => NewEvent::firing(now, agent, &kind, &correlation)
                .severity(Severity::Error)
                .message(format!("endpoint {name} is disabled: {error}")),
            Turn::Recovered => NewEvent::resolved(now, agent, &kind, &correlation)
                .message(format!("endpoint {name} takes deliveries again")),
        };
        event::insert(
            tx,
            &event
                .subject(name.as_str())
                .label("endpoint", name.as_str()),
        )?;
    }
    Ok(())
}

/// Ends the condition of endpoints that have left the configuration while they were down: no
/// attempt will tell of these.
///
/// # Errors
/// That of the store.
pub fn tell_left(
    tx: &EventTx<'_>,
    agent: &str,
    fingerprints: &BTreeMap<&str, String>,
    now: Timestamp,
) -> Result<()> {
    let mut left = BTreeMap::new();
    for row in endpoint::list(tx)? {
        if !fingerprints.contains_key(row.name.as_str()) {
            left.insert(row.name.clone(), row);
        }
    }
    for name in told_down(tx, agent, &left)? {
        let kind = format!("{agent}.endpoint");
        let event = NewEvent::resolved(now, agent, &kind, correlation(agent, &name))
            .message(format!("endpoint {name} has left the configuration"))
            .subject(name.as_str())
            .label("endpoint", name.as_str());
        event::insert(tx, &event)?;
    }
    Ok(())
}

/// The endpoints whose last event says that they take nothing.
///
/// # Errors
/// That of the store.
pub fn told_down(
    tx: &WriteTx<'_>,
    agent: &str,
    known: &BTreeMap<String, Endpoint>,
) -> Result<BTreeSet<String>> {
    let mut down = BTreeSet::new();
    for name in known.keys() {
        let last = event::latest_of(tx, &correlation(agent, name))?;
        if last.is_some_and(|event| event.state == event::State::Firing) {
            down.insert(name.clone());
        }
    }
    Ok(down)
}

fn correlation(agent: &str, endpoint: &str) -> String {
    format!("{agent}:endpoint:{endpoint}")
}

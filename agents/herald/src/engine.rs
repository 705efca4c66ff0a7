//! The heart of herald: record what has ended, take in what is new, send what is due. One turn is
//! at most one transaction that writes and one that reads, whatever the number of deliveries.

mod next;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roundsman_kit::clock::Timestamp;
use roundsman_store::endpoint::Endpoint;
use roundsman_store::{Result, Store, delivery};

use crate::config::Settings;
use crate::intake::{Intake, Surroundings};
use crate::known::meet;
use crate::lane::{Lane, Offer};
use crate::plan::Turn;
use crate::record::{Ended, Record, Told, keep_news, tell, tell_left, told_down};
use crate::sender::{Parcel, Post, Report, Sender};
use crate::trial::Trials;

pub use next::Next;
pub use totals::Totals;

/// How often deliveries that have become too old are looked for.
const EXPIRY: Duration = Duration::from_secs(60);

/// Everything but the waiting.
pub struct Engine {
    agent: &'static str,
    store: Store,
    sender: Sender,
    intake: Intake,
    lanes: BTreeMap<Arc<str>, Lane>,
    known: BTreeMap<String, Endpoint>,
    /// Endpoints whose last event says that they take nothing.
    told_down: BTreeSet<String>,
    /// Attempts that have ended and are not recorded yet.
    ended: Vec<Ended>,
    trials: Trials,
    expired_at: Option<Instant>,
    /// There are events that were not looked at yet.
    is_behind: bool,
    /// Since the start.
    pub totals: Totals,
}

impl Engine {
    /// An engine without endpoints; [`Engine::adopt`] brings them.
    pub fn new(agent: &'static str, store: Store, sender: Sender) -> Self {
        Self {
            agent,
            store,
            sender,
            intake: Intake::default(),
            lanes: BTreeMap::new(),
            known: BTreeMap::new(),
            told_down: BTreeSet::new(),
            ended: Vec::new(),
            trials: Trials::new(agent),
            expired_at: None,
            is_behind: true,
            totals: Totals::default(),
        }
    }

    /// Goes by these settings from now on. What is under way stays so.
    ///
    /// # Errors
    /// That of the store; then nothing has changed.
    pub fn adopt(
        &mut self,
        settings: &Settings,
        lanes: Vec<Lane>,
        around: Surroundings,
        now: Timestamp,
    ) -> Result<()> {
        let agent = self.agent;
        let fingerprints: BTreeMap<&str, String> = lanes
            .iter()
            .map(|lane| (&*lane.name, lane.fingerprint()))
            .collect();
        let posts: BTreeMap<&str, &Arc<Post>> =
            lanes.iter().map(|lane| (&*lane.name, &lane.post)).collect();
        let wanted = settings.triggers.values().flat_map(|one| &one.endpoints);
        let wanted: BTreeSet<&str> = wanted.map(String::as_str).collect();
        let (intake, known, down) = self.store.publish(|tx| {
            tell_left(tx, agent, &fingerprints, now)?;
            delivery::release_all(tx)?;
            let intake = Intake::load(agent, tx, (settings, &posts), around, now)?;
            let known = meet(tx, &fingerprints, &wanted, now)?;
            let down = told_down(tx, agent, &known)?;
            Ok((intake, known, down))
        })?;
        (self.intake, self.known, self.told_down) = (intake, known, down);
        self.is_behind = true;
        let mut former = std::mem::take(&mut self.lanes);
        for lane in lanes {
            let lane = match former.remove(&lane.name) {
                Some(mut same) => {
                    same.adopt(lane);
                    same
                }
                None => lane,
            };
            self.lanes.insert(Arc::clone(&lane.name), lane);
        }
        // What was made by the former settings and is not begun is made anew.
        for name in self.lanes.keys().chain(former.keys()) {
            self.sender.recall(name);
        }
        Ok(())
    }

    /// Forgets the positions of triggers that have left the files; `left_out` are still there,
    /// with a fault.
    ///
    /// # Errors
    /// That of the store.
    pub fn forget(&mut self, left_out: &BTreeSet<String>) -> Result<()> {
        let intake = &self.intake;
        self.store.write(|tx| intake.forget(tx, left_out))
    }

    /// Whether the sending thread answers.
    pub fn is_sound(&self) -> bool {
        self.sender.tick()
    }

    /// How many deliveries are in hand: under way, about to be, or not recorded yet.
    pub fn in_hand(&self) -> usize {
        self.lanes.values().map(Lane::in_hand).sum()
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.sender.in_flight()
    }

    /// Sends nothing more that is not under way.
    pub fn recall(&self) {
        for name in self.lanes.keys() {
            self.sender.recall(name);
        }
    }

    /// The store, for what is recorded beside deliveries.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// What is known of every endpoint.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.known.values()
    }

    /// One turn.
    ///
    /// # Errors
    /// That of the store. What had ended is kept, and recorded by the next turn.
    pub fn turn(&mut self, now: Timestamp) -> Result<Next> {
        self.collect(now);
        if self.has_work()? || self.intake.is_due(now) {
            self.is_behind = self.record(now)?;
        }
        self.lanes.values_mut().for_each(Lane::renew);
        self.trials
            .run(&mut self.store, &self.lanes, &self.sender, now)?;
        let mut next = match self.is_behind {
            true => Next::Now,
            false => Next::Idle,
        };
        if let Some(at) = self.intake.next_at() {
            next = next.sooner(at);
        }
        let offers = self.read_offers(now)?;
        for (name, offer) in offers {
            if let Some(at) = offer.next_at {
                next = next.sooner(at);
            }
            self.hand_over(&name, offer);
        }
        if !self.ended.is_empty() {
            next = Next::Now;
        }
        Ok(next)
    }

    /// Whether there is anything to write. A look costs microseconds, a transaction that writes
    /// makes others wait.
    fn has_work(&mut self) -> Result<bool> {
        let has_news = self.store.changed()?;
        Ok(has_news || self.is_behind || self.owes_record() || self.expires())
    }

    fn owes_record(&self) -> bool {
        let owes = |lane: &Lane| !lane.to_release().is_empty();
        !self.ended.is_empty() || self.lanes.values().any(owes)
    }

    fn expires(&self) -> bool {
        self.expired_at.is_none_or(|at| at.elapsed() >= EXPIRY)
    }

    /// Records what has ended and sends nothing more.
    ///
    /// # Errors
    /// As [`Engine::turn`].
    pub fn finish(&mut self, now: Timestamp) -> Result<()> {
        self.collect(now);
        if self.owes_record() {
            self.record(now)?;
        }
        Ok(())
    }

    fn collect(&mut self, now: Timestamp) {
        let mut well: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for report in self.sender.reports() {
            match report {
                Report::Ended(finished) => {
                    let ended = Ended::of(finished, now);
                    if ended.reply.is_success() {
                        *well.entry(Arc::clone(&ended.endpoint)).or_default() += 1;
                    }
                    self.ended.push(ended);
                }
                Report::Unsent {
                    endpoint,
                    ids,
                    faults,
                } => {
                    if let Some(lane) = self.lanes.get_mut(&endpoint) {
                        lane.gave_back(ids, faults);
                    }
                }
            }
        }
        for (name, count) in well {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.went_well(count);
                if lane.is_overfull() {
                    self.sender.recall(&name);
                }
            }
        }
    }

    /// Everything that a turn writes, in one transaction. True if more is to be written at once.
    fn record(&mut self, now: Timestamp) -> Result<bool> {
        let expires = self.expires();
        let writer = Record {
            lanes: &self.lanes,
            intake: &self.intake,
            ended: &self.ended,
            expires,
            now,
        };
        // Only what may become an event has to be on the disk before it is acted upon.
        let may_tell = self
            .ended
            .iter()
            .any(|one| writer.may_tell(one, &self.known))
            || self.intake.is_due(now);
        let written = if may_tell {
            self.store.publish(|tx| {
                let mut written = writer.write(tx)?;
                keep_news(&mut written, &self.told_down);
                tell(tx, self.agent, &written.turns, now)?;
                Ok(written)
            })?
        } else {
            self.store.write(|tx| writer.write(tx))?
        };
        if expires {
            self.expired_at = Some(Instant::now());
        }
        self.intake.settle(written.reached);
        for (name, row) in &written.known {
            let was_disabled = self
                .known
                .get(name)
                .is_some_and(|row| row.disabled_at.is_some());
            if row.disabled_at.is_some() && !was_disabled {
                self.sender.recall(&name.as_str().into());
            }
        }
        self.known = written.known;
        for one in self.ended.drain(..) {
            if let Some(lane) = self.lanes.get_mut(&one.endpoint) {
                lane.end(one.id);
            }
        }
        for lane in self.lanes.values_mut() {
            lane.released();
        }
        self.totals.done += written.totals.done;
        self.totals.failed += written.totals.failed;
        self.totals.parked += written.totals.parked;
        self.totals.looped += written.taken.looped;
        self.totals.untold += written.untold.len() as u64;
        crate::report::turns(&written.untold);
        for (name, turn, _) in &written.turns {
            match turn {
                Turn::Opened | Turn::Disabled => self.told_down.insert(name.clone()),
                Turn::Recovered => self.told_down.remove(name),
            };
        }
        crate::report::turns(&written.turns);
        crate::report::parked(&written.parked);
        crate::report::aged(&written.aged);
        let has_told = self.tell_returned(now)?;
        // Events of our own are no news from others.
        Ok(written.taken.is_more || !written.turns.is_empty() || has_told)
    }

    /// Ends the condition of endpoints that somebody has enabled, or given other settings: no
    /// attempt tells of these. Its deliveries are due at once. True if there were any.
    fn tell_returned(&mut self, now: Timestamp) -> Result<bool> {
        let is_well = |name: &String| {
            let row = self.known.get(name);
            row.is_none_or(|row| row.opened_at.is_none() && row.disabled_at.is_none())
        };
        let back = self.told_down.iter().filter(|name| is_well(name));
        let turns: Vec<Told> = back
            .map(|name| (name.clone(), Turn::Recovered, String::new()))
            .collect();
        if turns.is_empty() {
            return Ok(false);
        }
        self.store.publish(|tx| {
            for (name, ..) in &turns {
                delivery::due_at_once(tx, name, now)?;
            }
            tell(tx, self.agent, &turns, now)
        })?;
        for (name, ..) in &turns {
            self.told_down.remove(name);
        }
        crate::report::turns(&turns);
        Ok(true)
    }

    fn read_offers(&mut self, now: Timestamp) -> Result<Vec<(Arc<str>, Offer)>> {
        let (lanes, known) = (&self.lanes, &self.known);
        self.store.read(|tx| {
            let with_known = lanes
                .values()
                .filter_map(|lane| Some((lane, known.get(&*lane.name)?)));
            with_known
                .map(|(lane, known)| Ok((Arc::clone(&lane.name), lane.offer(tx, known, now)?)))
                .collect()
        })
    }

    fn hand_over(&mut self, name: &Arc<str>, offer: Offer) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        let post = Arc::clone(&lane.post);
        let mut parcels = Vec::with_capacity(offer.candidates.len());
        for mut candidate in offer.candidates {
            let is_own = candidate.is_own(self.agent);
            if let Some(event) = &mut candidate.event {
                self.intake.pass(event);
            }
            let content = post.composer.content(&candidate);
            let delivery = candidate.delivery;
            lane.begin(&delivery, content.as_ref().ok(), is_own);
            match content {
                Ok(content) => parcels.push(Parcel {
                    id: delivery.id,
                    uid: delivery.uid,
                    order_key: delivery.order_key,
                    content,
                }),
                Err(reply) => self.ended.push(Ended {
                    id: delivery.id,
                    endpoint: Arc::clone(name),
                    reply,
                    answer: Vec::new(),
                    body: None,
                }),
            }
        }
        if !parcels.is_empty() {
            self.sender.hand(&post, parcels, lane.faults);
        }
    }
}

//! One endpoint: its settings, its connections, and what the sending thread has in hand for it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::secret::Credentials;
use roundsman_store::delivery::{self, Delivery, DeliveryId};
use roundsman_store::endpoint;
use roundsman_store::event::{self, Event};
use roundsman_store::{ReadTx, Result};

use crate::compose::Content;
use crate::config::Endpoint;
use crate::plan::{self, Gate, Terms};
use crate::renewal::Renewal;
use crate::sender::{BATCH, Post};

/// The most deliveries of one endpoint that are in hand, and the most bytes of their bodies.
const DEEPEST: usize = 1024;
const BYTES: usize = 1 << 20;

/// How many times what has just ended is wanted in hand next: enough that the thread does not run
/// dry while a batch is recorded, and twice that, so that a fast endpoint gets more and more.
const AHEAD: usize = 8;

/// An endpoint that deliveries can be sent to.
pub struct Lane {
    /// Its name.
    pub name: Arc<str>,
    /// Its settings.
    pub settings: Endpoint,
    /// What the sending thread needs of it.
    pub post: Arc<Post>,
    renewal: Renewal,
    /// How many reports of unsent ones were seen.
    pub faults: u64,
    hand: BTreeMap<DeliveryId, InHand>,
    /// What is in hand by its key.
    keys: HashMap<String, BTreeSet<DeliveryId>>,
    /// Keys of which nothing is in hand any more though something may be due: the store is to be
    /// told that its first may go.
    to_release: BTreeSet<String>,
    bytes: usize,
    depth: usize,
}

/// A delivery between its reading and its record.
struct InHand {
    is_own: bool,
    attempts: u32,
    order_key: Option<String>,
    bytes: usize,
}

/// What the record of an attempt needs to know.
pub struct Known<'l> {
    /// Attempts before this one.
    pub attempts: u32,
    /// Its key.
    pub order_key: Option<&'l str>,
    /// It carries an event of our own: what comes of it is no event.
    pub is_own: bool,
}

/// A delivery with its event.
pub struct Candidate {
    /// The delivery.
    pub delivery: Delivery,
    /// The event; none for a group, and for one whose event is gone.
    pub event: Option<Event>,
}

impl Candidate {
    /// Whether it carries an event of `agent`, alone or in a digest.
    pub fn is_own(&self, agent: &str) -> bool {
        self.delivery.is_own || self.event.as_ref().is_some_and(|one| one.agent == agent)
    }
}

/// What an endpoint may be sent now, and when to look again if nothing happens before.
#[derive(Default)]
pub struct Offer {
    /// What may be sent, in order for each key.
    pub candidates: Vec<Candidate>,
    /// When more becomes due.
    pub next_at: Option<Timestamp>,
}

impl Lane {
    /// A lane with nothing in hand.
    pub fn new(
        name: &str,
        host: &str,
        settings: &Endpoint,
        (paths, credentials): (&Paths, &Credentials),
    ) -> Self {
        let name: Arc<str> = name.into();
        let renewal = Renewal::new(settings, host, paths, credentials);
        let post = renewal.post(&name, settings);
        Self {
            name,
            settings: settings.clone(),
            post: Arc::new(post),
            renewal,
            faults: 0,
            hand: BTreeMap::new(),
            keys: HashMap::new(),
            to_release: BTreeSet::new(),
            bytes: 0,
            depth: settings.concurrency,
        }
    }

    /// What its settings are, in a few characters: a changed endpoint gets another chance.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::json!(self.settings).to_string();
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let bytes = digest.as_ref()[..8].iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a judgement of its attempts goes by.
    pub fn terms(&self) -> Terms {
        Terms {
            schedule: self.settings.schedule.iter().map(|span| span.0).collect(),
            tries_if_refused: self.settings.tries_if_refused,
            max_retry_after: self.settings.max_retry_after.0,
        }
    }

    /// Goes by other settings; what is in hand stays so.
    pub fn adopt(&mut self, other: Self) {
        self.settings = other.settings;
        self.post = other.post;
        self.renewal = other.renewal;
        self.depth = other.depth;
    }

    /// Sends with other connections, if the files behind them have changed.
    pub fn renew(&mut self) {
        if let Some(post) = self.renewal.renewed(&self.post, &self.settings) {
            self.post = Arc::new(post);
        }
    }

    /// Reads what may be sent now.
    ///
    /// # Errors
    /// That of the store.
    pub fn offer(
        &self,
        tx: &ReadTx<'_>,
        known: &endpoint::Endpoint,
        now: Timestamp,
    ) -> Result<Offer> {
        let mut offer = Offer::default();
        match plan::gate(known, now) {
            Gate::Shut => {}
            Gate::Until(at) => offer.next_at = Some(at),
            Gate::Probe if self.hand.is_empty() => {
                let oldest = delivery::oldest_due(tx, &self.name, now)?;
                let probe = oldest.map(|delivery| with_event(tx, delivery));
                offer.candidates.extend(probe.transpose()?);
            }
            Gate::Probe => {}
            Gate::Open => self.fill(tx, now, &mut offer)?,
        }
        Ok(offer)
    }

    /// Fills the hand once a batch has gone, or half of what it may hold: the first of each key,
    /// and then what follows them.
    fn fill(&self, tx: &ReadTx<'_>, now: Timestamp, offer: &mut Offer) -> Result<()> {
        let room = self.depth.saturating_sub(self.hand.len());
        if room < (self.depth / 2).clamp(1, BATCH) || self.bytes >= BYTES {
            return Ok(());
        }
        let mut fresh = HashMap::new();
        // What is in hand is still due in the store.
        for id in delivery::heads(tx, &self.name, now, self.hand.len() + room)? {
            if self.hand.contains_key(&id) || offer.candidates.len() == room {
                continue;
            }
            let Some(delivery) = delivery::get(tx, id)? else {
                continue;
            };
            // One that was put back may stand before others of its key, which are on their way.
            if let Some(key) = &delivery.order_key {
                if self.keys.contains_key(key) || fresh.contains_key(key) {
                    continue;
                }
                fresh.insert(key.clone(), id);
            }
            offer.candidates.push(with_event(tx, delivery)?);
        }
        let in_hand = self
            .keys
            .iter()
            .filter_map(|(key, ids)| Some((key, *ids.last()?)));
        let last: Vec<_> = in_hand
            .chain(fresh.iter().map(|(key, id)| (key, *id)))
            .collect();
        self.follow(tx, now, &last, room, offer)?;
        if offer.candidates.len() < room {
            offer.next_at = delivery::next_at(tx, &self.name, now)?;
        }
        Ok(())
    }

    /// Takes what follows under the keys that are in hand, until there is no more room.
    fn follow(
        &self,
        tx: &ReadTx<'_>,
        now: Timestamp,
        last: &[(&String, DeliveryId)],
        room: usize,
        offer: &mut Offer,
    ) -> Result<()> {
        let each = (room - offer.candidates.len()) / last.len().max(1) + 1;
        for (key, after) in last {
            let left = room - offer.candidates.len();
            if left == 0 {
                break;
            }
            let of = (&*self.name, key.as_str());
            for delivery in delivery::following(tx, of, *after, now, each.min(left))? {
                offer.candidates.push(with_event(tx, delivery)?);
            }
        }
        Ok(())
    }

    /// The delivery is in hand from now on.
    pub fn begin(&mut self, delivery: &Delivery, content: Option<&Content>, is_own: bool) {
        let one = InHand {
            is_own,
            attempts: delivery.attempts,
            order_key: delivery.order_key.clone(),
            bytes: content.map_or(0, |content| content.body.bytes.len()),
        };
        if let Some(key) = &one.order_key {
            self.keys
                .entry(key.clone())
                .or_default()
                .insert(delivery.id);
        }
        self.bytes += one.bytes;
        self.hand.insert(delivery.id, one);
    }

    /// The delivery's attempt is recorded, or it was not begun.
    pub fn end(&mut self, id: DeliveryId) {
        let Some(one) = self.hand.remove(&id) else {
            return;
        };
        self.bytes -= one.bytes;
        let Some(key) = one.order_key else { return };
        if let Entry::Occupied(mut ids) = self.keys.entry(key) {
            ids.get_mut().remove(&id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }

    /// So many have ended well at once.
    pub fn went_well(&mut self, count: usize) {
        let wanted = (count * AHEAD).max(self.depth / 2);
        self.depth = wanted.clamp(self.settings.concurrency, DEEPEST);
    }

    /// More is in hand than the endpoint takes within moments: it has become slow. What is in hand
    /// goes out whatever becomes of it in the store, so it is given back.
    pub fn is_overfull(&self) -> bool {
        self.hand.len() > self.depth * AHEAD
    }

    /// What was not begun is back: something has failed.
    pub fn gave_back(&mut self, ids: Vec<DeliveryId>, faults: u64) {
        self.faults = faults;
        self.depth = self.settings.concurrency;
        for id in ids {
            let key = self.hand.get(&id).and_then(|one| one.order_key.clone());
            self.end(id);
            self.to_release
                .extend(key.filter(|key| !self.keys.contains_key(key)));
        }
    }

    /// Whether of a key more is in hand than what has ended. Until then nothing of it is sought in
    /// the store, which need not be told which is its first.
    pub fn has_more(&self, key: &str, ended: &HashSet<DeliveryId>) -> bool {
        let ids = self.keys.get(key);
        ids.is_some_and(|ids| ids.iter().any(|id| !ended.contains(id)))
    }

    /// Keys whose first is to be released with the next record.
    pub fn to_release(&self) -> &BTreeSet<String> {
        &self.to_release
    }

    /// They are released.
    pub fn released(&mut self) {
        self.to_release.clear();
    }

    /// What is known of a delivery that is in hand.
    pub fn known(&self, id: DeliveryId) -> Option<Known<'_>> {
        self.hand.get(&id).map(|one| Known {
            attempts: one.attempts,
            order_key: one.order_key.as_deref(),
            is_own: one.is_own,
        })
    }

    /// How many are in hand.
    pub fn in_hand(&self) -> usize {
        self.hand.len()
    }
}

fn with_event(tx: &ReadTx<'_>, delivery: Delivery) -> Result<Candidate> {
    let event = match delivery.event {
        Some(id) => event::by_id(tx, id)?,
        None => None,
    };
    Ok(Candidate { delivery, event })
}

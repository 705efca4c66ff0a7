//! One endpoint: its settings, its connections, and what is under way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::secret::Credentials;
use roundsman_store::delivery::{self, Body, Delivery, DeliveryId};
use roundsman_store::endpoint;
use roundsman_store::event::{self, Event};
use roundsman_store::{ReadTx, Result};

use crate::client::Client;
use crate::compose::Composer;
use crate::config::Endpoint;
use crate::plan::{self, Gate, Terms};

/// An endpoint that deliveries can be sent to.
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: Endpoint,
    /// What makes its requests.
    pub composer: Composer,
    /// What sends them; `Err` where its TLS settings cannot be used, which may pass.
    pub client: std::result::Result<Arc<Client>, String>,
    under_way: BTreeMap<DeliveryId, UnderWay>,
}

/// A delivery between its reading and its record.
pub struct UnderWay {
    /// Attempts before this one.
    pub attempts: u32,
    /// What is sent, once it could be made.
    pub body: Option<Body>,
    /// It carries an event of our own: what comes of it is no event.
    pub is_own: bool,
    order_key: Option<String>,
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
    /// What may be sent.
    pub candidates: Vec<Candidate>,
    /// When more becomes due.
    pub next_at: Option<Timestamp>,
}

impl Lane {
    /// A lane with nothing under way.
    pub fn new(name: &str, settings: &Endpoint, paths: &Paths, credentials: &Credentials) -> Self {
        let client = crate::compose::client(settings, paths, credentials);
        Self {
            name: name.to_owned(),
            composer: Composer::new(name, settings, credentials),
            client: client.map(Arc::new),
            settings: settings.clone(),
            under_way: BTreeMap::new(),
        }
    }

    /// What a judgement of its attempts goes by.
    pub fn terms(&self) -> Terms {
        Terms {
            schedule: self.settings.schedule.iter().map(|span| span.0).collect(),
            tries_if_refused: self.settings.tries_if_refused,
            max_retry_after: self.settings.max_retry_after.0,
        }
    }

    /// Goes by other settings; what is under way stays.
    pub fn adopt(&mut self, other: Self) {
        let under_way = std::mem::take(&mut self.under_way);
        *self = Self { under_way, ..other };
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
        let deliveries = match plan::gate(known, now) {
            Gate::Shut => return Ok(offer),
            Gate::Until(at) => {
                offer.next_at = Some(at);
                return Ok(offer);
            }
            Gate::Probe if self.under_way.is_empty() => {
                Vec::from_iter(delivery::oldest_due(tx, &self.name, now)?)
            }
            Gate::Probe => return Ok(offer),
            Gate::Open => {
                let room = self.room();
                if room == 0 {
                    return Ok(offer);
                }
                // What is under way is still due in the store.
                let heads = delivery::heads(tx, &self.name, now, self.under_way.len() + room)?;
                let mut free = self.free(heads);
                free.truncate(room);
                if free.len() < room {
                    offer.next_at = delivery::next_at(tx, &self.name, now)?;
                }
                free
            }
        };
        for delivery in deliveries {
            let event = match delivery.event {
                Some(id) => event::by_id(tx, id)?,
                None => None,
            };
            offer.candidates.push(Candidate { delivery, event });
        }
        Ok(offer)
    }

    fn room(&self) -> usize {
        self.settings
            .concurrency
            .saturating_sub(self.under_way.len())
    }

    /// Those that are not under way, and whose key is not: one that was put back may overtake.
    fn free(&self, heads: Vec<Delivery>) -> Vec<Delivery> {
        let mut keys: BTreeSet<String> = self
            .under_way
            .values()
            .filter_map(|one| one.order_key.clone())
            .collect();
        heads
            .into_iter()
            .filter(|one| !self.under_way.contains_key(&one.id))
            .filter(|one| one.order_key.clone().is_none_or(|key| keys.insert(key)))
            .collect()
    }

    /// The delivery is under way from now on.
    pub fn begin(&mut self, delivery: &Delivery, body: Option<Body>, is_own: bool) {
        let one = UnderWay {
            is_own,
            attempts: delivery.attempts,
            body,
            order_key: delivery.order_key.clone(),
        };
        self.under_way.insert(delivery.id, one);
    }

    /// The delivery's attempt has ended and is recorded.
    pub fn end(&mut self, id: DeliveryId) {
        self.under_way.remove(&id);
    }

    /// What is known of a delivery that is under way.
    pub fn under_way(&self, id: DeliveryId) -> Option<&UnderWay> {
        self.under_way.get(&id)
    }

    /// How many are under way.
    pub fn busy(&self) -> usize {
        self.under_way.len()
    }
}

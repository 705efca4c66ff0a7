//! What one endpoint is still to be sent, in the thread that sends.

use std::collections::{HashMap, VecDeque};

use roundsman_store::delivery::DeliveryId;

use super::Parcel;

/// So many arrivals are recorded at once, and as many more are handed over meanwhile: few enough
/// that the thread does not run dry, and enough that a transaction is worth it.
pub const BATCH: usize = 128;

/// A queue in which what shares a key goes one after the other.
#[derive(Default)]
pub struct Line {
    ready: VecDeque<Parcel>,
    /// What waits, by its key. A key is here while one of its parcels is ready or under way.
    behind: HashMap<String, VecDeque<Parcel>>,
    waiting: usize,
    /// How many have arrived since the main loop was woken.
    arrived: usize,
    /// How often parcels were given back.
    pub faults: u64,
    /// How many tasks take from it.
    pub workers: usize,
}

impl Line {
    /// Puts parcels at the end.
    pub fn add(&mut self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            let chain = parcel
                .order_key
                .as_ref()
                .and_then(|key| self.behind.get_mut(key));
            match chain {
                Some(chain) => {
                    chain.push_back(parcel);
                    self.waiting += 1;
                }
                None => self.make_ready(parcel),
            }
        }
    }

    fn make_ready(&mut self, parcel: Parcel) {
        if let Some(key) = &parcel.order_key {
            self.behind.entry(key.clone()).or_default();
        }
        self.ready.push_back(parcel);
    }

    /// How many were not begun.
    pub fn left(&self) -> usize {
        self.ready.len() + self.waiting
    }

    /// How many could be sent now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next; its key is busy until [`Line::went_well`] or [`Line::drop_key`].
    pub fn take(&mut self) -> Option<Parcel> {
        self.ready.pop_front()
    }

    /// Whether that makes enough arrivals to be worth a transaction.
    pub fn is_batch(&mut self) -> bool {
        self.arrived += 1;
        let is_batch = self.arrived >= BATCH;
        if is_batch {
            self.arrived = 0;
        }
        is_batch
    }

    /// The parcel of this key has arrived, so the next may go.
    pub fn went_well(&mut self, key: Option<&str>) {
        let Some(key) = key else { return };
        match self.behind.get_mut(key).and_then(VecDeque::pop_front) {
            Some(next) => {
                self.waiting -= 1;
                self.ready.push_back(next);
            }
            None => {
                self.behind.remove(key);
            }
        }
    }

    /// The parcel of this key has failed: what follows it cannot go.
    pub fn drop_key(&mut self, key: Option<&str>) -> Vec<DeliveryId> {
        self.faults += 1;
        let chain = key.and_then(|key| self.behind.remove(key));
        let ids: Vec<_> = chain.into_iter().flatten().map(|one| one.id).collect();
        self.waiting -= ids.len();
        ids
    }

    /// Gives up everything that was not begun. Keys of what is under way stay busy.
    pub fn drain(&mut self) -> Vec<DeliveryId> {
        self.faults += 1;
        let mut ids = Vec::with_capacity(self.left());
        for parcel in self.ready.drain(..) {
            ids.push(parcel.id);
            let chain = parcel.order_key.and_then(|key| self.behind.remove(&key));
            ids.extend(chain.into_iter().flatten().map(|one| one.id));
        }
        for chain in self.behind.values_mut() {
            ids.extend(chain.drain(..).map(|one| one.id));
        }
        self.waiting = 0;
        ids
    }
}

#[cfg(test)]
mod tests;

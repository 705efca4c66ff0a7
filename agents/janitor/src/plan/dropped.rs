//! What was dropped before everybody had it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// More names than this are counted together.
const MOST_NAMES: usize = 100;

/// Where those beyond are counted.
const OTHERS: &str = "(others)";

/// Counts of what was dropped unread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Events, by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Events, by reader that has not seen them.
    pub readers: BTreeMap<String, u64>,
    /// Deliveries that were not done, by endpoint.
    pub deliveries: BTreeMap<String, u64>,
    /// How many of all these were dropped because the database was too large.
    pub by_size: u64,
}

impl Dropped {
    /// Nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.deliveries.is_empty()
    }

    /// How many events and deliveries.
    pub fn total(&self) -> u64 {
        self.events() + self.deliveries.values().sum::<u64>()
    }

    /// How many events.
    pub fn events(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// One more event of this kind, which `readers` have not seen.
    pub fn event<'a>(&mut self, kind: &str, readers: impl IntoIterator<Item = &'a str>) {
        count(&mut self.kinds, kind, 1);
        for reader in readers {
            count(&mut self.readers, reader, 1);
        }
    }

    /// One more delivery to this endpoint.
    pub fn delivery(&mut self, endpoint: &str) {
        count(&mut self.deliveries, endpoint, 1);
    }

    /// These as well.
    pub fn add(&mut self, other: &Self) {
        for (into, from) in [
            (&mut self.kinds, &other.kinds),
            (&mut self.readers, &other.readers),
            (&mut self.deliveries, &other.deliveries),
        ] {
            for (name, more) in from {
                count(into, name, *more);
            }
        }
        self.by_size += other.by_size;
    }
}

fn count(into: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    let is_room = into.len() < MOST_NAMES || into.contains_key(name);
    let name = if is_room { name } else { OTHERS };
    *into.entry(name.to_owned()).or_default() += more;
}

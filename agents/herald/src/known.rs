//! What is known of endpoints, in line with the configuration.

use std::collections::{BTreeMap, BTreeSet};

use roundsman_kit::clock::Timestamp;
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::{Result, WriteTx};

/// Brings table `endpoint` in line with the configuration: those that are there, and those that
/// only triggers name, so that what is owed to these is seen and grows old as well.
///
/// # Errors
/// That of the store.
pub fn meet(
    tx: &WriteTx<'_>,
    fingerprints: &BTreeMap<&str, String>,
    wanted: &BTreeSet<&str>,
    now: Timestamp,
) -> Result<BTreeMap<String, Endpoint>> {
    let mut known = BTreeMap::new();
    for mut row in endpoint::list(tx)? {
        match fingerprints.get(row.name.as_str()) {
            Some(same) if *same == row.fingerprint && row.gone_at.is_none() => {}
            Some(changed) => {
                row = Endpoint {
                    last_success: row.last_success,
                    ..Endpoint::new(row.name, changed)
                };
                endpoint::set(tx, &row)?;
            }
            None => {
                if row.gone_at.is_none() {
                    row.gone_at = Some(now);
                    endpoint::set(tx, &row)?;
                }
                let is_wanted = wanted.contains(row.name.as_str());
                if !is_wanted && endpoint::forget(tx, &row.name)? {
                    continue;
                }
            }
        }
        known.insert(row.name.clone(), row);
    }
    for (name, fingerprint) in fingerprints {
        if !known.contains_key(*name) {
            let row = Endpoint::new(*name, fingerprint);
            endpoint::set(tx, &row)?;
            known.insert((*name).to_owned(), row);
        }
    }
    for name in wanted {
        if !known.contains_key(*name) {
            let row = Endpoint {
                gone_at: Some(now),
                ..Endpoint::new(*name, "")
            };
            endpoint::set(tx, &row)?;
            known.insert((*name).to_owned(), row);
        }
    }
    Ok(known)
}

//! What the server did, readable from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

use crate::refusal::Refusal;

/// The statuses that are counted one by one; any other is counted as `other`.
pub const STATUSES: [u16; 24] = [
    200, 201, 202, 204, 301, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411, 413, 415, 417, 422,
    429, 431, 500, 501, 503,
];

const REFUSALS: usize = Refusal::ALL.len();

/// Counters of one server. Clones read the same ones.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    open: AtomicU64,
    answering: AtomicU64,
    accepted: AtomicU64,
    accept_faults: AtomicU64,
    refused: [AtomicU64; REFUSALS],
    answered: [AtomicU64; STATUSES.len()],
    answered_other: AtomicU64,
}

/// The counters at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections open now.
    pub open: u64,
    /// Requests whose answer is being made now.
    pub answering: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Failed `accept` calls, descriptors running out for one.
    pub accept_faults: u64,
    /// Requests and connections that the server refused or cut off, by reason: every reason of
    /// [`Refusal::ALL`], in its order.
    pub refused: [(Refusal, u64); REFUSALS],
    /// Responses begun, by status: every status of [`STATUSES`], in its order.
    pub answered: [(u16, u64); STATUSES.len()],
    /// Responses with any other status.
    pub answered_other: u64,
}

impl Snapshot {
    /// How often the server refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].1
    }

    /// Responses begun with this status, if it is one that is counted by itself.
    pub fn answered(&self, status: u16) -> u64 {
        let known = self.answered.iter().find(|(known, _)| *known == status);
        known.map_or(0, |(_, count)| *count)
    }
}

impl Counters {
    /// Reads all counters. Each is exact; together they are not of one instant.
    pub fn snapshot(&self) -> Snapshot {
        let cells = &*self.0;
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Snapshot {
            open: get(&cells.open),
            answering: get(&cells.answering),
            accepted: get(&cells.accepted),
            accept_faults: get(&cells.accept_faults),
            refused: Refusal::ALL.map(|refusal| (refusal, get(&cells.refused[refusal as usize]))),
            answered: std::array::from_fn(|at| (STATUSES[at], get(&cells.answered[at]))),
            answered_other: get(&cells.answered_other),
        }
    }

    pub(crate) fn set_open(&self, open: usize) {
        self.0.open.store(open as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_answering(&self, answering: usize) {
        self.0.answering.store(answering as u64, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept_fault(&self) {
        self.0.accept_faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.0.refused[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let at = STATUSES.binary_search(&status.as_u16());
        let cell = at.map_or(&self.0.answered_other, |at| &self.0.answered[at]);
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_status_has_its_own_counter() {
        let counters = Counters::default();
        for refusal in Refusal::ALL {
            counters.refused(refusal);
        }
        for status in STATUSES.into_iter().chain([299, 599]) {
            counters.answered(StatusCode::from_u16(status).unwrap());
        }
        let seen = counters.snapshot();
        assert!(
            Refusal::ALL
                .iter()
                .all(|refusal| seen.refused(*refusal) == 1)
        );
        assert!(STATUSES.iter().all(|status| seen.answered(*status) == 1));
        assert_eq!(seen.answered_other, 2);
        let labels: std::collections::HashSet<_> =
            Refusal::ALL.iter().map(|refusal| refusal.label()).collect();
        assert_eq!(labels.len(), REFUSALS);
    }
}

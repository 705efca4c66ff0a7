//! The way back: what ended is collected, and the main loop is woken when that is worth a
//! transaction.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use roundsman_kit::Knock;

use super::Report;

/// What was not seen by the main loop yet; clones share it.
#[derive(Clone)]
pub struct Reports {
    kept: Arc<Mutex<Vec<Report>>>,
    knock: Knock,
}

impl Reports {
    /// None yet.
    pub fn new(knock: Knock) -> Self {
        Self {
            kept: Arc::default(),
            knock,
        }
    }

    /// Adds one, without waking anybody.
    pub fn add(&self, report: Report) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(report);
    }

    /// Wakes the main loop.
    pub fn knock(&self) {
        self.knock.knock();
    }

    /// All, in their order.
    pub fn take(&self) -> Vec<Report> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut kept)
    }
}

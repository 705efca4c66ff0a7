//! Records a run in the shared store.
//!
//! Runs can overlap: a person starts one while the timer does. So a run judges what the store
//! holds at the moment of writing, in the transaction that changes it.

use std::collections::BTreeSet;

use roundsman_kit::Context;
use roundsman_kit::clock::Timestamp;
use roundsman_store::condition::Change;
use roundsman_store::event;
use roundsman_store::sample::{self, Sample};
use roundsman_store::{EventTx, Store, WriteTx};

use crate::config::Thresholds;
use crate::events::event_of;
use crate::gather::Round;
use crate::plan::{self, Moment};
use crate::previous::{self, Previous};

/// What was recorded.
pub struct Recorded {
    /// What is left for the next run.
    pub after: Previous,
    /// The conditions that began, changed or ended.
    pub changes: Vec<Change>,
    /// Collectors that failed, and did not in the run before.
    pub newly_failed: Vec<String>,
    /// Collectors that failed in the run before, and do not now.
    pub recovered: Vec<String>,
    /// Samples that were not stored, because there was one of that time.
    pub refused: usize,
    /// That is so because the clock was set back, and the run before had none.
    pub is_newly_refusing: bool,
}

/// Records the run, in one transaction. Only events make it one that waits for the disk: what
/// the store held `before` the run tells whether there will be any, unless another run comes between.
pub fn record(
    ctx: &Context,
    store: &mut Store,
    started: Timestamp,
    round: &Round,
    thresholds: &Thresholds,
    before: Previous,
) -> roundsman_store::Result<Recorded> {
    let run = Run {
        unit: ctx.unit(),
        host: ctx.host(),
        started,
        round,
        thresholds,
    };
    let is_quiet = run.judge(before).changes.is_empty();
    if is_quiet && let Some(recorded) = store.write(|tx| run.quietly(tx))? {
        return Ok(recorded);
    }
    store.publish(|tx| run.loudly(tx))
}

struct Run<'a> {
    unit: String,
    host: String,
    started: Timestamp,
    round: &'a Round,
    thresholds: &'a Thresholds,
}

impl Run<'_> {
    /// Without events; nothing is written when another run has made some necessary.
    fn quietly(&self, tx: &WriteTx<'_>) -> roundsman_store::Result<Option<Recorded>> {
        let judged = self.judge(previous::read(tx, &self.unit)?.0);
        if judged.changes.is_empty() {
            self.rows(tx, judged).map(Some)
        } else {
            Ok(None)
        }
    }

    fn loudly(&self, tx: &EventTx<'_>) -> roundsman_store::Result<Recorded> {
        let mut judged = self.judge(previous::read(tx, &self.unit)?.0);
        let mut inserted = Vec::new();
        for change in judged.changes {
            // One that is known already was told when it was inserted.
            let event = event_of(&change, &self.host, self.started);
            if event::insert(tx, &event)?.is_some() {
                inserted.push(change);
            }
        }
        judged.changes = inserted;
        self.rows(tx, judged)
    }

    /// What this run makes of what the runs before have left.
    fn judge(&self, before: Previous) -> Recorded {
        let round = self.round;
        let boots = before.counters.as_ref().zip(round.counters.as_ref());
        let moment = Moment {
            now: self.started,
            uptime_ms: round.uptime_ms,
            is_same_boot: boots.is_some_and(|(before, now)| before.boot_id == now.boot_id),
        };
        let (conditions, changes) =
            plan::judge(&before.conditions, &round.seen, self.thresholds, moment);
        let names = round.failed.keys().map(|name| (*name).to_owned());
        let failed: BTreeSet<String> = names.collect();
        let mut failures = before.failures;
        for name in &failed {
            *failures.entry(name.clone()).or_default() += 1;
        }
        // A run that began earlier and ends later must not take the counters back.
        let is_overtaken = boots.is_some_and(|(before, now)| now.is_older(before));
        let counters = match is_overtaken {
            true => before.counters,
            false => round.counters.clone(),
        };
        Recorded {
            newly_failed: failed.difference(&before.failed).cloned().collect(),
            recovered: before.failed.difference(&failed).cloned().collect(),
            refused: 0,
            is_newly_refusing: false,
            changes,
            after: Previous {
                counters,
                conditions,
                failures,
                failed,
                ..before
            },
        }
    }

    fn rows(&self, tx: &WriteTx<'_>, judged: Recorded) -> roundsman_store::Result<Recorded> {
        let mut recorded = judged;
        let at = self.started.to_second();
        for (kind, payload) in &self.round.samples {
            let sample = Sample {
                at,
                host: self.host.clone(),
                os: self.round.os.clone(),
                kind: (*kind).to_owned(),
                payload: payload.clone(),
            };
            recorded.refused += usize::from(!sample::insert(tx, &sample)?);
        }
        // A second run for the same second has nothing to add, and that is no loss.
        let is_repeated = recorded.after.at.map(Timestamp::to_second) == Some(at);
        let is_refusing = recorded.refused > 0 && !is_repeated;
        let after = &mut recorded.after;
        recorded.is_newly_refusing = is_refusing && !after.is_refusing;
        after.is_refusing = is_refusing;
        if is_refusing {
            after.samples_refused += recorded.refused as u64;
        }
        after.at = Some(self.started);
        previous::write(tx, &self.unit, after, self.started)?;
        Ok(recorded)
    }
}

//! The last run of the hook or of the sweep, for `roundsman status`. Both are the unit `failure`
//! there: a row for each unit of the host that ever failed would tell nobody anything.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::{Agent, Context, error};
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::{Location, Role, Store, WriteTx};
use serde_json::{Map, Value};

/// A run that came to its end, whole or in part.
#[derive(Debug)]
pub struct Done {
    /// When it began.
    pub started: Timestamp,
    /// Whether a part of it failed.
    pub is_degraded: bool,
    /// One sentence for a person.
    pub sentence: String,
    /// What it did, in numbers.
    pub figures: Vec<(&'static str, u64)>,
}

/// Records it.
pub fn record(ctx: &Context, tx: &WriteTx<'_>, done: &Done) -> roundsman_store::Result<()> {
    let figures = done.figures.iter();
    let figures: Map<String, Value> = figures
        .map(|(name, count)| ((*name).to_owned(), (*count).into()))
        .collect();
    let cycle = NewCycle {
        unit: ctx.agent(),
        started: done.started,
        finished: ctx.clock().now(),
        outcome: if done.is_degraded {
            Outcome::Degraded
        } else {
            Outcome::Ok
        },
        class: None,
        sentence: &done.sentence,
        figures,
    };
    cycle::record(tx, &cycle)
}

/// Records a run that was given up, where the store can be reached at all.
pub fn record_failed(ctx: &Context, agent: &Agent, started: Timestamp, failure: &anyhow::Error) {
    let sentence = format!("{failure:#}");
    let cycle = NewCycle {
        unit: ctx.agent(),
        started,
        finished: ctx.clock().now(),
        outcome: Outcome::Failed,
        class: Some(error::class_of(failure, agent.classifiers)),
        sentence: &sentence,
        figures: Map::new(),
    };
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let written = Store::open(&location, Role::Agent)
        .and_then(|mut store| store.write(|tx| cycle::record(tx, &cycle)));
    if let Err(error) = written {
        log::debug!("this run was not recorded: {error}");
    }
}

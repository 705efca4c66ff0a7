//! Table `cycle`. Written by: every agent, the row of its unit. Read by: ctl, exporter.

mod close;

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::rows::Rows;
use crate::tables::{UnknownName, text_column, text_enum};
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

pub use close::{End, close};

/// How a cycle ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything was done, or there was nothing to do.
    Ok,
    /// The work went on, but a part of it (a collector, an endpoint, an item) failed.
    Degraded,
    /// The cycle was given up.
    Failed,
}

text_enum!(
    Outcome,
    "ok, degraded, failed",
    Ok = "ok",
    Degraded = "degraded",
    Failed = "failed",
);
text_column!(Outcome);

/// A cycle that has just ended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCycle<'a> {
    /// The unit without `roundsman-` and suffix: `hostmetrics`, `beacon@prod`.
    pub unit: &'a str,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The class of the failure; none where nothing failed.
    pub class: Option<Class>,
    /// One sentence for a person.
    pub sentence: &'a str,
    /// What it did, in numbers.
    pub figures: Map<String, Value>,
}

/// The last cycle of a unit, and its counters since the store exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// The unit without `roundsman-` and suffix.
    pub unit: String,
    /// When the last cycle began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The class of the failure.
    pub class: Option<Class>,
    /// One sentence for a person.
    pub sentence: String,
    /// What it did, in numbers.
    pub figures: Map<String, Value>,
    /// Cycles so far.
    pub runs_total: u64,
    /// Failed ones among them.
    pub failures_total: u64,
    /// Failed ones since the last that was not.
    pub consecutive_failures: u64,
    /// When the last cycle that did not fail ended.
    pub last_success: Option<Timestamp>,
}

impl Cycle {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        let class: Option<StoredClass> = row.get("class")?;
        let last_success: Option<i64> = row.get("last_success")?;
        Ok(Self {
            unit: row.get("unit")?,
            started: row.time("started")?,
            finished: row.time("finished")?,
            outcome: row.get("outcome")?,
            class: class.map(|class| class.0),
            sentence: row.get("sentence")?,
            figures: row.json("figures")?,
            runs_total: row.count("runs_total")?,
            failures_total: row.count("failures_total")?,
            consecutive_failures: row.count("consecutive_failures")?,
            last_success: last_success.map(Timestamp),
        })
    }
}

struct StoredClass(Class);

impl FromSql for StoredClass {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let label = value.as_str()?;
        let known = Class::ALL.into_iter().find(|class| class.label() == label);
        known.map(Self).ok_or_else(|| {
            FromSqlError::other(UnknownName {
                found: label.into(),
                known: "config, unavailable, rejected, incompatible, bug, no_data",
            })
        })
    }
}

const RECORD: &str = "\
    INSERT INTO cycle (unit, started, finished, outcome, class, sentence, figures,
                       runs_total, failures_total, consecutive_failures, last_success)
    VALUES (:unit, :started, :finished, :outcome, :class, :sentence, :figures,
            1, :failed, :failed, iif(:failed, NULL, :finished))
    ON CONFLICT (unit) DO UPDATE
    SET started = excluded.started,
        finished = excluded.finished,
        outcome = excluded.outcome,
        class = excluded.class,
        sentence = excluded.sentence,
        figures = excluded.figures,
        runs_total = runs_total + 1,
        failures_total = failures_total + :failed,
        consecutive_failures = iif(:failed, consecutive_failures + 1, 0),
        last_success = coalesce(excluded.last_success, last_success)";

/// Records a cycle as the last one of its unit and counts it.
///
/// # Errors
/// That of SQLite, also for a failed cycle without a class.
pub fn record(tx: &WriteTx<'_>, cycle: &NewCycle<'_>) -> Result<()> {
    let params = named_params! {
        ":unit": cycle.unit,
        ":started": cycle.started.as_millis(),
        ":finished": cycle.finished.as_millis(),
        ":outcome": cycle.outcome,
        ":class": cycle.class.map(Class::label),
        ":sentence": cycle.sentence,
        ":figures": Value::Object(cycle.figures.clone()).to_string(),
        ":failed": cycle.outcome == Outcome::Failed,
    };
    tx.execute(Doing::on("cycle", "record"), RECORD, params)?;
    Ok(())
}

const LIST: &str = "\
    SELECT unit, started, finished, outcome, class, sentence, figures,
           runs_total, failures_total, consecutive_failures, last_success
    FROM cycle
    ORDER BY unit";

/// The last cycle of every unit, by unit, all of them or none.
///
/// # Errors
/// That of SQLite, or a value that this version does not understand.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Cycle>> {
    list_apart(tx)?.whole()
}

/// The same, with those apart that this version cannot read.
///
/// # Errors
/// That of SQLite.
pub fn list_apart(tx: &ReadTx<'_>) -> Result<Rows<Cycle>> {
    let doing = Doing::on("cycle", "list");
    tx.rows_apart(doing, LIST, [], &["unit"], Cycle::from_row)
}

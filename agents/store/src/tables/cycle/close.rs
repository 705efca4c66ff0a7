//! The end of an agent's one cycle, whole or failed.

use std::fmt::Display;

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use serde_json::{Map, Value};

use super::{NewCycle, Outcome, record};
use crate::error::Error;
use crate::store::Store;

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// In one word.
    pub outcome: Outcome,
    /// The class of the failure; none where nothing failed.
    pub class: Option<Class>,
    /// One sentence for a person.
    pub sentence: String,
    /// What it did, in numbers.
    pub figures: Map<String, Value>,
}

impl End {
    /// That of a cycle that `failure` ended; the whole chain of causes is its sentence.
    pub fn failed(class: Class, failure: &impl Display) -> Self {
        Self {
            outcome: Outcome::Failed,
            class: Some(class),
            sentence: format!("{failure:#}"),
            figures: Map::new(),
        }
    }
}

/// Records how `done` ended, and gives it back.
///
/// # Errors
/// That of `done`, or else that of SQLite: of two failures the first says more, and may well be
/// the cause of the second.
pub fn close<T, E: From<Error>>(
    store: &mut Store,
    unit: &str,
    (started, finished): (Timestamp, Timestamp),
    end: End,
    done: Result<T, E>,
) -> Result<T, E> {
    let row = NewCycle {
        unit,
        started,
        finished,
        outcome: end.outcome,
        class: end.class,
        sentence: &end.sentence,
        figures: end.figures,
    };
    let recorded = store.write(|tx| record(tx, &row));
    let done = done?;
    recorded?;
    Ok(done)
}

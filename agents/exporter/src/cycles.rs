//! What the agents left in the store: the last cycle of each unit, and how many events there were.
//!
//! A thread of its own holds the connection, so that a store that is locked, on a hanging disk or
//! missing never delays a scrape: the scrape waits for its deadline and then shows the rows of
//! before. Rows are read only after somebody has written; a quiet store costs microseconds. The
//! open connection also keeps the write-ahead log alive between the runs of oneshots, which makes
//! each of them cheaper.

mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use roundsman_host::exposition::Page;
use roundsman_kit::Class;
use roundsman_kit::clock::{Clock, SystemClock, Timestamp};
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::{Error, Location, Role, Store, event_count};

use self::rows::Rows;
use roundsman_kit::Knock;

/// How often opening a store that cannot be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long a transaction waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many rows that could not be read are named.
const NAMED: usize = 3;

/// What the thread is asked for.
enum Ask {
    /// The rows, if they have changed since the generation that the asker has.
    Rows(u64),
    /// A cycle of this unit is to be recorded.
    Record(Own),
}

/// A cycle of this unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    pub unit: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub outcome: Outcome,
    pub sentence: String,
    pub figures: serde_json::Map<String, serde_json::Value>,
}

struct Answer {
    /// `None` if nothing has changed.
    rows: Result<Option<Rows>, String>,
    at: Timestamp,
}

/// How far the rows can be trusted.
#[derive(Debug, Clone)]
pub struct Standing {
    /// When they were last known to be current; `None` if there are none.
    pub as_of: Option<Timestamp>,
    /// Why they are not current.
    pub fault: Option<String>,
}

/// The rows and the thread that reads them.
#[derive(Debug)]
pub struct Cycles {
    asks: Sender<Ask>,
    answers: Receiver<Answer>,
    /// Whether an answer is still to come.
    pending: bool,
    tried: Arc<AtomicBool>,
    rows: Rows,
    standing: Standing,
}

/// Has the thread record cycles of this unit.
#[derive(Debug, Clone)]
pub struct Recorder(Sender<Ask>);

impl Recorder {
    /// Records the cycle soon; a store that cannot take it costs the row, which the next one
    /// replaces anyway.
    pub fn record(&self, own: Own) {
        // The thread ends only after the last sender.
        let _ = self.0.send(Ask::Record(own));
    }
}

impl Cycles {
    /// Starts the thread and asks for the rows; it knocks when it has answered for the first
    /// time.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn spawn(location: Location, first: Knock) -> io::Result<Self> {
        let (asks, inbox) = channel();
        let (outbox, answers) = channel();
        let tried = Arc::new(AtomicBool::new(false));
        let answered = Arc::clone(&tried);
        thread::Builder::new().name("store".into()).spawn(move || {
            let mut reader = Reader::new(location);
            for ask in inbox {
                match ask {
                    Ask::Rows(known) => {
                        let answer = reader.answer(known);
                        // The asker ends only with the process.
                        let _ = outbox.send(answer);
                        if !answered.swap(true, Ordering::Release) {
                            first.knock();
                        }
                    }
                    Ask::Record(own) => reader.record(&own),
                }
            }
        })?;
        let mut cycles = Self {
            asks,
            answers,
            pending: false,
            tried,
            rows: Rows::default(),
            standing: Standing {
                as_of: None,
                fault: Some("the store was not read yet".into()),
            },
        };
        cycles.ask();
        Ok(cycles)
    }

    /// Whether the thread has answered for the first time.
    pub fn tried(&self) -> bool {
        self.tried.load(Ordering::Acquire)
    }

    /// A handle that records cycles of this unit.
    pub fn recorder(&self) -> Recorder {
        Recorder(self.asks.clone())
    }

    /// Asks for the rows; [`Cycles::wait`] takes them over.
    pub fn ask(&mut self) {
        if !self.pending {
            self.pending = self.asks.send(Ask::Rows(self.rows.generation)).is_ok();
        }
    }

    /// Waits for the rows that were asked for; afterwards the rows of before are shown.
    pub fn wait(&mut self, until: Instant) -> &Standing {
        if self.pending {
            let left = until.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(answer) => self.take(answer),
                Err(RecvTimeoutError::Timeout) => {
                    self.standing.fault = Some("the store has not answered in time".into());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.standing.fault = Some("the thread of the store has ended".into());
                }
            }
        }
        &self.standing
    }

    fn take(&mut self, answer: Answer) {
        self.pending = false;
        self.standing.fault = match answer.rows {
            Ok(fresh) => {
                self.rows = fresh.unwrap_or_else(|| std::mem::take(&mut self.rows));
                self.standing.as_of = Some(answer.at);
                // The others are shown.
                self.rows.left_out.clone()
            }
            Err(fault) => Some(fault),
        };
    }

    /// Writes the families.
    pub fn write(&self, page: &mut Page) {
        if self.standing.as_of.is_some() {
            self.rows.write(page);
        }
    }
}

/// The thread's side.
struct Reader {
    location: Location,
    store: Option<Store>,
    generation: u64,
    /// Why the store could not be opened, and when that may be tried again.
    closed: Option<(String, Instant)>,
}

impl Reader {
    fn new(location: Location) -> Self {
        Self {
            location,
            store: None,
            generation: 0,
            closed: None,
        }
    }

    fn answer(&mut self, known: u64) -> Answer {
        let rows = self.rows(known);
        Answer {
            rows,
            at: SystemClock.now(),
        }
    }

    fn rows(&mut self, known: u64) -> Result<Option<Rows>, String> {
        self.open()?;
        let Some(store) = &mut self.store else {
            return Err("the store is not open".into());
        };
        let read = read(store, known == self.generation);
        match read {
            Ok(Some(mut rows)) => {
                self.generation += 1;
                rows.generation = self.generation;
                Ok(Some(rows))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                // A file that was replaced or is damaged may be another one tomorrow.
                self.store = None;
                Err(error.to_string())
            }
        }
    }

    fn open(&mut self) -> Result<(), String> {
        if self.store.is_some() {
            return Ok(());
        }
        if let Some((fault, retry)) = &self.closed
            && Instant::now() < *retry
        {
            return Err(fault.clone());
        }
        match Store::open(&self.location, Role::Agent) {
            Ok(mut store) => {
                store.wait_at_most(PATIENCE);
                self.store = Some(store);
                self.closed = None;
                self.generation += 1;
                Ok(())
            }
            Err(error) => {
                let fault = error.to_string();
                self.closed = Some((fault.clone(), Instant::now() + RETRY));
                Err(fault)
            }
        }
    }

    fn record(&mut self, own: &Own) {
        if self.open().is_err() {
            return;
        }
        let Some(store) = &mut self.store else {
            return;
        };
        let failed = own.outcome == Outcome::Failed;
        let cycle = NewCycle {
            unit: &own.unit,
            started: own.started,
            finished: own.finished,
            outcome: own.outcome,
            class: failed.then_some(Class::Unavailable),
            sentence: &own.sentence,
            figures: own.figures.clone(),
        };
        match store.write(|tx| cycle::record(tx, &cycle)) {
            // Own commits do not show as changes.
            Ok(()) => self.generation += 1,
            Err(error) => log::warn!("the cycle was not recorded: {error}"),
        }
    }
}

/// The rows, or `None` if nothing has changed since those that the asker has.
fn read(store: &mut Store, asker_is_current: bool) -> Result<Option<Rows>, Error> {
    if !store.changed()? && asker_is_current {
        return Ok(None);
    }
    let (cycles, events) = store.read(|tx| Ok((cycle::list_apart(tx)?, event_count::list(tx)?)))?;
    Ok(Some(Rows {
        left_out: left_out(cycles.complaints().chain(events.complaints())),
        cycles: cycles.found,
        events: events.found,
        figures: Some(store.figures()?),
        generation: 0,
    }))
}

/// What is said about rows that could not be read: a few of them, if there are many.
fn left_out(mut complaints: impl Iterator<Item = String>) -> Option<String> {
    let named: Vec<String> = complaints.by_ref().take(NAMED).collect();
    let more = match complaints.count() {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    (!named.is_empty()).then(|| named.join("; ") + &more)
}

#[cfg(test)]
mod tests;

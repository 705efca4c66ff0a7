//! What the agents left in the store: the last cycle of each unit, and how many events there were.
//!
//! A thread of its own holds the connection, so that a store that is locked, on a hanging disk or
//! missing never delays a scrape: the scrape waits for its deadline and then shows the rows of
//! before. Rows are read only after somebody has written; a quiet store costs microseconds. The
//! open connection also keeps the write-ahead log alive between the runs of oneshots, which makes
//! each of them cheaper.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use roundsman_host::exposition::{Page, Value};
use roundsman_kit::Class;
use roundsman_kit::clock::{Clock, SystemClock, Timestamp};
use roundsman_store::cycle::{self, Cycle, NewCycle, Outcome};
use roundsman_store::event_count::{self, EventCount};
use roundsman_store::{Error, Figures, Location, Role, Store};

use crate::knock::Knock;

/// How often opening a store that cannot be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long a transaction waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// What was read at one moment.
#[derive(Debug, Default)]
pub struct Rows {
    cycles: Vec<Cycle>,
    events: Vec<EventCount>,
    figures: Option<Figures>,
    generation: u64,
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
                None
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
    let (cycles, events) = store.read(|tx| Ok((cycle::list(tx)?, event_count::list(tx)?)))?;
    Ok(Some(Rows {
        cycles,
        events,
        figures: Some(store.figures()?),
        generation: 0,
    }))
}

impl Rows {
    fn write(&self, page: &mut Page) {
        self.write_times(page);
        self.write_counts(page);
        self.write_events(page);
        self.write_store(page);
    }

    fn write_times(&self, page: &mut Page) {
        let mut each = |name: &str, help: &str, get: &dyn Fn(&Cycle) -> Option<Value>| {
            let mut family = page.gauge(name, help);
            for cycle in &self.cycles {
                if let Some(value) = get(cycle) {
                    family.sample(&[("unit", &cycle.unit)], value);
                }
            }
        };
        each(
            "roundsman_cycle_started_timestamp_seconds",
            "When the last cycle of the unit began.",
            &|cycle| Some(seconds(cycle.started)),
        );
        each(
            "roundsman_cycle_finished_timestamp_seconds",
            "When the last cycle of the unit ended.",
            &|cycle| Some(seconds(cycle.finished)),
        );
        each(
            "roundsman_cycle_duration_seconds",
            "How long the last cycle of the unit took.",
            &|cycle| {
                let took = cycle.finished.since(cycle.started).as_millis();
                Some(Value::thousandths(u64::try_from(took).unwrap_or(u64::MAX)))
            },
        );
        each(
            "roundsman_cycle_last_success_timestamp_seconds",
            "When the last cycle of the unit that did not fail ended.",
            &|cycle| cycle.last_success.map(seconds),
        );
        each(
            "roundsman_cycle_consecutive_failures",
            "Failed cycles of the unit since the last that did not fail.",
            &|cycle| Some(cycle.consecutive_failures.into()),
        );
    }

    fn write_counts(&self, page: &mut Page) {
        let help = "How the last cycle of the unit ended: 1 for its outcome, 0 for the others.";
        let mut family = page.gauge("roundsman_cycle_outcome", help);
        for cycle in &self.cycles {
            for outcome in [Outcome::Ok, Outcome::Degraded, Outcome::Failed] {
                let labels = [("unit", &*cycle.unit), ("outcome", outcome.as_str())];
                family.sample(&labels, cycle.outcome == outcome);
            }
        }
        let help = "Cycles of the unit since the store exists.";
        let mut family = page.counter("roundsman_cycle_runs_total", help);
        for cycle in &self.cycles {
            family.sample(&[("unit", &cycle.unit)], cycle.runs_total);
        }
        let help = "Failed cycles of the unit since the store exists.";
        let mut family = page.counter("roundsman_cycle_failures_total", help);
        for cycle in &self.cycles {
            family.sample(&[("unit", &cycle.unit)], cycle.failures_total);
        }
    }

    fn write_events(&self, page: &mut Page) {
        fn labels(event: &EventCount) -> [(&str, &str); 3] {
            [
                ("agent", &event.agent),
                ("kind", &event.kind),
                ("severity", event.severity.as_str()),
            ]
        }
        let help = "Events since the store exists, those among them that were deleted since.";
        let mut family = page.counter("roundsman_events_total", help);
        for event in &self.events {
            family.sample(&labels(event), event.total);
        }
        let help = "When the latest event of its sort happened.";
        let mut family = page.gauge("roundsman_event_last_timestamp_seconds", help);
        for event in &self.events {
            family.sample(&labels(event), seconds(event.last_at));
        }
    }

    fn write_store(&self, page: &mut Page) {
        let Some(figures) = &self.figures else {
            return;
        };
        let mut each = |name: &str, help: &str, value: u64| page.gauge(name, help).value(value);
        each(
            "roundsman_store_size_bytes",
            "Size of the database file.",
            figures.db_bytes,
        );
        each(
            "roundsman_store_wal_bytes",
            "Size of the write-ahead log after the last change that was seen.",
            figures.wal_bytes,
        );
        each(
            "roundsman_store_pages",
            "Pages of the database file.",
            figures.pages,
        );
        each(
            "roundsman_store_free_pages",
            "Pages of the database file that hold nothing.",
            figures.free_pages,
        );
        each(
            "roundsman_store_schema",
            "Version of the store's schema.",
            u64::from(figures.schema),
        );
    }
}

fn seconds(at: Timestamp) -> Value {
    match u64::try_from(at.as_millis()) {
        Ok(millis) => Value::thousandths(millis),
        Err(_) => Value::Float(at.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;

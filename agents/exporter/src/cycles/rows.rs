//! The rows of the store as families.

use roundsman_host::exposition::{Page, Value};
use roundsman_kit::clock::Timestamp;
use roundsman_store::Figures;
use roundsman_store::cycle::{Cycle, Outcome};
use roundsman_store::event_count::EventCount;

/// What was read at one moment.
#[derive(Debug, Default)]
pub struct Rows {
    pub cycles: Vec<Cycle>,
    pub events: Vec<EventCount>,
    pub figures: Option<Figures>,
    /// Which rows are not among them, if any.
    pub left_out: Option<String>,
    /// Tells two readings apart.
    pub generation: u64,
}

impl Rows {
    /// Writes the families.
    pub fn write(&self, page: &mut Page) {
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

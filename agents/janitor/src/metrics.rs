//! The figures that janitor leaves as a textfile for the exporter.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::plan::Reading;
use crate::state::State;

/// Registers the figures of one run.
///
/// # Errors
/// A family that the registry refuses.
pub fn fill(
    registry: &Registry,
    state: &State,
    readings: &[Reading],
) -> Result<(), prometheus::Error> {
    let removed = IntCounterVec::new(
        Opts::new(
            "roundsman_janitor_removed_total",
            "Rows removed from the store.",
        ),
        &["table"],
    )?;
    for (table, total) in &state.removed {
        removed.with_label_values(&[table]).inc_by(*total);
    }
    registry.register(Box::new(removed))?;

    let dropped = IntCounter::new(
        "roundsman_janitor_dropped_total",
        "Events removed before every reader had them, and deliveries removed before they were done.",
    )?;
    dropped.inc_by(state.dropped);
    registry.register(Box::new(dropped))?;

    let levels = IntGaugeVec::new(
        Opts::new(
            "roundsman_janitor_condition_level",
            "1 if the figure of the storage is at its warning level, 2 if it is critical.",
        ),
        &["subject"],
    )?;
    for (subject, condition) in &state.conditions {
        let gauge = levels.with_label_values(&[subject]);
        gauge.set(condition.level.number().into());
    }
    registry.register(Box::new(levels))?;

    for (subject, name, help) in [
        (
            "volume",
            "roundsman_janitor_volume_used_ratio",
            "Space used on the file system of the store, 0 to 1.",
        ),
        (
            "inodes",
            "roundsman_janitor_inodes_used_ratio",
            "Inodes used on the file system of the store, 0 to 1.",
        ),
    ] {
        if let Some(reading) = readings.iter().find(|reading| reading.subject == subject) {
            gauge(registry, name, help, reading.value / 100.0)?;
        }
    }
    if let Some(at) = state.backup_at {
        gauge(
            registry,
            "roundsman_janitor_last_backup_timestamp_seconds",
            "When the last backup was made.",
            at.as_secs_f64(),
        )?;
    }
    Ok(())
}

fn gauge(registry: &Registry, name: &str, help: &str, value: f64) -> Result<(), prometheus::Error> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    registry.register(Box::new(gauge))
}

//! The figures that hostmetrics leaves as a textfile for the exporter.

use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::gather::Round;
use crate::plan::Conditions;
use crate::previous::Previous;

/// Registers the figures of one run.
///
/// # Errors
/// A family that the registry refuses.
pub fn fill(registry: &Registry, round: &Round, after: &Previous) -> Result<(), prometheus::Error> {
    let success = IntGaugeVec::new(
        Opts::new(
            "roundsman_hostmetrics_collector_success",
            "1 if the subject could be read in the last run.",
        ),
        &["collector"],
    )?;
    let failed = IntCounterVec::new(
        Opts::new(
            "roundsman_hostmetrics_collector_failures_total",
            "Runs in which the subject could not be read.",
        ),
        &["collector"],
    )?;
    for collector in &round.collectors {
        let ok = !round.failed.contains_key(collector);
        success.with_label_values(&[collector]).set(i64::from(ok));
        let count = after.failures.get(*collector).copied().unwrap_or(0);
        failed.with_label_values(&[collector]).inc_by(count);
    }
    registry.register(Box::new(success))?;
    registry.register(Box::new(failed))?;
    for (name, help, count) in [
        (
            "roundsman_hostmetrics_mounts_unreadable",
            "Mounts that could not be entered or did not answer in the last run.",
            round.mounts_unreadable,
        ),
        (
            "roundsman_hostmetrics_sensors_unreadable",
            "Temperature sensors that gave no figure in the last run.",
            round.sensors_unreadable,
        ),
    ] {
        let unreadable = IntGauge::new(name, help)?;
        unreadable.set(i64::try_from(count).unwrap_or(i64::MAX));
        registry.register(Box::new(unreadable))?;
    }
    let refused = IntCounter::new(
        "roundsman_hostmetrics_samples_refused_total",
        "Samples that were not stored because the clock was set back to times that have some.",
    )?;
    refused.inc_by(after.samples_refused);
    registry.register(Box::new(refused))?;
    if let Some(busy) = round.cpu_busy {
        let usage = Gauge::new(
            "roundsman_hostmetrics_cpu_usage_ratio",
            "CPU time that was not idle since the previous run, 0 to 1.",
        )?;
        usage.set(busy);
        registry.register(Box::new(usage))?;
    }
    registry.register(Box::new(levels(&after.conditions)?))
}

fn levels(conditions: &Conditions) -> Result<GaugeVec, prometheus::Error> {
    let level = GaugeVec::new(
        Opts::new(
            "roundsman_hostmetrics_condition_level",
            "A figure beyond its threshold: 1 warning, 2 critical.",
        ),
        &["kind", "subject"],
    )?;
    for (kind, subjects) in conditions {
        for (subject, condition) in subjects {
            if let Some(announced) = condition.announced {
                let gauge = level.with_label_values(&[kind, subject]);
                gauge.set(announced.number().into());
            }
        }
    }
    Ok(level)
}

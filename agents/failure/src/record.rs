//! A failure becomes part of the store: the first of a condition is an event, the next ones
//! belong to it.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_store::EventTx;
use roundsman_store::event::{self, NewEvent, Severity};
use serde_json::Value;

use crate::condition::{self, Condition};
use crate::report::Report;

/// What became of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is part of the open condition, which has so many failures now.
    Counted(u64),
    /// It was recorded before.
    Known,
}

/// Records one failure of `unit`; `lines` go into the event if one begins here.
pub fn failure(
    tx: &EventTx<'_>,
    agent: &str,
    unit: &str,
    report: &Report,
    lines: &[Value],
    now: Timestamp,
) -> roundsman_store::Result<Recorded> {
    if let Some(mut open) = condition::of(tx, agent, unit)? {
        if !open.add(report) {
            return Ok(Recorded::Known);
        }
        condition::keep(tx, agent, unit, &open, now)?;
        return Ok(Recorded::Counted(open.failures));
    }
    let begun = Condition::begin(report);
    // Known, without a condition: it has ended meanwhile.
    if event::insert(tx, &event_of(&begun, agent, unit, report, lines))?.is_none() {
        return Ok(Recorded::Known);
    }
    condition::keep(tx, agent, unit, &begun, now)?;
    Ok(Recorded::Counted(begun.failures))
}

fn event_of(
    begun: &Condition,
    agent: &str,
    unit: &str,
    report: &Report,
    lines: &[Value],
) -> NewEvent {
    let correlation = begun.correlation(agent, unit);
    NewEvent::firing(report.at, agent, "failure.unit", &correlation)
        .severity(Severity::Error)
        .subject(unit)
        .order_key(format!("{agent}:{unit}"))
        .identity(format!("{unit}:{}:failed", report.key()))
        .message(message(unit, report))
        .label("unit", unit)
        .label("result", report.result.as_str())
        .datum("result", report.result.as_str())
        .datum("exit_code", report.exit_code.as_str())
        .datum("exit_status", report.exit_status.as_str())
        .datum("invocation", report.invocation.as_str())
        .datum("journal", lines)
}

/// One sentence: which unit failed, and how.
pub fn message(unit: &str, report: &Report) -> String {
    format!("{unit} {}", report.sentence())
}

/// Says in the journal what became of a failure.
pub fn tell(unit: &str, report: &Report, recorded: Recorded) {
    let message = message(unit, report);
    match recorded {
        Recorded::Counted(failures) => log::error!(
            MESSAGE_ID = id::UNIT_FAILED,
            "ROUNDSMAN_KIND" = "failure.unit",
            "ROUNDSMAN_TARGET" = unit,
            "ROUNDSMAN_RESULT" = report.result,
            "ROUNDSMAN_FAILURES" = failures;
            "{message}"
        ),
        Recorded::Known => log::info!("{message}: recorded before ({})", report.key()),
    }
}

//! A unit has failed: the first failure is an event, the next ones belong to it until the unit
//! has recovered.

use roundsman_kit::log::id;
use roundsman_kit::{Class, Context, Fault};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{Location, Role, Store};
use serde_json::Value;

use crate::condition::{self, Condition, Markers};
use crate::config::Config;
use crate::explain::Report;
use crate::journal;

/// Records the failure of `unit`.
pub fn run(ctx: &Context, config: &Config, unit: &str) -> anyhow::Result<()> {
    if !is_unit_name(unit) {
        let message = format!("\"{unit}\" is no unit name; systemd starts this by OnFailure=");
        return Err(Fault::new(Class::Config, message).into());
    }
    let report = Report::from_env();
    let lines = match config.journal_lines {
        0 => Vec::new(),
        wanted => journal::last_lines(unit, &report.invocation, wanted).unwrap_or_else(|error| {
            log::warn!("{unit}: its last journal lines are missing: {error:#}");
            Vec::new()
        }),
    };
    Markers::new(ctx).put(unit)?;
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let condition = record(ctx, &mut store, unit, &report, lines)?;
    let message = message(unit, &report);
    log::error!(
        MESSAGE_ID = id::UNIT_FAILED,
        "ROUNDSMAN_KIND" = "failure.unit",
        "ROUNDSMAN_TARGET" = unit,
        "ROUNDSMAN_RESULT" = report.result,
        "ROUNDSMAN_FAILURES" = condition.failures;
        "{message}"
    );
    Ok(())
}

/// One transaction: the condition, and the event if it begins here.
fn record(
    ctx: &Context,
    store: &mut Store,
    unit: &str,
    report: &Report,
    lines: Vec<Value>,
) -> anyhow::Result<Condition> {
    let now = ctx.clock().now();
    let agent = ctx.agent();
    let kept = store.publish(|tx| {
        if let Some(mut open) = condition::of(tx, agent, unit)? {
            open.failures += 1;
            condition::keep(tx, agent, unit, &open, now)?;
            return Ok(open);
        }
        let begun = Condition {
            since: now,
            failures: 1,
            result: report.result.clone(),
        };
        let correlation = begun.correlation(agent, unit);
        let event = NewEvent::firing(now, agent, "failure.unit", &correlation)
            .severity(Severity::Error)
            .subject(unit)
            .order_key(format!("{agent}:{unit}"))
            .identity(format!("{unit}:{}:failed", identity(report, &correlation)))
            .message(message(unit, report))
            .label("unit", unit)
            .label("result", report.result.as_str())
            .datum("result", report.result.as_str())
            .datum("exit_code", report.exit_code.as_str())
            .datum("exit_status", report.exit_status.as_str())
            .datum("invocation", report.invocation.as_str())
            .datum("journal", lines);
        event::insert(tx, &event)?;
        condition::keep(tx, agent, unit, &begun, now)?;
        Ok(begun)
    })?;
    Ok(kept)
}

/// The same failure reported twice is one event; without an invocation nothing tells two apart.
fn identity<'a>(report: &'a Report, correlation: &'a str) -> &'a str {
    if report.invocation.is_empty() {
        correlation
    } else {
        &report.invocation
    }
}

fn message(unit: &str, report: &Report) -> String {
    format!("{unit} {}", report.sentence())
}

/// systemd.unit(5): at most 255 characters, a name and a type.
fn is_unit_name(unit: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    unit.len() <= 255 && unit.contains('.') && !unit.starts_with('.') && unit.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::is_unit_name;

    #[test]
    fn a_unit_name_cannot_leave_the_markers_directory() {
        for good in [
            "nginx.service",
            "foo@bar.service",
            "dev-disk-by\\x2duuid-1.swap",
        ] {
            assert!(is_unit_name(good), "{good}");
        }
        for bad in [
            "",
            "nginx",
            "../x.service",
            ".x",
            "a/b.service",
            "a b.service",
        ] {
            assert!(!is_unit_name(bad), "{bad}");
        }
    }
}

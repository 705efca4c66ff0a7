//! Which of the failed units have recovered: each that has ends its condition with an event.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::{Class, Context, ResultExt};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{Location, Role, Store};

use crate::condition::{self, Condition, Markers};
use crate::units::{self, Recovery};

/// Looks at every open condition once.
pub fn run(ctx: &Context) -> anyhow::Result<()> {
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let open = store.read(|tx| condition::all(tx, ctx.agent()))?;
    let names: Vec<&str> = open.iter().map(|(unit, _)| unit.as_str()).collect();
    let states = if names.is_empty() {
        Vec::new()
    } else {
        units::states(&names).fault(Class::Unavailable, || "asking systemd for unit states")?
    };
    let mut still_open = Vec::new();
    for ((unit, condition), state) in open.into_iter().zip(states) {
        match state.recovery() {
            Some(recovery) => resolve(ctx, &mut store, &unit, &condition, recovery)?,
            None => still_open.push(unit),
        }
    }
    tidy(ctx, &mut store, &still_open)
}

/// Removes the markers of units without an open condition. A unit may fail at this very moment:
/// its hook makes the marker first and commits then, so a condition that shows up after the
/// removal gets its marker back.
fn tidy(ctx: &Context, store: &mut Store, still_open: &[String]) -> anyhow::Result<()> {
    let markers = Markers::new(ctx);
    for unit in markers
        .list()?
        .iter()
        .filter(|unit| !still_open.contains(unit))
    {
        markers.remove(unit)?;
        if store
            .read(|tx| condition::of(tx, ctx.agent(), unit))?
            .is_some()
        {
            markers.put(unit)?;
        }
    }
    Ok(())
}

fn resolve(
    ctx: &Context,
    store: &mut Store,
    unit: &str,
    condition: &Condition,
    recovery: Recovery,
) -> anyhow::Result<()> {
    let now = ctx.clock().now();
    let agent = ctx.agent();
    let message = format!("{unit} {}", recovery.sentence());
    store.publish(|tx| {
        let correlation = condition.correlation(agent, unit);
        let event = NewEvent::resolved(now, agent, "failure.unit", &correlation)
            .severity(Severity::Notice)
            .subject(unit)
            .order_key(format!("{agent}:{unit}"))
            .identity(format!("{correlation}:resolved"))
            .message(&message)
            .label("unit", unit)
            .label("result", condition.result.as_str())
            .datum("failures", condition.failures)
            .datum("failed_for_seconds", failed_for(condition.since, now));
        event::insert(tx, &event)?;
        condition::close(tx, agent, unit)
    })?;
    log::info!(
        MESSAGE_ID = id::UNIT_RECOVERED,
        "ROUNDSMAN_KIND" = "failure.unit",
        "ROUNDSMAN_TARGET" = unit,
        "ROUNDSMAN_FAILURES" = condition.failures;
        "{message}"
    );
    Ok(())
}

fn failed_for(since: Timestamp, now: Timestamp) -> u64 {
    now.since(since).as_secs()
}

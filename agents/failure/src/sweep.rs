//! Which of the failed units have recovered: each that has ends its condition with an event.
//! Before that, what a hook could not store is stored now.

use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::{Class, Context, ResultExt};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{EventTx, Location, Role, Store};

use crate::condition::{self, Condition};
use crate::cycle::{self, Done};
use crate::marker::Markers;
use crate::record;
use crate::report::Report;
use crate::units::{self, Recovery};

/// How long a hook may take (`TimeoutStartSec=`): until then its failure is its own business,
/// because it brings the journal lines along.
const HOOK_LASTS: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    /// Failures that a hook had not stored.
    late: u64,
    /// Conditions that nothing could be learnt about.
    unknown: u64,
    /// Units that are well again.
    recovered: Vec<(String, Condition, Recovery)>,
}

impl Findings {
    /// The cycle that found this, with so many conditions left and closed.
    fn done(&self, started: Timestamp, open: usize, recovered: usize) -> Done {
        let unclear = match self.unknown {
            0 => String::new(),
            unknown => format!(" ({unknown} cannot be judged)"),
        };
        Done {
            started,
            is_degraded: self.unknown > 0,
            sentence: format!("units failed: {open}{unclear}, recovered: {recovered}"),
            figures: vec![
                ("conditions", open as u64),
                ("recovered", recovered as u64),
                ("unknown", self.unknown),
                ("stored_late", self.late),
            ],
        }
    }
}

/// Looks at every open condition once.
pub fn run(ctx: &Context) -> anyhow::Result<()> {
    let started = ctx.clock().now();
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let markers = Markers::new(ctx);
    let mut findings = Findings {
        late: store_late(ctx, &mut store, &markers)?,
        ..Findings::default()
    };
    judge(ctx, &mut store, &mut findings)?;
    let closed = close(ctx, &mut store, started, &findings)?;
    for (unit, condition, recovery) in closed {
        log::info!(
            MESSAGE_ID = id::UNIT_RECOVERED,
            "ROUNDSMAN_KIND" = "failure.unit",
            "ROUNDSMAN_TARGET" = unit,
            "ROUNDSMAN_FAILURES" = condition.failures;
            "{unit} {}",
            recovery.sentence()
        );
    }
    tidy(ctx, &mut store, &markers)
}

/// Stores the failures whose hook has ended without doing so.
fn store_late(ctx: &Context, store: &mut Store, markers: &Markers) -> anyhow::Result<u64> {
    let now = ctx.clock().now();
    let is_late = |report: &Report| report.at > now || now.since(report.at) >= HOOK_LASTS;
    let mut count = 0;
    for unit in markers.list()? {
        let mut late = markers.pending(&unit)?;
        late.retain(is_late);
        if late.is_empty() {
            continue;
        }
        let recorded = store.publish(|tx| {
            late.iter()
                .map(|report| record::failure(tx, ctx.agent(), &unit, report, &[], now))
                .collect::<roundsman_store::Result<Vec<_>>>()
        })?;
        for (report, recorded) in late.iter().zip(recorded) {
            record::tell(&unit, report, recorded);
        }
        count += late.len() as u64;
        if let Err(error) = markers.settle(&unit, &late) {
            // It is known next time; the recoveries must not wait for a disk with room.
            log::warn!("{unit}: its marker: {error:#}");
        }
    }
    Ok(count)
}

/// Asks systemd about the units of all conditions.
fn judge(ctx: &Context, store: &mut Store, findings: &mut Findings) -> anyhow::Result<()> {
    let mut open = Vec::new();
    for (unit, condition) in store.read(|tx| condition::all(tx, ctx.agent()))? {
        match condition {
            Some(condition) => open.push((unit, condition)),
            None => findings.unknown += 1,
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = open.iter().map(|(unit, _)| unit.as_str()).collect();
    let answers =
        units::ask(&names).fault(Class::Unavailable, || "asking systemd for unit states")?;
    for ((unit, condition), state) in open.into_iter().zip(answers.states) {
        match state {
            Ok(state) => {
                let recovery = state.recovery(condition.last_at >= answers.boot);
                findings
                    .recovered
                    .extend(recovery.map(|recovery| (unit, condition, recovery)));
            }
            Err(error) => {
                findings.unknown += 1;
                log::warn!("{unit}: whether it has recovered cannot be told: {error:#}");
            }
        }
    }
    Ok(())
}

type Closed<'a> = (&'a str, &'a Condition, Recovery);

/// One transaction: the ends of conditions, and the cycle. A unit that has failed again since
/// systemd was asked keeps its condition.
fn close<'a>(
    ctx: &Context,
    store: &mut Store,
    started: Timestamp,
    findings: &'a Findings,
) -> anyhow::Result<Vec<Closed<'a>>> {
    let agent = ctx.agent();
    if findings.recovered.is_empty() {
        store.write(|tx| {
            let open = condition::all(tx, agent)?.len();
            cycle::record(ctx, tx, &findings.done(started, open, 0))
        })?;
        return Ok(Vec::new());
    }
    let closed = store.publish(|tx| {
        let mut closed = Vec::new();
        for (unit, judged, recovery) in &findings.recovered {
            if condition::of(tx, agent, unit)?.as_ref() == Some(judged) {
                end(tx, ctx, unit, judged, *recovery)?;
                closed.push((unit.as_str(), judged, *recovery));
            }
        }
        let open = condition::all(tx, agent)?.len();
        cycle::record(ctx, tx, &findings.done(started, open, closed.len()))?;
        Ok(closed)
    })?;
    Ok(closed)
}

fn end(
    tx: &EventTx<'_>,
    ctx: &Context,
    unit: &str,
    condition: &Condition,
    recovery: Recovery,
) -> roundsman_store::Result<()> {
    let now = ctx.clock().now();
    let agent = ctx.agent();
    let correlation = condition.correlation(agent, unit);
    let failed_for = now.since(condition.since).as_secs();
    let event = NewEvent::resolved(now, agent, "failure.unit", &correlation)
        .severity(Severity::Notice)
        .subject(unit)
        .order_key(format!("{agent}:{unit}"))
        .identity(format!("{correlation}:resolved"))
        .message(format!("{unit} {}", recovery.sentence()))
        .label("unit", unit)
        .label("result", condition.result.as_str())
        .datum("failures", condition.failures)
        .datum("failed_for_seconds", failed_for);
    event::insert(tx, &event)?;
    condition::close(tx, agent, unit)
}

/// Makes markers and conditions agree.
fn tidy(ctx: &Context, store: &mut Store, markers: &Markers) -> anyhow::Result<()> {
    let marked = markers.list()?;
    for unit in &marked {
        markers.remove_unless(unit, || {
            Ok(store.read(|tx| condition::is_open(tx, ctx.agent(), unit))?)
        })?;
    }
    for (unit, _) in store.read(|tx| condition::all(tx, ctx.agent()))? {
        if !marked.contains(&unit) {
            // A hook could not make it.
            markers.settle(&unit, &[])?;
        }
    }
    Ok(())
}

//! One run: gather, judge, record, tell.

use anyhow::Context as _;
use roundsman_host::{Host, Root};
use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::{Class, Context, ResultExt};
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Location, Role, Store, WriteTx};
use serde_json::{Map, json};

use crate::config::Config;
use crate::gather::{self, Round};
use crate::metrics;
use crate::plan::{self, Change, Level};
use crate::previous::{self, Previous};

/// The whole run.
pub fn run(ctx: &Context, config: &Config) -> anyhow::Result<()> {
    let started = ctx.clock().now();
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let mut before = store.read(|tx| previous::read(tx, &ctx.unit()))?;

    let host = Host::new(Root::new(ctx.paths().root()));
    let round = gather::gather(&host, &config.measure, before.counters.as_ref());
    for (collector, error) in &round.failed {
        log::warn!(
            MESSAGE_ID = id::COLLECTOR_FAILED,
            "ROUNDSMAN_TARGET" = collector,
            "ROUNDSMAN_CAUSE" = error;
            "{collector} could not be read: {error}"
        );
        *before.failures.entry((*collector).to_owned()).or_default() += 1;
    }
    let (conditions, changes) =
        plan::judge(&before.conditions, &round.seen, &config.thresholds, started);
    let after = Previous {
        counters: round.counters.clone(),
        conditions,
        failures: before.failures,
    };

    record(ctx, &mut store, started, &round, &after, &changes)?;
    for change in &changes {
        tell(change);
    }
    let registry = ctx.metrics().registry();
    metrics::fill(registry, &round, &after.failures, &after.conditions)
        .context("registering the figures of this run")?;
    ctx.metrics().write_textfile(ctx.paths()).fault(
        Class::Unavailable,
        || "leaving the figures of this run for the exporter",
    )
}

/// One transaction. Only events make it one that waits for the disk.
fn record(
    ctx: &Context,
    store: &mut Store,
    started: Timestamp,
    round: &Round,
    after: &Previous,
    changes: &[Change],
) -> anyhow::Result<()> {
    let rows = |tx: &WriteTx<'_>| -> roundsman_store::Result<()> {
        for (kind, payload) in &round.samples {
            let sample = Sample {
                at: started.to_second(),
                host: ctx.host(),
                os: round.os.clone(),
                kind: (*kind).to_owned(),
                payload: payload.clone(),
            };
            sample::insert(tx, &sample)?;
        }
        previous::write(tx, &ctx.unit(), after, started)?;
        cycle::record(tx, &cycle_of(ctx, started, round, after))
    };
    if changes.is_empty() {
        store.write(rows)?;
    } else {
        store.publish(|tx| {
            for change in changes {
                event::insert(tx, &event_of(change, started))?;
            }
            rows(tx)
        })?;
    }
    Ok(())
}

fn cycle_of<'a>(
    ctx: &Context,
    started: Timestamp,
    round: &'a Round,
    after: &Previous,
) -> NewCycle<'a> {
    let open = after
        .conditions
        .values()
        .flatten()
        .filter(|(_, c)| c.announced.is_some())
        .count();
    let mut figures = Map::new();
    figures.insert("samples".into(), round.samples.len().into());
    figures.insert("collectors_failed".into(), round.failed.len().into());
    figures.insert("conditions".into(), open.into());
    NewCycle {
        unit: ctx.agent(),
        started,
        finished: ctx.clock().now(),
        outcome: if round.failed.is_empty() {
            Outcome::Ok
        } else {
            Outcome::Degraded
        },
        class: None,
        sentence: &round.sentence,
        figures,
    }
}

/// The unit of a threshold's figure, for messages and data.
fn unit_of(kind: &str) -> &'static str {
    match kind {
        "temperature" => "°C",
        "load" => "per CPU",
        _ => "%",
    }
}

fn event_of(change: &Change, now: Timestamp) -> NewEvent {
    let kind = format!("hostmetrics.{}", change.kind);
    let order_key = format!("{kind}:{}", change.subject);
    let correlation = format!("{order_key}:{}", change.since.as_millis());
    let (event, step) = match change.level {
        Some(level) => {
            let severity = match level {
                Level::Warning => Severity::Warning,
                Level::Critical => Severity::Critical,
            };
            let event = NewEvent::firing(now, "hostmetrics", &kind, &correlation);
            (
                event.severity(severity),
                format!("{level:?}:{}", now.as_millis()),
            )
        }
        None => {
            let event = NewEvent::resolved(now, "hostmetrics", &kind, &correlation);
            (event.severity(Severity::Notice), "resolved".to_owned())
        }
    };
    let event = event
        .order_key(order_key)
        .identity(format!("{correlation}:{step}"))
        .message(sentence(change))
        .datum("value", json!(change.value))
        .datum("limit", change.limit)
        .datum("unit", unit_of(&change.kind))
        .datum("since", change.since.as_millis());
    if change.subject.is_empty() {
        event
    } else {
        event.subject(&change.subject)
    }
}

/// `disk /var is at 96.2 % (critical from 95 %)`.
fn sentence(change: &Change) -> String {
    let figure = change.kind.replace('_', " ");
    let on = if change.subject.is_empty() {
        figure
    } else {
        format!("{figure} {}", change.subject)
    };
    let unit = unit_of(&change.kind);
    let limit = change.limit;
    match (change.level, change.value) {
        (Some(level), Some(value)) => {
            let level = match level {
                Level::Warning => "warning",
                Level::Critical => "critical",
            };
            format!("{on} is at {value:.1} {unit} ({level} from {limit} {unit})")
        }
        (_, Some(value)) => format!("{on} is back at {value:.1} {unit} (below {limit} {unit})"),
        (_, None) => format!("{on} is gone or no longer judged"),
    }
}

fn tell(change: &Change) {
    let kind = format!("hostmetrics.{}", change.kind);
    let message = sentence(change);
    match change.level {
        Some(_) => log::warn!(
            MESSAGE_ID = id::THRESHOLD_CROSSED,
            "ROUNDSMAN_KIND" = kind,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
        None => log::info!(
            MESSAGE_ID = id::THRESHOLD_CLEARED,
            "ROUNDSMAN_KIND" = kind,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
    }
}

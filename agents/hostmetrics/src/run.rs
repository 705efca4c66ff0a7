//! One run: gather, judge, record, tell.

use anyhow::Context as _;
use roundsman_host::{Host, Root};
use roundsman_kit::Context;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::error::class_of;
use roundsman_kit::log::id;
use roundsman_store::cycle::{self, End, Outcome};
use roundsman_store::{Location, Role, Store};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::events;
use crate::gather::{self, Round};
use crate::metrics;
use crate::previous;
use crate::record::{Recorded, record};

/// The whole run. How it ended is recorded last, because the textfile is part of it.
pub fn run(ctx: &Context, config: &Config) -> anyhow::Result<()> {
    let started = ctx.clock().now();
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let measured = measure(ctx, config, &mut store, started);
    let end = match &measured {
        Ok(done) => done.end(),
        Err(failure) => End::failed(class_of(failure, crate::AGENT.classifiers), failure),
    };
    let took = (started, ctx.clock().now());
    cycle::close(&mut store, ctx.agent(), took, end, measured).map(drop)
}

/// What a run did.
struct Done {
    round: Round,
    recorded: Recorded,
    /// Why the figures could not be left for the exporter.
    textfile: Option<String>,
}

fn measure(
    ctx: &Context,
    config: &Config,
    store: &mut Store,
    started: Timestamp,
) -> anyhow::Result<Done> {
    let (before, dropped) = store.read(|tx| previous::read(tx, &ctx.unit()))?;
    if !dropped.is_empty() {
        log::warn!(
            "what the last run left is not understood in part, and counts as never seen: {}",
            dropped.join(", ")
        );
    }
    let host = Host::new(Root::new(ctx.paths().root()));
    let round = gather::gather(&host, &config.measure, before.counters.as_ref());
    let recorded = record(ctx, store, started, &round, &config.thresholds, before)?;
    tell(&round, &recorded);
    let registry = ctx.metrics().registry();
    metrics::fill(registry, &round, &recorded.after)
        .context("registering the figures of this run")?;
    let textfile = ctx.metrics().write_textfile(ctx.paths()).err();
    Ok(Done {
        round,
        textfile: textfile.map(|error| not_left(ctx, &error)),
        recorded,
    })
}

/// The samples are stored, so this run is not lost; but the exporter shows an old one.
fn not_left(ctx: &Context, error: &std::io::Error) -> String {
    let path = ctx.paths().textfiles();
    let path = path.join(format!("{}.prom", ctx.unit()));
    let reason = format!(
        "{} cannot be written, run `systemd-tmpfiles --create roundsman.conf` (as root): {error}",
        path.display()
    );
    log::warn!("ROUNDSMAN_CAUSE" = error.to_string(); "{reason}");
    reason
}

/// Tells what changed, and only that: a source that stays unreadable is told once.
fn tell(round: &Round, recorded: &Recorded) {
    for collector in &recorded.newly_failed {
        let error = round.failed.get(collector.as_str());
        let error = error.map_or("", String::as_str);
        log::warn!(
            MESSAGE_ID = id::COLLECTOR_FAILED,
            "ROUNDSMAN_TARGET" = collector,
            "ROUNDSMAN_CAUSE" = error;
            "{collector} could not be read: {error}"
        );
    }
    for collector in &recorded.recovered {
        log::info!(
            MESSAGE_ID = id::COLLECTOR_RECOVERED,
            "ROUNDSMAN_TARGET" = collector;
            "{collector} can be read again"
        );
    }
    if recorded.is_newly_refusing {
        log::warn!(
            "there are samples of this time already, so that {} were not stored: \
             the clock was set back",
            recorded.refused
        );
    }
    recorded.changes.iter().for_each(events::tell);
}

impl Done {
    fn end(&self) -> End {
        let (round, recorded) = (&self.round, &self.recorded);
        let conditions = recorded.after.conditions.values().flatten();
        let open = conditions.filter(|(_, c)| c.announced.is_some()).count();
        let mut figures: Map<String, Value> = Map::new();
        for (name, count) in [
            ("samples", round.samples.len() - recorded.refused),
            ("samples_refused", recorded.refused),
            ("collectors_failed", round.failed.len()),
            ("mounts_unreadable", round.mounts_unreadable),
            ("sensors_unreadable", round.sensors_unreadable),
            ("conditions", open),
        ] {
            figures.insert(name.into(), count.into());
        }
        let mut sentence = vec![round.sentence.clone()];
        if recorded.after.is_refusing {
            sentence.push(format!("{} samples not stored", recorded.refused));
        }
        sentence.extend(self.textfile.clone());
        sentence.retain(|part| !part.is_empty());
        let is_whole =
            round.failed.is_empty() && self.textfile.is_none() && !recorded.after.is_refusing;
        let outcome = match is_whole {
            true => Outcome::Ok,
            false => Outcome::Degraded,
        };
        End {
            outcome,
            class: None,
            sentence: sentence.join(", "),
            figures,
        }
    }
}

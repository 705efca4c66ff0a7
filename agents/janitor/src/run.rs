//! One run: sweep, statistics, backup, file, storage, record, tell.

use anyhow::Context as _;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use roundsman_kit::Context;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::error::class_of;
use roundsman_kit::log::id;
use roundsman_kit::quantity::Size;
use roundsman_store::cycle::{self, End, Outcome};
use roundsman_store::{Location, Role, Store};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::file::{self, Tidied};
use crate::plan::{self, Reading, Work};
use crate::record::{Recorded, Run};
use crate::rehearsal::Rehearsal;
use crate::sweep::{Budget, Removed, Sweep};
use crate::{backup, events, metrics, state, volume};

/// The whole run. How it ended is recorded last, because the textfile is part of it.
pub fn run(ctx: &Context, config: &Config) -> anyhow::Result<()> {
    let started = ctx.clock().now();
    let location = Location::new(ctx.paths(), &ctx.common().store);
    if ctx.dry_run() {
        return rehearse(ctx, config, &location, started);
    }
    let mut store = Store::open(&location, Role::Agent)?;
    let done = tend(ctx, config, &location, &mut store, started);
    let end = match &done {
        Ok(done) => done.end(),
        Err(failure) => End::failed(class_of(failure, crate::AGENT.classifiers), failure),
    };
    let took = (started, ctx.clock().now());
    cycle::close(&mut store, ctx.agent(), took, end, done).map(drop)
}

fn rehearse(
    ctx: &Context,
    config: &Config,
    location: &Location,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut store = Store::open(location, Role::Reader)?;
    let work = look(ctx, config, &mut store, now)?;
    let mut rehearsal = Rehearsal {
        store: &mut store,
        config,
        now,
    };
    rehearsal.say(&work, &mut std::io::stdout().lock())
}

fn look(
    ctx: &Context,
    config: &Config,
    store: &mut Store,
    now: Timestamp,
) -> roundsman_store::Result<Work> {
    let state = store.read(|tx| state::read(tx, &ctx.unit()))?;
    Ok(plan::work(
        config,
        &state,
        now,
        last_night(now, config.night),
    ))
}

/// When the last night began, in local time.
fn last_night(now: Timestamp, hour: i8) -> Timestamp {
    let began = || -> Result<jiff::Timestamp, jiff::Error> {
        let now = jiff::Timestamp::from_millisecond(now.as_millis())?;
        let local = now.to_zoned(TimeZone::system());
        let today = local.start_of_day()?.with().hour(hour).build()?;
        let night = if today > local {
            today.checked_sub(1.day())?
        } else {
            today
        };
        Ok(night.timestamp())
    };
    // Only at the ends of time.
    began().map_or(now, |night| Timestamp(night.as_millisecond()))
}

/// What a run did.
struct Done {
    removed: Removed,
    is_whole: bool,
    is_small: bool,
    is_held_up: bool,
    tidied: Tidied,
    recorded: Recorded,
    /// What went wrong without costing the rest.
    faults: Vec<String>,
}

fn tend(
    ctx: &Context,
    config: &Config,
    location: &Location,
    store: &mut Store,
    now: Timestamp,
) -> anyhow::Result<Done> {
    let budget = Budget::new(ctx, config);
    let work = look(ctx, config, store, now)?;
    let mut sweep = Sweep {
        store: &mut *store,
        config,
        unit: ctx.unit(),
        now,
        budget: &budget,
        removed: Removed::default(),
        is_held_up: false,
    };
    let is_whole = sweep.by_age(&work)?;
    let is_small = sweep.by_size()?;
    let (removed, is_held_up) = (sweep.removed, sweep.is_held_up);
    if work.is_night && budget.is_left() {
        store.optimize()?;
    }
    let mut faults = Vec::new();
    let backed_up = work.backs_up && back_up(ctx, config, store, now, &mut faults);
    let tidied = file::tidy(store, config, &budget)?;
    let mut readings = volume::sizes(&store.figures()?);
    match volume::shares(location) {
        Ok(shares) => readings.extend(shares),
        Err(error) => {
            let reason = format!("the file system of the store: {error}");
            fault(&mut faults, reason);
        }
    }
    let recorded = Run {
        unit: ctx.unit(),
        host: ctx.host(),
        now,
        readings: &readings,
        storage: &config.storage,
        removed,
        is_whole,
        is_night: work.is_night,
        backed_up,
    }
    .record(store)?;
    events::tell(&recorded.changes, &recorded.dropped);
    leave_figures(ctx, &recorded, &readings, &mut faults)?;
    Ok(Done {
        removed,
        is_whole,
        is_small,
        is_held_up,
        tidied,
        recorded,
        faults,
    })
}

/// Leaves the figures of this run for the exporter.
fn leave_figures(
    ctx: &Context,
    recorded: &Recorded,
    readings: &[Reading],
    faults: &mut Vec<String>,
) -> anyhow::Result<()> {
    metrics::fill(ctx.metrics().registry(), &recorded.after, readings)
        .context("registering the figures of this run")?;
    if let Err(error) = ctx.metrics().write_textfile(ctx.paths()) {
        let reason = format!(
            "{} cannot be written, run `systemd-tmpfiles --create roundsman.conf` (as root): \
             {error}",
            ctx.paths().textfiles().join("janitor.prom").display()
        );
        fault(faults, reason);
    }
    Ok(())
}

fn fault(faults: &mut Vec<String>, reason: String) {
    log::warn!("{reason}");
    faults.push(reason);
}

fn back_up(
    ctx: &Context,
    config: &Config,
    store: &mut Store,
    now: Timestamp,
    faults: &mut Vec<String>,
) -> bool {
    let directory = ctx.paths().at(&config.backup.directory);
    match backup::back_up(store, &directory, config.backup.keep, now) {
        Ok(copy) => {
            log::debug!("the store was copied to {}", copy.display());
            true
        }
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            log::warn!(
                MESSAGE_ID = id::BACKUP_FAILED,
                "ROUNDSMAN_TARGET" = directory.display().to_string(),
                "ROUNDSMAN_CAUSE" = error;
                "no backup was made: {error}"
            );
            faults.push(format!("no backup: {error}"));
            false
        }
    }
}

impl Done {
    fn end(&self) -> End {
        let (removed, tidied) = (&self.removed, &self.tidied);
        let after = &self.recorded.after;
        let unmoved = tidied
            .checkpoint
            .pages
            .saturating_sub(tidied.checkpoint.moved);
        let mut figures: Map<String, Value> = Map::new();
        for (name, count) in [
            ("events_removed", removed.events),
            ("deliveries_removed", removed.deliveries),
            ("samples_removed", removed.samples),
            ("dropped", self.recorded.dropped.total()),
            ("bytes_given_back", tidied.given_back),
            ("log_pages_unmoved", unmoved),
            ("conditions", after.conditions.len() as u64),
        ] {
            figures.insert(name.into(), count.into());
        }
        let mut sentence = vec![format!(
            "removed {} events, {} deliveries, {} samples; gave back {}",
            removed.events,
            removed.deliveries,
            removed.samples,
            Size(tidied.given_back)
        )];
        if self.is_held_up {
            sentence.push("somebody reads for long, so that the log is full: ended early".into());
        } else if !self.is_whole {
            sentence.push("the time was up, the next run goes on".into());
        } else if !self.is_small {
            sentence.push("the database is larger than events.size".into());
        }
        if tidied.is_rigid {
            let remedy = "the file cannot shrink: stop roundsman.target and rewrite it with \
                          sqlite3, see roundsman-janitor(8)";
            sentence.push(remedy.into());
        }
        sentence.extend(self.faults.iter().cloned());
        let outcome = match self.faults.is_empty() && !tidied.is_rigid {
            true => Outcome::Ok,
            false => Outcome::Degraded,
        };
        End {
            outcome,
            class: None,
            sentence: sentence.join("; "),
            figures,
        }
    }
}

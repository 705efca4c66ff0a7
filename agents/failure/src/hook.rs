//! A unit has failed. Its failure is on disk before anything else is tried, and in the store
//! whatever becomes of the lines that go with it.

use roundsman_kit::{Class, Context, Fault};
use roundsman_store::{Location, Role, Store};

use crate::config::Config;
use crate::cycle::{self, Done};
use crate::journal::{self, Lines};
use crate::marker::Markers;
use crate::record::{self, Recorded};
use crate::report::Report;
use crate::unit_name::is_unit_name;

/// Records the failure of `unit`.
pub fn run(ctx: &Context, config: &Config, unit: &str) -> anyhow::Result<()> {
    if !is_unit_name(unit) {
        let message = format!("\"{unit}\" is no unit name; systemd starts this by OnFailure=");
        return Err(Fault::new(Class::Config, message).into());
    }
    let report = Report::from_env(ctx.clock().now());
    let markers = Markers::new(ctx);
    let mut pending = markers.add(unit, &report).unwrap_or_else(|error| {
        log::warn!("{unit}: if the store cannot take this failure, it is lost: {error:#}");
        Vec::new()
    });
    if !pending.contains(&report) {
        pending.push(report.clone());
    }
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Agent)?;
    let lines = journal::last_lines(unit, &report.invocation, config.journal_lines);
    if let Some(trouble) = &lines.trouble {
        log::warn!("{unit}: some of its last journal lines are missing: {trouble}");
    }
    for (told, recorded) in store_all(ctx, &mut store, unit, &pending, &lines)? {
        record::tell(unit, told, recorded);
    }
    if let Err(error) = markers.settle(unit, &pending) {
        log::warn!("{unit}: its marker: {error:#}");
    }
    Ok(())
}

/// One transaction: what earlier hooks could not store, then this failure, the last of
/// `pending`, with its lines.
fn store_all<'a>(
    ctx: &Context,
    store: &mut Store,
    unit: &str,
    pending: &'a [Report],
    lines: &Lines,
) -> anyhow::Result<Vec<(&'a Report, Recorded)>> {
    let now = ctx.clock().now();
    let agent = ctx.agent();
    let Some((this, earlier)) = pending.split_last() else {
        return Ok(Vec::new());
    };
    let sentence = match &lines.trouble {
        Some(trouble) => format!("{}; {trouble}", record::message(unit, this)),
        None => record::message(unit, this),
    };
    let recorded = store.publish(|tx| {
        let mut recorded = Vec::with_capacity(pending.len());
        for report in earlier {
            let outcome = record::failure(tx, agent, unit, report, &[], now)?;
            recorded.push((report, outcome));
        }
        let outcome = record::failure(tx, agent, unit, this, &lines.lines, now)?;
        recorded.push((this, outcome));
        let done = Done {
            started: this.at,
            is_degraded: lines.trouble.is_some(),
            sentence: sentence.clone(),
            figures: vec![
                ("failures", pending.len() as u64),
                ("journal_lines", lines.lines.len() as u64),
            ],
        };
        cycle::record(ctx, tx, &done)?;
        Ok(recorded)
    })?;
    Ok(recorded)
}

//! One run: open the store as the one who may change its schema, and say what changed.

use std::fmt::Write as _;

use anyhow::Context as _;
use roundsman_kit::Context;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::{Location, Migration, Role, Store};

/// The whole run.
pub fn run(ctx: &Context) -> anyhow::Result<()> {
    let started = ctx.clock().now();
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let mut store = Store::open(&location, Role::Migrate)?;
    let Some(migration) = store.migration().cloned() else {
        log::debug!("{} is current", location.db().display());
        return Ok(());
    };
    let sentence = sentence(&migration);
    log::info!(
        MESSAGE_ID = id::STORE_MIGRATED,
        "ROUNDSMAN_SCHEMA" = migration.to;
        "{}: {sentence}",
        location.db().display()
    );
    record(ctx, &mut store, started, &migration, &sentence)
}

/// Only a run that changed something is recorded: the others come with every start of an agent,
/// and would each cost a commit to say nothing.
fn record(
    ctx: &Context,
    store: &mut Store,
    started: Timestamp,
    migration: &Migration,
    sentence: &str,
) -> anyhow::Result<()> {
    let unit = ctx.unit();
    let cycle = NewCycle {
        unit: &unit,
        started,
        finished: ctx.clock().now(),
        outcome: Outcome::Ok,
        class: None,
        sentence,
        figures: [
            ("from_schema", migration.from.into()),
            ("to_schema", migration.to.into()),
        ]
        .map(|(name, value)| (String::from(name), value))
        .into_iter()
        .collect(),
    };
    store
        .write(|tx| cycle::record(tx, &cycle))
        .context("the store is migrated, but its cycle was not recorded")
}

fn sentence(migration: &Migration) -> String {
    let Migration {
        from,
        to,
        steps,
        copy,
    } = migration;
    let steps = steps.join(", ");
    let mut sentence = match from {
        0 => format!("made with schema {to} ({steps})"),
        _ => format!("brought from schema {from} to {to} ({steps})"),
    };
    if let Some(copy) = copy {
        // Writing to a String does not fail.
        let _ = write!(sentence, "; as it was before: {}", copy.display());
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_the_steps_and_the_copy() {
        let mut migration = Migration {
            from: 0,
            to: 1,
            steps: vec!["0001_foundation"],
            copy: None,
        };
        assert_eq!(sentence(&migration), "made with schema 1 (0001_foundation)");
        migration.from = 1;
        migration.to = 3;
        migration.steps = vec!["0002_a", "0003_b"];
        migration.copy = Some("/var/lib/roundsman/roundsman.db.schema-1".into());
        assert_eq!(
            sentence(&migration),
            "brought from schema 1 to 3 (0002_a, 0003_b); as it was before: \
             /var/lib/roundsman/roundsman.db.schema-1"
        );
    }
}

//! `roundsman deliveries retry` and `drop`: what a person wants otherwise than herald does.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, DeliveryId, Filter, State};
use roundsman_store::{ReadTx, Result, WriteTx};

use super::row::Row;
use super::{delivery_id, no_delivery, refuse, unknown_endpoint};
use crate::host::Host;
use crate::moment;
use crate::terminal::{Out, escape};

/// How many parked ones are changed in one transaction: everybody waits for it.
const MOST: u32 = 5_000;

/// The options of `roundsman deliveries retry`.
#[derive(Debug, Args)]
pub struct Retry {
    #[command(flatten)]
    which: Which,
    /// Of the parked ones, those made since this time
    #[arg(long, value_name = "TIME", requires = "parked", conflicts_with = "ids",
          value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
}

/// The options of `roundsman deliveries drop`.
#[derive(Debug, Args)]
pub struct Discard {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The numbers that the list shows
    #[arg(value_name = "ID", value_parser = delivery_id,
          required_unless_present = "parked", conflicts_with = "parked")]
    ids: Vec<DeliveryId>,
    /// All that are parked
    #[arg(long)]
    parked: bool,
    /// Of the parked ones, those to this endpoint
    #[arg(
        long,
        value_name = "ENDPOINT",
        requires = "parked",
        conflicts_with = "ids"
    )]
    endpoint: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// A delivery that is changed, in words.
struct Picked {
    id: DeliveryId,
    text: String,
}

/// What is changed, and what is not.
#[derive(Default)]
struct Choice {
    picked: Vec<Picked>,
    refused: Vec<String>,
    /// Why those to some endpoints do not go now, by endpoint.
    holds: BTreeMap<String, String>,
    /// There may be more than one transaction takes.
    is_cut: bool,
}

impl Retry {
    /// Puts them back.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let now = moment::now();
        let choice = self
            .which
            .change(host, self.since, not_sendable, |tx, id| {
                delivery::put_back(tx, id, now)
            })?;
        let words = if self.which.dry_run {
            "would be put back"
        } else {
            "put back, due now"
        };
        self.which.tell(&choice, words, out)?;
        if !choice.picked.is_empty() {
            writeln!(
                out,
                "They go out of their order, as you asked: the endpoint may have later ones already."
            )?;
            for hold in choice.holds.values() {
                writeln!(out, "note: {}", escape(hold))?;
            }
        }
        Ok(refuse(&choice.refused))
    }
}

impl Discard {
    /// Forgets them.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let choice = self
            .which
            .change(host, None, not_droppable, delivery::discard)?;
        let words = if self.which.dry_run {
            "would be dropped"
        } else {
            "dropped"
        };
        self.which.tell(&choice, words, out)?;
        Ok(refuse(&choice.refused))
    }
}

/// Why a delivery cannot be put back.
fn not_sendable(row: &Row, now: Timestamp) -> Option<String> {
    let delivery = &row.delivery;
    if delivery.state == State::Due {
        let why = match (row.state().0, row.next(now)) {
            ("due", next) => format!("is due already; next try: {next}"),
            (state, _) => format!("is due already ({state})"),
        };
        return Some(why);
    }
    // Without a body it is made from its event again.
    let is_lost = delivery.body.is_none() && row.event.is_none();
    is_lost.then(|| "cannot be made again: its event is no longer in the store".into())
}

/// Why a delivery cannot be dropped.
fn not_droppable(row: &Row, _now: Timestamp) -> Option<String> {
    (row.delivery.state == State::Done)
        .then(|| "is done: its endpoint has it, and the row keeps it from being sent twice".into())
}

impl Which {
    /// Chooses and changes in one transaction, so that what is told is what was done. It is
    /// synced like an event: what a person was told stands, also after a power cut.
    fn change(
        &self,
        host: &Host,
        since: Option<Timestamp>,
        objection: impl Fn(&Row, Timestamp) -> Option<String>,
        change: impl Fn(&WriteTx<'_>, DeliveryId) -> Result<bool>,
    ) -> anyhow::Result<Choice> {
        if self.dry_run {
            return Ok(host
                .store()?
                .read(|tx| self.choose(tx, since, &objection))?);
        }
        let mut store = host.writer("change deliveries")?;
        let choice = store.publish(|tx| {
            let choice = self.choose(tx, since, &objection)?;
            for picked in &choice.picked {
                change(tx, picked.id)?;
            }
            Ok(choice)
        });
        choice.context("changing deliveries")
    }

    fn choose(
        &self,
        tx: &ReadTx<'_>,
        since: Option<Timestamp>,
        objection: &impl Fn(&Row, Timestamp) -> Option<String>,
    ) -> Result<Choice> {
        let mut choice = Choice::default();
        let mut found = Vec::new();
        if self.parked {
            if let Some(name) = &self.endpoint {
                choice.refused.extend(unknown_endpoint(tx, name)?);
            }
            let filter = Filter {
                endpoint: self.endpoint.clone(),
                state: Some(State::Parked),
                since,
            };
            found = delivery::list_without_bodies(tx, &filter, MOST)?;
            choice.is_cut = found.len() == MOST as usize;
        }
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            match delivery::get(tx, id)? {
                Some(delivery) => found.push(delivery),
                None => choice.refused.push(no_delivery(id)),
            }
        }
        let now = moment::now();
        for row in Row::of(tx, found)? {
            match objection(&row, now) {
                Some(why) => {
                    let id = row.delivery.id.0;
                    choice.refused.push(format!("delivery {id} {why}"));
                }
                None => choice.pick(&row),
            }
        }
        Ok(choice)
    }

    fn tell(&self, choice: &Choice, words: &str, out: &mut Out) -> anyhow::Result<()> {
        for picked in &choice.picked {
            writeln!(out, "{}", escape(&picked.text))?;
        }
        match choice.picked.len() {
            0 if choice.refused.is_empty() => writeln!(out, "no such delivery is parked")?,
            0 => {}
            1 => writeln!(out, "1 delivery {words}")?,
            n => writeln!(out, "{n} deliveries {words}")?,
        }
        if choice.is_cut {
            writeln!(
                out,
                "{MOST} are taken at once: run it again, there may be more"
            )?;
        }
        Ok(())
    }
}

impl Choice {
    fn pick(&mut self, row: &Row) {
        let delivery = &row.delivery;
        let name = &delivery.endpoint;
        if let Some(endpoint) = &row.endpoint {
            let hold = if endpoint.gone_at.is_some() {
                Some(format!(
                    "endpoint {name} has left the configuration; what is owed to it waits for its return"
                ))
            } else if endpoint.disabled_at.is_some() {
                Some(format!(
                    "endpoint {name} is disabled; what is owed to it waits for `roundsman endpoints enable {name}`"
                ))
            } else {
                None
            };
            self.holds.extend(hold.map(|hold| (name.clone(), hold)));
        }
        self.picked.push(Picked {
            id: delivery.id,
            text: format!(
                "{} to {name}: {}, {}, {} ({})",
                delivery.id.0,
                row.state().0,
                row.about(),
                delivery.uid,
                row.last(),
            ),
        });
    }
}

//! `roundsman deliveries`: what is owed to endpoints, and what a person does about it.

mod change;
mod list;
mod row;
mod show;

use std::process::ExitCode;

pub use row::Row;

use clap::{Args, Subcommand};
use roundsman_store::ReadTx;
use roundsman_store::delivery::DeliveryId;
use roundsman_store::endpoint;

use crate::host::Host;
use crate::moment;
use crate::terminal::{Out, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman deliveries
  roundsman deliveries --parked --endpoint ops
  roundsman deliveries show 41
  roundsman deliveries retry --parked --since today --dry-run
  roundsman deliveries drop 41 42

States are due, done and parked. Of those that are due, `waiting` ones wait for an earlier one with
the same key, and `orphaned` ones for their endpoint to return to the configuration.
";

/// The options of `roundsman deliveries`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n{}", moment::FORMS))]
pub struct Options {
    #[command(flatten)]
    list: list::List,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries; also what happens without a subcommand
    #[command(after_long_help = moment::FORMS)]
    List(list::List),
    /// Show everything that is known of one
    Show(show::Show),
    /// Send parked or done ones again
    #[command(after_long_help = moment::FORMS)]
    Retry(change::Retry),
    /// Forget due or parked ones
    Drop(change::Discard),
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(_) if !self.list.is_plain() => Ok(super::refuse_early()),
            None => self.list.run(host, out),
            Some(Action::List(options)) => options.run(host, out),
            Some(Action::Show(options)) => options.run(host, out),
            Some(Action::Retry(options)) => options.run(host, out),
            Some(Action::Drop(options)) => options.run(host, out),
        }
    }
}

/// The exit code for a name that stands for nothing, or for something in another state.
pub const NOT_THAT_ONE: u8 = 1;

/// Says what could not be done on standard error; the exit code tells whether there was any.
pub fn refuse(reasons: &[String]) -> ExitCode {
    for reason in reasons {
        eprintln!("roundsman: {}", escape(reason));
    }
    let code = if reasons.is_empty() { 0 } else { NOT_THAT_ONE };
    code.into()
}

/// Why an endpoint cannot be meant, if it does not exist.
pub fn unknown_endpoint(tx: &ReadTx<'_>, name: &str) -> roundsman_store::Result<Option<String>> {
    let known: Vec<String> = endpoint::list(tx)?
        .into_iter()
        .map(|one| one.name)
        .collect();
    if known.iter().any(|one| one == name) {
        return Ok(None);
    }
    let known = if known.is_empty() {
        "herald has met none yet".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    };
    Ok(Some(format!("there is no endpoint \"{name}\" ({known})")))
}

/// The value parser of a delivery's id.
fn delivery_id(text: &str) -> Result<DeliveryId, String> {
    match text.parse() {
        Ok(id) if id > 0 => Ok(DeliveryId(id)),
        _ => Err("write the number that `roundsman deliveries` shows".into()),
    }
}

/// Why nothing can be done with an id that there is not.
fn no_delivery(id: DeliveryId) -> String {
    format!("there is no delivery {}", id.0)
}

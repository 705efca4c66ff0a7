//! `roundsman endpoints test`: one request now, and what came of it. Herald makes it, for it alone
//! has the secrets; the store carries the question and the answer.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use roundsman_kit::{Class, Fault};
use roundsman_store::event::{self, Event, EventId, Filter};
use roundsman_store::trial::{self, NewTrial, Report, Trial, TrialId};
use roundsman_store::{Doorbell, ReadTx, Result, Store};
use serde::Serialize;

use crate::bell::hear;
use crate::commands::deliveries::{NOT_THAT_ONE, refuse, unknown_endpoint};
use crate::commands::triggers::find;
use crate::herald::{Herald, UNIT};
use crate::host::Host;
use crate::moment;
use crate::terminal::{BAD, GOOD, HEAD, Out, complain, escape};

/// How long herald may take to begin: it looks each 5 s even if nobody rings.
const BEGIN: Duration = Duration::from_secs(6);

/// What is added to the endpoint's timeout.
const MARGIN: Duration = Duration::from_secs(5);

/// The longest timeout that an endpoint may have, where the configuration cannot be read.
const LONGEST: Duration = Duration::from_secs(300);

/// How many events are looked at for one that a trigger would send there: the newest.
const LOOKED_AT: u32 = 1000;

const EXAMPLES: &str = "\
Examples:
  roundsman endpoints test ops
  roundsman endpoints test ops --event 4711 --json

One request goes out at once, also to an endpoint that is down or disabled; it counts for nothing.
Its webhook-id begins with \"test-\", so that no receiver takes it for a delivery.

Exit codes: 0 answered 2xx; 1 anything else, or no such endpoint or event; 75 herald does not run,
or did not tell in time.";

/// Which endpoint, and what to send.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Test {
    /// The endpoint
    name: String,
    /// Send this event (its number or uid) instead of the newest that a trigger sends there; a
    /// made-up one is sent if there is none
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// An event, and the trigger that sends it there; neither where one is made up.
type Choice = (Option<EventId>, Option<String>);

#[derive(Serialize)]
struct Told<'t> {
    endpoint: &'t str,
    is_ok: bool,
    event_id: Option<EventId>,
    trigger: Option<&'t str>,
    signature: &'static str,
    #[serde(flatten)]
    report: &'t Report,
}

impl Test {
    /// Asks herald, waits, and tells.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let herald = match Herald::load(host) {
            Ok(herald) => Some(herald),
            Err(why) => {
                complain([format!("{why:#}; a made-up event is sent")]);
                None
            }
        };
        let mut store = host.writer("test an endpoint")?;
        let chosen = store.read(|tx| self.choose(tx, herald.as_ref()))?;
        let (event, trigger) = match chosen {
            Ok(chosen) => chosen,
            Err(why) => return Ok(refuse(&[why])),
        };
        let mut doorbell = Doorbell::open(&host.location()?)?;
        let new = NewTrial {
            endpoint: &self.name,
            event,
            trigger: trigger.as_deref(),
            now: moment::now(),
        };
        let asked = store.write(|tx| trial::insert(tx, &new));
        let id = asked.context("asking herald to test an endpoint")?;
        let limit = self.limit(herald.as_ref());
        let trial = match wait(&mut store, &mut doorbell, id, limit)? {
            Ok(trial) => trial,
            Err(why) => {
                store.write(|tx| trial::discard(tx, id))?;
                return Err(Fault::new(Class::Unavailable, why).into());
            }
        };
        self.tell(&trial, out)
    }

    /// What to send, and the trigger that would; or why there is nothing to do.
    fn choose(
        &self,
        tx: &ReadTx<'_>,
        herald: Option<&Herald>,
    ) -> Result<std::result::Result<Choice, String>> {
        if let Some(why) = unknown_endpoint(tx, &self.name)? {
            return Ok(Err(why));
        }
        let trigger_of = |event: &Event| {
            let name = herald.and_then(|herald| herald.sends(event, &self.name));
            name.map(str::to_owned)
        };
        if let Some(text) = &self.event {
            return Ok(match find(tx, text)? {
                Some(event) => Ok((Some(event.id), trigger_of(&event))),
                None => Err(format!("there is no event \"{text}\" in the store")),
            });
        }
        let newest = event::last_apart(tx, &Filter::default(), LOOKED_AT)?;
        let mut newest = newest.found.iter().rev();
        let fits = newest.find_map(|event| Some((Some(event.id), Some(trigger_of(event)?))));
        Ok(Ok(fits.unwrap_or_default()))
    }

    fn limit(&self, herald: Option<&Herald>) -> Duration {
        let settings = herald.and_then(|herald| herald.settings.endpoints.get(&self.name));
        settings.map_or(LONGEST, |endpoint| endpoint.timeout.0) + MARGIN
    }

    fn tell(&self, trial: &Trial, out: &mut Out) -> anyhow::Result<ExitCode> {
        let told = Told {
            endpoint: &self.name,
            is_ok: matches!(trial.report.status, Some(200..=299)),
            event_id: trial.event,
            trigger: trial.trigger.as_deref(),
            signature: signature(trial.report.request.as_deref().unwrap_or_default()),
            report: &trial.report,
        };
        match self.json {
            true => out.json_line(&told)?,
            false => text(&told, out)?,
        }
        Ok(if told.is_ok { 0 } else { NOT_THAT_ONE }.into())
    }
}

/// Waits until it is over, or says why that is not worth while any more.
fn wait(
    store: &mut Store,
    doorbell: &mut Doorbell,
    id: TrialId,
    limit: Duration,
) -> anyhow::Result<std::result::Result<Trial, String>> {
    let started = Instant::now();
    loop {
        let Some(trial) = store.read(|tx| trial::get(tx, id))? else {
            return Ok(Err("the test was removed by somebody else".into()));
        };
        if trial.done_at.is_some() {
            return Ok(Ok(trial));
        }
        let has_begun = trial.begun_at.is_some();
        let limit = if has_begun { limit } else { BEGIN };
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(Err(match has_begun {
                true => format!(
                    "herald has not told within {} what came of it (journalctl -u {UNIT})",
                    moment::span(limit)
                ),
                false => format!(
                    "herald could not be asked: it does not answer (systemctl start {UNIT}, then \
                     systemctl status {UNIT})"
                ),
            }));
        }
        hear(doorbell, left)?;
    }
}

/// How the request was signed, by its head.
fn signature(head: &str) -> &'static str {
    let has = |name: &str| head.lines().any(|line| line.starts_with(name));
    if has("webhook-signature:") {
        "standard"
    } else if has("x-hub-signature-256:") {
        "hub"
    } else {
        "none"
    }
}

fn text(told: &Told<'_>, out: &mut Out) -> anyhow::Result<()> {
    let report = told.report;
    let style = if told.is_ok { GOOD } else { BAD };
    let title = out.paint(HEAD, &format!("endpoint {}", told.endpoint));
    let verdict = out.paint(
        style,
        if told.is_ok {
            "takes it"
        } else {
            "does not take it"
        },
    );
    writeln!(out, "{title} {verdict}")?;
    let event = match (told.event_id, told.trigger) {
        (None, _) => "a made-up herald.test".to_owned(),
        (Some(id), None) => format!("{}, which no trigger sends there", id.0),
        (Some(id), Some(trigger)) => format!("{}, as trigger {trigger} sends it", id.0),
    };
    let status = report.status.map(|status| status.to_string());
    let fields = [
        ("url", report.url.clone()),
        ("event", Some(event)),
        ("status", Some(status.unwrap_or_else(|| "no answer".into()))),
        ("took", report.took_ms.map(|took| format!("{took} ms"))),
        ("signature", Some(told.signature.to_owned())),
        ("error", report.error.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(out, "  {name:<9}  {}", escape(&value))?;
        }
    }
    for (name, part) in [("request", &report.request), ("answer", &report.answer)] {
        if let Some(part) = part.as_ref().filter(|part| !part.is_empty()) {
            writeln!(out, "{}", out.paint(HEAD, name))?;
            for line in part.lines() {
                writeln!(out, "  {}", escape(line))?;
            }
        }
    }
    Ok(())
}

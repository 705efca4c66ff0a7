//! A delivery with the event and the endpoint that it belongs to.

use anstyle::Style;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{Delivery, State};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{self, Event};
use roundsman_store::{ReadTx, Result};
use serde::Serialize;

use crate::moment;
use crate::terminal::{BAD, FAINT, GOOD, ODD};

/// A delivery, its event if it is still there, its endpoint if herald has met it.
pub struct Row {
    pub delivery: Delivery,
    pub event: Option<Event>,
    pub endpoint: Option<Endpoint>,
}

/// A delivery as a line of JSON.
#[derive(Serialize)]
pub struct Json<'a> {
    id: i64,
    uid: &'a str,
    endpoint: &'a str,
    trigger: &'a str,
    event_id: Option<i64>,
    order_key: Option<&'a str>,
    severity: event::Severity,
    state: State,
    is_waiting: bool,
    is_orphaned: bool,
    created_at: Timestamp,
    /// `created_at` in RFC 3339.
    time: String,
    next_at: Option<Timestamp>,
    attempts: u32,
    redelivered: u32,
    last_at: Option<Timestamp>,
    last_status: Option<u16>,
    last_error: Option<&'a str>,
    kind: Option<&'a str>,
    subject: Option<&'a str>,
}

impl Row {
    /// Looks up what belongs to each delivery.
    pub fn of(tx: &ReadTx<'_>, deliveries: Vec<Delivery>) -> Result<Vec<Self>> {
        let endpoints = endpoint::list(tx)?;
        let row = |delivery: Delivery| {
            let event = match delivery.event {
                Some(id) => event::by_id(tx, id)?,
                None => None,
            };
            let endpoint = endpoints.iter().find(|one| one.name == delivery.endpoint);
            Ok(Self {
                event,
                endpoint: endpoint.cloned(),
                delivery,
            })
        };
        deliveries.into_iter().map(row).collect()
    }

    /// It is due, but its endpoint has left the configuration.
    pub fn is_orphaned(&self) -> bool {
        let is_gone = |endpoint: &Endpoint| endpoint.gone_at.is_some();
        self.delivery.state == State::Due && self.endpoint.as_ref().is_some_and(is_gone)
    }

    /// It is due, but an earlier one with its key goes first.
    pub fn is_waiting(&self) -> bool {
        self.delivery.state == State::Due && self.delivery.is_blocked
    }

    /// Its state as a person sees it, and how that is painted.
    pub fn state(&self) -> (&'static str, Style) {
        match self.delivery.state {
            State::Due if self.is_orphaned() => ("orphaned", ODD),
            State::Due if self.is_waiting() => ("waiting", FAINT),
            State::Due if self.delivery.last_error.is_some() => ("due", ODD),
            State::Due => ("due", Style::new()),
            State::Done => ("done", GOOD),
            State::Parked => ("parked", BAD),
        }
    }

    /// When it is tried next, as far as that is known.
    pub fn next(&self, now: Timestamp) -> String {
        if self.delivery.state != State::Due || self.is_orphaned() || self.is_waiting() {
            return "-".into();
        }
        let mut at = self.delivery.next_at;
        if let Some(endpoint) = &self.endpoint {
            if endpoint.disabled_at.is_some() {
                return "when enabled".into();
            }
            // Nothing goes to the endpoint before, whatever is due.
            at = endpoint
                .not_before
                .map_or(at, |not_before| at.max(not_before));
        }
        if at <= now {
            return "now".into();
        }
        moment::relative(at, now)
    }

    /// What its event is about, else of which kind it is.
    pub fn about(&self) -> &str {
        match &self.event {
            Some(event) => event.subject.as_ref().unwrap_or(&event.kind),
            None if self.delivery.event.is_none() => "a group of events",
            None => "-",
        }
    }

    /// The last status and error in one: the error names the status where it is about it.
    pub fn last(&self) -> String {
        let delivery = &self.delivery;
        match (delivery.last_status, &delivery.last_error) {
            (_, Some(error)) => error.clone(),
            (Some(status), None) => format!("answered {status}"),
            (None, None) => "-".into(),
        }
    }

    /// For other programs: the row, and what is awkward to derive from it.
    pub fn json(&self) -> Json<'_> {
        let delivery = &self.delivery;
        Json {
            id: delivery.id.0,
            uid: &delivery.uid,
            endpoint: &delivery.endpoint,
            trigger: &delivery.trigger,
            event_id: delivery.event.map(|id| id.0),
            order_key: delivery.order_key.as_deref(),
            severity: delivery.severity,
            state: delivery.state,
            is_waiting: self.is_waiting(),
            is_orphaned: self.is_orphaned(),
            created_at: delivery.created_at,
            time: delivery.created_at.to_string(),
            next_at: (delivery.state == State::Due).then_some(delivery.next_at),
            attempts: delivery.attempts,
            redelivered: delivery.redelivered,
            last_at: delivery.last_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error.as_deref(),
            kind: self.event.as_ref().map(|event| event.kind.as_str()),
            subject: self
                .event
                .as_ref()
                .and_then(|event| event.subject.as_deref()),
        }
    }
}

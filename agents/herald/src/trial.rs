//! Tests that a person asks for (`roundsman endpoints test`). A request goes out at once, whatever
//! is known of the endpoint; nothing of it counts as a delivery, or for or against the endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::Uri;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Delivery, DeliveryId};
use roundsman_store::event::{self, Event, EventId, Severity};
use roundsman_store::trial::{self, Report, Trial, TrialId};
use roundsman_store::{ReadTx, Result, Store};

use crate::client::{Outcome, Request};
use crate::lane::{Candidate, Lane};
use crate::sender::{Post, Sender};
use crate::transport::Payload;

/// How many are looked at at once.
const MOST: u32 = 16;

/// Nobody waits for one that is older: whoever asked was killed.
const STALE: Duration = Duration::from_secs(60);

/// The most that is kept of the head of a request, in bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// A part of a path that is this long is taken for a secret, as in the URLs of chats.
const LONG_SEGMENT: usize = 16;

/// The trigger that is named where none would send the event.
const NO_TRIGGER: &str = "test";

/// A test that is over.
type Over = (TrialId, Report);

/// Tests that are under way.
pub struct Trials {
    agent: &'static str,
    under_way: BTreeSet<TrialId>,
    /// Over, and not recorded yet.
    ended: Vec<Over>,
    /// Where requests put what came of them, and where that is found.
    results: (mpsc::Sender<Over>, mpsc::Receiver<Over>),
}

impl Trials {
    /// None yet.
    pub fn new(agent: &'static str) -> Self {
        Self {
            agent,
            under_way: BTreeSet::new(),
            ended: Vec::new(),
            results: mpsc::channel(),
        }
    }

    /// Takes up what was asked for, and records what is over.
    ///
    /// # Errors
    /// That of the store; what is over is recorded by the next call.
    pub fn run(
        &mut self,
        store: &mut Store,
        lanes: &BTreeMap<Arc<str>, Lane>,
        sender: &Sender,
        now: Timestamp,
    ) -> Result<()> {
        self.ended.extend(self.results.1.try_iter());
        let under_way = &self.under_way;
        let fresh = store.read(|tx| {
            let mut open = trial::open(tx, MOST)?;
            open.retain(|one| !under_way.contains(&one.id));
            let with_event = |one: Trial| event_of(tx, &one).map(|event| (one, event));
            open.into_iter().map(with_event).collect::<Result<Vec<_>>>()
        })?;
        if !fresh.is_empty() {
            store.write(|tx| {
                fresh
                    .iter()
                    .try_for_each(|(one, _)| trial::begin(tx, one.id, now).map(drop))
            })?;
        }
        for (one, event) in fresh {
            self.under_way.insert(one.id);
            match self.prepare(&one, event, lanes, now) {
                Ok((post, payload, report)) => self.start(one.id, sender, post, payload, report),
                Err(report) => self.ended.push((one.id, report)),
            }
        }
        self.record(store, now)
    }

    fn record(&mut self, store: &mut Store, now: Timestamp) -> Result<()> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let ended = &self.ended;
        store.write(|tx| {
            ended
                .iter()
                .try_for_each(|(id, report)| trial::finish(tx, *id, report, now).map(drop))
        })?;
        for (id, _) in self.ended.drain(..) {
            self.under_way.remove(&id);
        }
        Ok(())
    }

    /// The request, and what is known of it before it is sent.
    fn prepare(
        &self,
        one: &Trial,
        event: Option<Event>,
        lanes: &BTreeMap<Arc<str>, Lane>,
        now: Timestamp,
    ) -> std::result::Result<(Arc<Post>, Payload, Report), Report> {
        if now.since(one.at) > STALE {
            return Err(failed("it was asked for too long ago"));
        }
        let Some(lane) = lanes.get(&*one.endpoint) else {
            return Err(failed(
                "herald's configuration in force has no such endpoint",
            ));
        };
        let event = match (event, one.event) {
            (Some(event), _) => event,
            (None, None) => self.made_up(one, now),
            (None, Some(id)) => {
                let error = format!("event {} is no longer in the store", id.0);
                return Err(failed(error));
            }
        };
        let candidate = Candidate {
            delivery: stand_in(one, &event, now),
            event: Some(event),
        };
        let post = &lane.post;
        let content = post.composer.content(&candidate);
        let made = content.and_then(|content| {
            let uid = &candidate.delivery.uid;
            post.composer.seal(uid, &content, now)
        });
        let payload = made.map_err(|reply| failed(reply.error()))?;
        let report = shown(&payload, lane);
        match &post.transport {
            Ok(_) => Ok((Arc::clone(post), payload, report)),
            Err(error) => Err(Report {
                error: Some(error.clone()),
                ..report
            }),
        }
    }

    fn start(
        &self,
        id: TrialId,
        sender: &Sender,
        post: Arc<Post>,
        payload: Payload,
        report: Report,
    ) {
        let results = self.results.0.clone();
        sender.run(move || async move {
            let report = match &post.transport {
                Ok(transport) => with(report, transport.send(payload).await),
                Err(error) => failed(error.clone()),
            };
            // The main loop is gone only when herald ends.
            let _ = results.send((id, report));
        });
    }

    fn made_up(&self, one: &Trial, now: Timestamp) -> Event {
        Event {
            id: EventId(0),
            uid: wire_id(one, now),
            at: now,
            agent: self.agent.to_owned(),
            kind: format!("{}.test", self.agent),
            state: event::State::Occurred,
            correlation: None,
            severity: Severity::Notice,
            subject: Some(one.endpoint.clone()),
            order_key: None,
            labels: [("endpoint".to_owned(), one.endpoint.clone())].into(),
            data: serde_json::Map::new(),
            message: format!("a test of endpoint {}: nothing has happened", one.endpoint),
            dedup_key: None,
        }
    }
}

fn event_of(tx: &ReadTx<'_>, one: &Trial) -> Result<Option<Event>> {
    match one.event {
        Some(id) => event::by_id(tx, id),
        None => Ok(None),
    }
}

/// A receiver that drops what it has by this id must not take a test for the delivery.
fn wire_id(one: &Trial, now: Timestamp) -> String {
    format!("test-{}-{}", now.as_millis(), one.id.0)
}

/// What the composer takes; it never comes near the table of deliveries.
fn stand_in(one: &Trial, event: &Event, now: Timestamp) -> Delivery {
    Delivery {
        id: DeliveryId(0),
        uid: wire_id(one, now),
        endpoint: one.endpoint.clone(),
        trigger: one.trigger.clone().unwrap_or_else(|| NO_TRIGGER.to_owned()),
        event: Some(event.id),
        order_key: None,
        severity: event.severity,
        state: delivery::State::Due,
        is_blocked: false,
        created_at: now,
        next_at: now,
        attempts: 0,
        redelivered: 0,
        body: None,
        headers: BTreeMap::new(),
        held_by: None,
        owed_at: None,
        is_own: false,
        last_at: None,
        last_status: None,
        last_error: None,
        last_answer: None,
    }
}

/// Where it goes, and its head.
fn shown(payload: &Payload, lane: &Lane) -> Report {
    let (url, head) = match payload {
        Payload::Http(request) => (shown_url(&request.uri), head(request)),
        Payload::Mail(mail) => {
            let message = String::from_utf8_lossy(&mail.message);
            let (head, _) = message.split_once("\r\n\r\n").unwrap_or((&message, ""));
            let server = lane.settings.mail.as_ref();
            let server = server.map_or("", |mail| mail.server.as_str());
            (
                format!("smtp://{server}"),
                bounded(head.replace("\r\n", "\n")),
            )
        }
    };
    Report {
        url: Some(url),
        request: Some(head),
        ..Report::default()
    }
}

fn bounded(mut text: String) -> String {
    let mut end = HEAD_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn failed(error: impl Into<String>) -> Report {
    Report {
        error: Some(error.into()),
        ..Report::default()
    }
}

fn with(report: Report, outcome: Outcome) -> Report {
    let millis = |took: Duration| Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    match outcome {
        Outcome::Answered {
            status,
            head,
            cut,
            took,
            ..
        } => Report {
            status: Some(status),
            error: cut.map(|fault| fault.to_string()),
            took_ms: millis(took),
            answer: Some(String::from_utf8_lossy(&head).into_owned()),
            ..report
        },
        Outcome::Failed { fault, took } => Report {
            error: Some(fault.to_string()),
            took_ms: millis(took),
            ..report
        },
    }
}

/// A URL without its query and without what looks like a token.
fn shown_url(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{host}{}", shown_path(uri))
}

fn shown_path(uri: &Uri) -> String {
    let shown = |part| match part {
        long if str::len(long) >= LONG_SEGMENT => "(hidden)",
        short => short,
    };
    let path: Vec<&str> = uri.path().split('/').map(shown).collect();
    let query = uri.query().map_or("", |_| "?(hidden)");
    path.join("/") + query
}

/// The head of the request as it is sent, without the values of secrets.
fn head(request: &Request) -> String {
    let host = request.uri.authority().map_or("", |host| host.as_str());
    let mut text = format!("POST {} HTTP/1.1\nhost: {host}\n", shown_path(&request.uri));
    for (name, value) in &request.headers {
        let value = match is_secret(name) {
            true => "(hidden)",
            false => value,
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    let _ = write!(text, "content-length: {}", request.body.len());
    bounded(text)
}

/// Whether a field's name says that its value is not for everybody.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = [
        "auth", "cookie", "token", "secret", "password", "key", "session",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;

    #[test]
    fn a_head_shows_signatures_and_hides_secrets() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let uri = "https://hooks.example/services/T0/B0/abcdefghijklmnopqrstuvwx?token=u";
        let request = Request {
            uri: uri.parse().unwrap(),
            headers: vec![
                field("webhook-signature", "v1,abc"),
                field("authorization", "Bearer s3cret"),
                field("X-Api-Key", "s3cret"),
                field("x-tenant", "blue"),
            ],
            body: Bytes::from_static(b"{}"),
        };
        assert_eq!(
            head(&request),
            "POST /services/T0/B0/(hidden)?(hidden) HTTP/1.1\nhost: hooks.example\n\
             webhook-signature: v1,abc\nauthorization: (hidden)\nX-Api-Key: (hidden)\n\
             x-tenant: blue\ncontent-length: 2"
        );
        let shown = "https://hooks.example/services/T0/B0/(hidden)?(hidden)";
        assert_eq!(shown_url(&request.uri), shown);
    }

    #[test]
    fn a_long_head_is_cut() {
        let request = Request {
            uri: "http://a.example/".parse().unwrap(),
            headers: vec![("x-long".to_owned(), "ä".repeat(HEAD_BYTES))],
            body: Bytes::new(),
        };
        assert!((HEAD_BYTES - 1..=HEAD_BYTES).contains(&head(&request).len()));
    }
}

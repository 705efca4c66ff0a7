//! What becomes of a delivery and of its endpoint after an attempt. Pure: everything it needs is
//! passed in, the random number too.

use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::endpoint::Endpoint;

/// How many faults of its own in a row open an endpoint's circuit.
const FAULTS_TO_OPEN: u32 = 5;

/// The first pause between two probes of an open circuit, and the longest.
const PROBE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The shortest pause after an answer that a person has to mend: 401, 403, 404.
const SLOW: Duration = Duration::from_secs(5 * 60);

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The endpoint answered.
    Answered {
        /// With this status.
        status: u16,
        /// It asked for this pause.
        retry_after: Option<Duration>,
    },
    /// The endpoint could not be reached, or did not answer in time.
    Unreachable {
        /// In a sentence.
        error: String,
    },
    /// The request could not be made at all: a template failed, a credential is missing.
    Unsendable {
        /// In a sentence.
        error: String,
        /// Whether it is the endpoint's configuration that is at fault, so that all its
        /// deliveries would fail alike.
        by_endpoint: bool,
    },
}

/// The settings that a judgement goes by.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The pauses between attempts.
    pub schedule: Vec<Duration>,
    /// How often a delivery is tried that the endpoint calls unusable.
    pub tries_if_refused: u32,
    /// The longest pause that the endpoint may ask for.
    pub max_retry_after: Duration,
}

impl Terms {
    /// No attempt puts a delivery off for longer.
    pub fn longest_pause(&self) -> Duration {
        let longest = self.schedule.iter().max().copied().unwrap_or_default();
        longest.mul_f64(1.2).max(SLOW) + self.max_retry_after
    }
}

/// What becomes of the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The endpoint has it.
    Done,
    /// It is tried again at this time; whether this attempt counts.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether it used up one of the pauses of the schedule.
        counts: bool,
        /// What was wrong.
        error: String,
    },
    /// It is not tried any more.
    Park {
        /// Why.
        error: String,
    },
}

impl Reply {
    /// Whether the endpoint has the delivery.
    pub fn is_success(&self) -> bool {
        matches!(self.status(), Some(200..=299))
    }

    /// What was wrong, in a sentence.
    pub fn error(&self) -> String {
        match self {
            Self::Answered { status, .. } => format!("answered {status}"),
            Self::Unreachable { error } | Self::Unsendable { error, .. } => error.clone(),
        }
    }

    /// The status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl Fate {
    /// What was wrong.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Retry { error, .. } | Self::Park { error } => Some(error),
        }
    }
}

/// What an attempt changed about its endpoint, for events and the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its circuit has opened.
    Opened,
    /// It takes deliveries again.
    Recovered,
    /// It wants no more: 410.
    Disabled,
}

/// Whose fault an attempt was.
enum Blame {
    Nobody,
    Endpoint(String),
    Delivery(String),
}

/// Judges one attempt. `attempts` counts those before it, `dice` is a random number from 0 to 1.
pub fn judge(
    reply: &Reply,
    attempts: u32,
    endpoint: &mut Endpoint,
    terms: &Terms,
    now: Timestamp,
    dice: f64,
) -> (Fate, Option<Turn>) {
    let was_open = endpoint.opened_at.is_some();
    let blame = blame(reply);
    let turn = note(endpoint, &blame, reply, terms, now, dice);
    let fate = match blame {
        Blame::Nobody => Fate::Done,
        Blame::Endpoint(error) => {
            // While the circuit is open, or just opens, no delivery pays for it, nor for an
            // endpoint that wants nothing at all.
            let is_shut = endpoint.opened_at.is_some() || endpoint.disabled_at.is_some();
            let counts = !was_open && !is_shut;
            let pause = match counts {
                true => pause(terms, attempts, dice),
                false => Some(Duration::ZERO),
            };
            later(pause, now, counts, error)
        }
        Blame::Delivery(error) => refused(reply, attempts, terms, now, dice, error),
    };
    (fate, turn)
}

/// Whether a status says something of the endpoint, and not of the one delivery.
pub fn is_endpoints_status(status: u16) -> bool {
    matches!(status, 410 | 429 | 500..=599)
}

fn blame(reply: &Reply) -> Blame {
    match reply {
        Reply::Answered { status, .. } => match status {
            200..=299 => Blame::Nobody,
            status if is_endpoints_status(*status) => Blame::Endpoint(format!("answered {status}")),
            300..=399 => Blame::Delivery(format!("answered {status}: redirects are not followed")),
            _ => Blame::Delivery(format!("answered {status}")),
        },
        Reply::Unreachable { error } => Blame::Endpoint(error.clone()),
        Reply::Unsendable {
            error,
            by_endpoint: true,
        } => Blame::Endpoint(error.clone()),
        Reply::Unsendable { error, .. } => Blame::Delivery(error.clone()),
    }
}

/// Keeps the endpoint's account.
fn note(
    endpoint: &mut Endpoint,
    blame: &Blame,
    reply: &Reply,
    terms: &Terms,
    now: Timestamp,
    dice: f64,
) -> Option<Turn> {
    let error = match blame {
        Blame::Endpoint(error) => error,
        // An answer that blames the delivery shows that the endpoint works.
        Blame::Nobody | Blame::Delivery(_) => {
            let answered = matches!(reply, Reply::Answered { .. });
            return answered.then(|| works(endpoint, blame, now)).flatten();
        }
    };
    endpoint.failures = endpoint.failures.saturating_add(1);
    endpoint.last_failure = Some(now);
    endpoint.last_error = Some(error.clone());
    if matches!(reply, Reply::Answered { status: 410, .. }) {
        // Others that were under way get the same answer, which is no news.
        let is_news = endpoint.disabled_at.is_none();
        if is_news {
            endpoint.disabled_at = Some(now);
            endpoint.disabled_reason = Some("it answered 410 Gone".into());
        }
        return is_news.then_some(Turn::Disabled);
    }
    let opens = endpoint.opened_at.is_none() && endpoint.failures >= FAULTS_TO_OPEN;
    if opens {
        endpoint.opened_at = Some(now);
    }
    let asked = match reply {
        Reply::Answered { retry_after, .. } => retry_after.map(|d| d.min(terms.max_retry_after)),
        _ => None,
    };
    let probe = endpoint
        .opened_at
        .map(|_| probe_pause(endpoint.failures, dice));
    // An endpoint may ask for more patience than we have, but not for none: "now" and a date in the
    // past are said by servers that would be asked hundreds of times a second.
    let pause = asked.max(probe).filter(|pause| !pause.is_zero());
    if let Some(pause) = pause {
        endpoint.not_before = Some(now.plus(pause));
    }
    opens.then_some(Turn::Opened)
}

fn works(endpoint: &mut Endpoint, blame: &Blame, now: Timestamp) -> Option<Turn> {
    let recovered = endpoint.opened_at.is_some();
    endpoint.failures = 0;
    endpoint.opened_at = None;
    // The pause that it has asked for outlasts the answers to what was under way before.
    if recovered {
        endpoint.not_before = None;
    }
    if matches!(blame, Blame::Nobody) {
        endpoint.last_success = Some(now);
    }
    recovered.then_some(Turn::Recovered)
}

fn probe_pause(failures: u32, dice: f64) -> Duration {
    let (first, longest) = PROBE;
    let doublings = failures.saturating_sub(FAULTS_TO_OPEN).min(16);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    whole / 2 + (whole / 2).mul_f64(dice)
}

/// The pause after so many attempts, a fifth more or less; `None` when the schedule is at its end.
fn pause(terms: &Terms, attempts: u32, dice: f64) -> Option<Duration> {
    let pause = terms.schedule.get(attempts as usize)?;
    Some(pause.mul_f64(0.8 + 0.4 * dice))
}

fn refused(
    reply: &Reply,
    attempts: u32,
    terms: &Terms,
    now: Timestamp,
    dice: f64,
    error: String,
) -> Fate {
    let pause = pause(terms, attempts, dice);
    match reply {
        Reply::Unsendable { .. } => Fate::Park { error },
        Reply::Answered {
            status: 400 | 413 | 415 | 422,
            ..
        } if attempts + 1 >= terms.tries_if_refused => Fate::Park { error },
        // A rollout, or a token that is being replaced: it passes, but not in seconds.
        Reply::Answered {
            status: 401 | 403 | 404,
            ..
        } => later(pause.map(|pause| pause.max(SLOW)), now, true, error),
        _ => later(pause, now, true, error),
    }
}

fn later(pause: Option<Duration>, now: Timestamp, counts: bool, error: String) -> Fate {
    match pause {
        Some(pause) => Fate::Retry {
            at: now.plus(pause),
            counts,
            error,
        },
        None => Fate::Park {
            error: format!("{error}; the schedule is at its end"),
        },
    }
}

/// When something may be sent to the endpoint, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Whatever its concurrency allows.
    Open,
    /// One delivery, the oldest, to see whether it works again.
    Probe,
    /// Nothing before this time.
    Until(Timestamp),
    /// Nothing until somebody enables it.
    Shut,
}

/// Judges the endpoint.
pub fn gate(endpoint: &Endpoint, now: Timestamp) -> Gate {
    // Before the failure that it counts from, the clock has stepped back: the pause would last as
    // long as the step, so it is cut short.
    let has_stepped_back = endpoint.last_failure.is_some_and(|failed| now < failed);
    let not_before = endpoint
        .not_before
        .filter(|at| now < *at && !has_stepped_back);
    match (endpoint.disabled_at, not_before, endpoint.opened_at) {
        (Some(_), ..) => Gate::Shut,
        (None, Some(at), _) => Gate::Until(at),
        (None, None, Some(_)) => Gate::Probe,
        (None, None, None) => Gate::Open,
    }
}

#[cfg(test)]
mod tests;

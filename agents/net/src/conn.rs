//! Where a connection stands, and until when it may stand there.
//!
//! The stream, the service and the driver of one connection share a [`Conn`]; all three run in
//! one task, so that its cells need no lock.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;
use crate::message::Peer;

/// A client that has taken nothing of its answer for this long may be closed to make room.
const STALLED: Duration = Duration::from_secs(1);
/// How long a closed client may take to notice.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TLS handshake.
    Handshake,
    /// Reading a head.
    Head,
    /// Kept open, between two requests.
    Idle,
    /// Reading a body.
    Body,
    /// The handler is at it.
    Answer,
    /// The client takes its answer.
    Write,
    /// Ours is said; waiting for the client to close.
    Linger,
}

/// Those that count as one client when room is made: an IPv4 address, an IPv6 /64, all of Unix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group(u64);

impl Group {
    pub(crate) fn of(peer: Peer) -> Self {
        let Peer::Tcp(address) = peer else {
            return Self(0);
        };
        match address.ip().to_canonical() {
            // No /64 that is routed begins with 32 zero bits.
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) group: Group,
    limits: Rc<Limits>,
    phase: Cell<Phase>,
    /// When the phase began; while writing, when the client last took a byte.
    since: Cell<Instant>,
    deadline: Cell<Option<Instant>>,
    /// When the present request began.
    began: Cell<Instant>,
    /// Whether a byte of the present head has come.
    started: Cell<bool>,
    /// Whether the whole answer has been given to the stream's buffer.
    handed: Cell<bool>,
    /// Bytes of the present body that are held.
    held: Cell<usize>,
}

impl Conn {
    pub(crate) fn new(peer: Peer, limits: Rc<Limits>, now: Instant) -> Self {
        Self {
            group: Group::of(peer),
            phase: Cell::new(Phase::Handshake),
            since: Cell::new(now),
            deadline: Cell::new(Some(now + limits.handshake)),
            began: Cell::new(now),
            started: Cell::new(false),
            handed: Cell::new(false),
            held: Cell::new(0),
            limits,
        }
    }

    fn enter(&self, phase: Phase, now: Instant, deadline: Option<Instant>) {
        self.phase.set(phase);
        self.since.set(now);
        self.deadline.set(deadline);
    }

    /// A head is expected, or its first byte has come.
    pub(crate) fn head_begins(&self, now: Instant) {
        self.began.set(now);
        self.started.set(false);
        self.enter(Phase::Head, now, Some(now + self.limits.head));
    }

    pub(crate) fn bytes_read(&self, now: Instant) {
        if self.phase.get() == Phase::Idle {
            self.head_begins(now);
        }
        self.started.set(true);
    }

    /// The head is complete; the service watches the deadlines until it has an answer.
    pub(crate) fn head_ends(&self, now: Instant) {
        if self.phase.get() != Phase::Head {
            // The head came with the request before it, in one read.
            self.began.set(now);
        }
        self.enter(Phase::Body, now, None);
    }

    pub(crate) fn body_ends(&self, now: Instant) {
        self.enter(Phase::Answer, now, None);
    }

    pub(crate) fn answer_begins(&self, now: Instant) {
        self.handed.set(false);
        self.enter(Phase::Write, now, Some(now + self.limits.write));
    }

    /// The stream's buffer has all of the answer.
    pub(crate) fn answer_handed(&self) {
        self.handed.set(true);
    }

    pub(crate) fn bytes_written(&self, now: Instant) {
        match self.phase.get() {
            // An answer that no service made: hyper refuses what it cannot parse.
            Phase::Head | Phase::Idle => self.answer_begins(now),
            Phase::Write => self.since.set(now),
            _ => {}
        }
    }

    /// The system has taken all that was buffered.
    pub(crate) fn flushed(&self, now: Instant) {
        if self.phase.get() == Phase::Write && self.handed.get() {
            self.started.set(false);
            self.enter(Phase::Idle, now, Some(now + self.limits.idle));
        }
    }

    pub(crate) fn lingers(&self, now: Instant) -> Instant {
        let deadline = now + LINGER;
        self.enter(Phase::Linger, now, Some(deadline));
        deadline
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn started(&self) -> bool {
        self.started.get()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    pub(crate) fn body_deadline(&self) -> Instant {
        (self.since.get() + self.limits.body).min(self.request_deadline())
    }

    pub(crate) fn request_deadline(&self) -> Instant {
        self.began.get() + self.limits.request
    }

    pub(crate) fn held(&self) -> &Cell<usize> {
        &self.held
    }

    /// Since when this connection has been waiting for its client, if it may be closed to make
    /// room: never while its answer is made or taken.
    pub(crate) fn evictable(&self, now: Instant) -> Option<Instant> {
        let since = self.since.get();
        match self.phase.get() {
            Phase::Answer => None,
            Phase::Write => (now.duration_since(since) >= STALLED).then_some(since),
            _ => Some(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Tcp(text.parse().unwrap())
    }

    #[test]
    fn a_kept_connection_goes_round_and_each_phase_has_its_deadline() {
        let limits = Rc::new(Limits::default());
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let conn = Conn::new(Peer::Unix, Rc::clone(&limits), now);
        assert_eq!(conn.deadline(), Some(now + limits.handshake));

        conn.head_begins(at(1));
        assert!(!conn.started());
        conn.bytes_read(at(2));
        // The head as a whole has its time; a byte now and then buys no more.
        assert_eq!(conn.deadline(), Some(at(1) + limits.head));
        conn.head_ends(at(3));
        assert_eq!(conn.body_deadline(), at(3) + limits.body);
        assert_eq!(conn.request_deadline(), at(1) + limits.request);
        conn.body_ends(at(4));
        conn.answer_begins(at(5));
        conn.flushed(at(5));
        assert_eq!(conn.phase(), Phase::Write, "not all of it was handed over");
        conn.answer_handed();
        conn.flushed(at(6));
        assert_eq!(conn.phase(), Phase::Idle);
        assert_eq!(conn.deadline(), Some(at(6) + limits.idle));
        conn.bytes_read(at(60));
        assert_eq!(conn.phase(), Phase::Head);
        assert_eq!(conn.deadline(), Some(at(60) + limits.head));
    }

    #[test]
    fn only_those_that_wait_for_their_client_are_evictable() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let conn = Conn::new(Peer::Unix, Rc::default(), now);
        assert_eq!(conn.evictable(now), Some(now));
        conn.head_begins(now);
        conn.head_ends(at(1));
        assert_eq!(conn.evictable(at(2)), Some(at(1)));
        conn.body_ends(at(2));
        assert_eq!(conn.evictable(at(100)), None);
        conn.answer_begins(at(3));
        conn.bytes_written(at(4));
        assert_eq!(conn.evictable(at(4)), None);
        assert_eq!(conn.evictable(at(5)), Some(at(4)));
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let same = Group::of(peer("[2001:db8::1]:1"));
        assert_eq!(Group::of(peer("[2001:db8::ffff]:2")), same);
        assert_ne!(Group::of(peer("[2001:db8:0:1::1]:1")), same);
        assert_eq!(
            Group::of(peer("192.0.2.1:1")),
            Group::of(peer("[::ffff:192.0.2.1]:2"))
        );
    }
}

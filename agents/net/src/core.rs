//! What all connections of a server share, on its one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::conn::Conn;
use crate::counters::Counters;
use crate::drive::drive;
use crate::handler::Handler;
use crate::limits::Limits;
use crate::listener::{AcceptFault, Accepted, Registered};
use crate::message::Peer;
use crate::places::Places;
use crate::throttle::Throttle;

/// The smallest read buffer that hyper takes.
const LEAST_BUFFER: usize = 8192;
/// The pause after an `accept` that found no descriptor and nobody to close.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Core<H> {
    pub(crate) limits: Rc<Limits>,
    pub(crate) handler: H,
    pub(crate) counters: Counters,
    pub(crate) places: Rc<Places>,
    pub(crate) http: http1::Builder,
    /// Requests whose answer is being made.
    pub(crate) answering: Cell<usize>,
    /// Set when no connection is to be kept any more.
    pub(crate) stopping: Cell<bool>,
    exhausted: Throttle,
}

impl<H: Handler> Core<H> {
    pub(crate) fn new(limits: Limits, handler: H, counters: Counters) -> Self {
        let places = Places::new(limits.connections, limits.bodies_bytes, counters.clone());
        let mut http = http1::Builder::new();
        http.half_close(true)
            .header_read_timeout(None)
            .max_header_size(limits.head_bytes)
            .max_headers(limits.head_fields)
            .max_buf_size(limits.head_bytes.max(LEAST_BUFFER));
        Self {
            limits: Rc::new(limits),
            handler,
            counters,
            places: Rc::new(places),
            http,
            answering: Cell::new(0),
            stopping: Cell::new(false),
            exhausted: Throttle::minutely(),
        }
    }

    /// Takes clients from one socket for ever.
    pub(crate) async fn accept(self: Rc<Self>, listener: Registered) {
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    self.counters.accepted();
                    self.places.room().await;
                    self.seat(socket, peer);
                }
                Err(error) => self.recover(&error).await,
            }
        }
    }

    fn seat(self: &Rc<Self>, socket: Accepted, peer: Peer) {
        let conn = Rc::new(Conn::new(peer, Rc::clone(&self.limits), Instant::now()));
        let seat = self.places.sit(Rc::clone(&conn));
        let id = seat.id();
        let core = Rc::clone(self);
        let task = tokio::task::spawn_local(async move {
            drive(core, conn, socket, peer).await;
            drop(seat);
        });
        self.places.seat_task(id, task.abort_handle());
    }

    async fn recover(&self, error: &std::io::Error) {
        self.counters.accept_fault();
        let fault = AcceptFault::of(error);
        if fault == AcceptFault::Client {
            return;
        }
        if let Some(count) = self.exhausted.note(std::time::Instant::now()) {
            log::warn!(
                "no client could be accepted, {count} time(s) since the last such line: {error}"
            );
        }
        if fault == AcceptFault::Exhausted && self.places.evict().await {
            // The descriptor is free once the closed connection's task has ended.
            yield_now().await;
        } else {
            sleep(PAUSE).await;
        }
    }
}

impl<H> Core<H> {
    pub(crate) fn set_answering(&self, answering: usize) {
        self.answering.set(answering);
        self.counters.set_answering(answering);
    }
}

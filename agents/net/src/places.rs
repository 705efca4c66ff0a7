//! The connections that are open, and who is closed when there is no place left.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, timeout};

use crate::conn::{Conn, Group, Phase};
use crate::counters::Counters;
use crate::refusal::Refusal;
use crate::throttle::Throttle;

/// How soon a full house looks again for a client that has stopped reading.
const RECHECK: Duration = Duration::from_millis(50);

struct Place {
    conn: Rc<Conn>,
    task: Option<AbortHandle>,
}

pub(crate) struct Places {
    most: usize,
    most_held: usize,
    counters: Counters,
    next: Cell<u64>,
    held: Cell<usize>,
    open: RefCell<HashMap<u64, Place>>,
    groups: RefCell<HashMap<Group, usize>>,
    changed: Notify,
    crowded: Throttle,
}

/// A place taken; free again when it is dropped.
pub(crate) struct Seat {
    places: Rc<Places>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.leave(self.id);
    }
}

impl Places {
    pub(crate) fn new(most: usize, most_held: usize, counters: Counters) -> Self {
        Self {
            most,
            most_held,
            counters,
            next: Cell::new(0),
            held: Cell::new(0),
            open: RefCell::default(),
            groups: RefCell::default(),
            changed: Notify::new(),
            crowded: Throttle::minutely(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    pub(crate) fn sit(self: &Rc<Self>, conn: Rc<Conn>) -> Seat {
        let id = self.next.replace(self.next.get() + 1);
        *self.groups.borrow_mut().entry(conn.group).or_default() += 1;
        let place = Place { conn, task: None };
        self.open.borrow_mut().insert(id, place);
        self.counters.set_open(self.count());
        Seat {
            places: Rc::clone(self),
            id,
        }
    }

    /// Names the task that ends when the place is needed.
    pub(crate) fn seat_task(&self, id: u64, task: AbortHandle) {
        if let Some(place) = self.open.borrow_mut().get_mut(&id) {
            place.task = Some(task);
        }
    }

    fn leave(&self, id: u64) -> Option<Place> {
        let place = self.open.borrow_mut().remove(&id)?;
        let mut groups = self.groups.borrow_mut();
        if let Some(count) = groups.get_mut(&place.conn.group) {
            *count -= 1;
            if *count == 0 {
                groups.remove(&place.conn.group);
            }
        }
        self.release(&place.conn);
        self.counters.set_open(self.count());
        self.changed.notify_waiters();
        Some(place)
    }

    /// Waits until there is a place, closing the one that waited longest if that helps.
    pub(crate) async fn room(&self) {
        while self.count() >= self.most {
            let changed = self.changed.notified();
            if !self.evict().await {
                // Nobody can be closed now; a client that stops reading can be, later.
                let _ = timeout(RECHECK, changed).await;
            }
        }
    }

    /// Tells those who wait for a place that a connection now waits for its client.
    pub(crate) fn idles(&self) {
        self.changed.notify_waiters();
    }

    /// Closes one that waits for its client: of the client that holds most places the one that
    /// has waited longest. `false` if every connection is being answered.
    pub(crate) async fn evict(&self) -> bool {
        // Whoever has only just come gets to read what it has sent already.
        yield_now().await;
        self.evict_where(|_| true)
    }

    fn evict_where(&self, may: impl Fn(&Conn) -> bool) -> bool {
        let evicted = self.close_where(may);
        if evicted {
            self.counters.refused(Refusal::Evicted);
            if let Some(count) = self.crowded.note(std::time::Instant::now()) {
                log::warn!("{count} waiting connection(s) closed to make room for others");
            }
        }
        evicted
    }

    fn close_where(&self, may: impl Fn(&Conn) -> bool) -> bool {
        let now = Instant::now();
        let victim = {
            let (open, groups) = (self.open.borrow(), self.groups.borrow());
            let waiting = open.iter().filter_map(|(id, place)| {
                let since = place.conn.evictable(now).filter(|_| may(&place.conn))?;
                let crowd = groups.get(&place.conn.group).copied().unwrap_or(0);
                Some((crowd, now.duration_since(since), Reverse(*id)))
            });
            waiting.max().map(|(_, _, Reverse(id))| id)
        };
        let Some(place) = victim.and_then(|id| self.leave(id)) else {
            return false;
        };
        if let Some(task) = place.task {
            task.abort();
        }
        true
    }

    /// Closes all that wait for their clients.
    pub(crate) fn clear(&self) {
        while self.close_where(|conn| conn.phase() != Phase::Write) {}
    }

    /// Waits until the last connection is gone.
    pub(crate) async fn empty(&self) {
        while self.count() > 0 {
            let _ = timeout(RECHECK, self.changed.notified()).await;
        }
    }

    /// Books `more` bytes of a body. If all bodies together are too much, another that is not
    /// complete gives way; `false` if there is none.
    pub(crate) fn hold(&self, conn: &Rc<Conn>, more: usize) -> bool {
        while self.held.get() + more > self.most_held {
            let other = |other: &Conn| {
                other.phase() == Phase::Body
                    && other.held().get() > 0
                    && !std::ptr::eq(other, Rc::as_ptr(conn))
            };
            if !self.evict_where(other) {
                return false;
            }
        }
        self.held.set(self.held.get() + more);
        conn.held().set(conn.held().get() + more);
        true
    }

    /// The body of this connection is no longer needed.
    pub(crate) fn release(&self, conn: &Conn) {
        self.held.set(self.held.get() - conn.held().take());
    }
}

impl Seat {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

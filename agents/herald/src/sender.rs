//! The thread that talks to the network. It is handed what endpoints are owed, in order, sends of
//! it as much at once as each endpoint's concurrency allows, and reports what came of it. It never
//! sees the store, and the store's pace is not its own: while one batch is recorded the next is on
//! its way.

mod line;
mod reports;
mod work;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use roundsman_kit::Knock;
use roundsman_kit::clock::Clock;
use roundsman_store::delivery::DeliveryId;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use crate::client::Outcome;
use crate::compose::{Composer, Content};
use crate::plan::Reply;
use crate::transport::Transport;
pub use line::BATCH;
use reports::Reports;
use work::Work;

/// How many names are looked up at once.
const LOOK_UPS: usize = 8;

/// An endpoint, as the thread needs it.
pub struct Post {
    /// Its name.
    pub name: Arc<str>,
    /// What makes its requests.
    pub composer: Composer,
    /// Its connections; `Err` where its TLS settings cannot be used, which may pass.
    pub transport: Result<Transport, String>,
    /// How many requests may be under way at once.
    pub concurrency: usize,
}

/// A delivery that may be sent.
pub struct Parcel {
    /// Which one.
    pub id: DeliveryId,
    /// Its id on the wire.
    pub uid: String,
    /// Parcels with the same key are sent one after the other, as long as none fails.
    pub order_key: Option<String>,
    /// What is sent.
    pub content: Content,
}

/// What the thread has to say.
pub enum Report {
    /// An attempt has ended.
    Ended(Finished),
    /// These were not begun, and are not going to be: something before them failed, or they were
    /// recalled. What is handed over from now on has to follow it (`faults`).
    Unsent {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// Which.
        ids: Vec<DeliveryId>,
        /// How many such reports there have been for this endpoint.
        faults: u64,
    },
}

/// What came of an attempt.
pub struct Finished {
    /// Whose it is.
    pub id: DeliveryId,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// The answer, or what went wrong; `Err` if no request could be made.
    pub outcome: Result<Outcome, Reply>,
    /// What was sent, to be frozen if it failed.
    pub content: Content,
}

/// Made on the main loop, and run where the connections live.
type Task = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Order {
    Hand {
        post: Arc<Post>,
        parcels: Vec<Parcel>,
        faults: u64,
    },
    Recall(Arc<str>),
    Run(Task),
    Tick(Arc<AtomicBool>),
}

/// The main loop's end.
pub struct Sender {
    orders: Option<UnboundedSender<Order>>,
    reports: Reports,
    in_flight: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    answered: Arc<AtomicBool>,
}

impl Sender {
    /// Starts the thread, which knocks when there is something to record.
    ///
    /// # Errors
    /// The thread or its event loop cannot be had.
    pub fn start(knock: Knock, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Names are looked up there; the unit's TasksMax= leaves room for no more.
            .max_blocking_threads(LOOK_UPS)
            .build()?;
        let (orders, received) = unbounded_channel();
        let reports = Reports::new(knock);
        let in_flight = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (reports.clone(), Arc::clone(&in_flight));
        let thread = thread::Builder::new()
            .name("sender".into())
            .spawn(move || {
                let work = Work::new(told, clock, counted);
                LocalSet::new().block_on(&runtime, work.run(received));
            })?;
        Ok(Self {
            orders: Some(orders),
            reports,
            in_flight,
            thread: Some(thread),
            answered: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Has these sent, in their order. `faults` is the number in the last report of unsent ones
    /// that was seen: without it, one could be sent before another that it has to follow.
    pub fn hand(&self, post: &Arc<Post>, parcels: Vec<Parcel>, faults: u64) {
        let post = Arc::clone(post);
        self.order(Order::Hand {
            post,
            parcels,
            faults,
        });
    }

    /// Has something else done beside the requests, and knocks when that is over.
    pub fn run<T: Future<Output = ()> + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) {
        self.order(Order::Run(Box::new(move || Box::pin(task()))));
    }

    /// Has what is not begun given back.
    pub fn recall(&self, endpoint: &Arc<str>) {
        self.order(Order::Recall(Arc::clone(endpoint)));
    }

    /// What was reported since the last call.
    pub fn reports(&self) -> Vec<Report> {
        self.reports.take()
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether the thread has answered since the last call; asks it again.
    pub fn tick(&self) -> bool {
        let has_answered = self.answered.swap(false, Ordering::Relaxed);
        if has_answered {
            self.order(Order::Tick(Arc::clone(&self.answered)));
        }
        has_answered
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that has ended answers no tick either, which the watchdog sees.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Sender {
    /// Cuts off what is still under way: it was not recorded, and will be sent again.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

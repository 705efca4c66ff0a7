//! The thread that talks to the network. It gets whole requests, one for each place that an
//! endpoint's concurrency leaves, and gives back what came of them; it never sees the store.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use roundsman_kit::Knock;
use roundsman_store::delivery::DeliveryId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use crate::client::{Client, Outcome, Request};

/// How many names are looked up at once.
const LOOK_UPS: usize = 8;

/// A request to be made.
pub struct Job {
    /// Whose it is.
    pub id: DeliveryId,
    /// The endpoint's name.
    pub endpoint: String,
    /// The endpoint's connections.
    pub client: Arc<Client>,
    /// What to send.
    pub request: Request,
}

/// What came of it.
#[derive(Debug)]
pub struct Finished {
    /// Whose it is.
    pub id: DeliveryId,
    /// The endpoint's name.
    pub endpoint: String,
    /// The answer, or what went wrong.
    pub outcome: Outcome,
}

/// Made on the main loop, and run where the connections live.
type Task = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Order {
    Send(Box<Job>),
    Run(Task),
    Tick(Arc<AtomicBool>),
}

/// The main loop's end. Jobs are bounded by whoever sends them: an endpoint has only so many
/// places.
pub struct Sender {
    orders: Option<UnboundedSender<Order>>,
    finished: mpsc::Receiver<Finished>,
    thread: Option<JoinHandle<()>>,
    answered: Arc<AtomicBool>,
}

impl Sender {
    /// Starts the thread, which knocks whenever something has finished.
    ///
    /// # Errors
    /// The thread or its event loop cannot be had.
    pub fn start(knock: Knock) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Names are looked up there; the unit's TasksMax= leaves room for no more.
            .max_blocking_threads(LOOK_UPS)
            .build()?;
        let (orders, received) = unbounded_channel();
        let (results, finished) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sender".into())
            .spawn(move || LocalSet::new().block_on(&runtime, work(received, results, knock)))?;
        Ok(Self {
            orders: Some(orders),
            finished,
            thread: Some(thread),
            answered: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Has a request made.
    pub fn send(&self, job: Job) {
        self.order(Order::Send(Box::new(job)));
    }

    /// Has something else done beside the requests, and knocks when that is over.
    pub fn run<T: Future<Output = ()> + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) {
        self.order(Order::Run(Box::new(move || Box::pin(task()))));
    }

    /// What has finished since the last call.
    pub fn finished(&self) -> impl Iterator<Item = Finished> {
        self.finished.try_iter()
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

/// Ends with the last order; requests that are under way end with it.
async fn work(mut orders: UnboundedReceiver<Order>, results: mpsc::Sender<Finished>, knock: Knock) {
    while let Some(order) = orders.recv().await {
        let job = match order {
            Order::Tick(answered) => {
                answered.store(true, Ordering::Relaxed);
                continue;
            }
            Order::Run(task) => {
                let knock = knock.clone();
                tokio::task::spawn_local(async move {
                    task().await;
                    knock.knock();
                });
                continue;
            }
            Order::Send(job) => *job,
        };
        let (results, knock) = (results.clone(), knock.clone());
        tokio::task::spawn_local(async move {
            let outcome = job.client.send(job.request).await;
            let finished = Finished {
                id: job.id,
                endpoint: job.endpoint,
                outcome,
            };
            // The main loop is gone only when herald ends.
            if results.send(finished).is_ok() {
                knock.knock();
            }
        });
    }
}

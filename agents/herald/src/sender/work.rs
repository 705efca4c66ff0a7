//! What runs on the sending thread: one line per endpoint, and tasks that send from it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roundsman_kit::clock::Clock;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::line::Line;
use super::{Finished, Order, Parcel, Post, Report, Reports};
use crate::client::Outcome;
use crate::plan::{Reply, is_endpoints_status};

/// How long a success may wait for others to be recorded with.
const GATHER: Duration = Duration::from_millis(25);

/// Everything that the tasks share.
pub struct Work {
    reports: Reports,
    clock: Arc<dyn Clock>,
    in_flight: Arc<AtomicUsize>,
    /// A knock is on its way.
    gathers: Cell<bool>,
}

/// An endpoint's line, and by which settings it is sent.
struct Lane {
    line: RefCell<Line>,
    post: RefCell<Arc<Post>>,
}

/// Whose fault an attempt was.
enum Verdict {
    Well,
    Delivery,
    Endpoint,
}

impl Work {
    /// Nothing to do yet.
    pub fn new(reports: Reports, clock: Arc<dyn Clock>, in_flight: Arc<AtomicUsize>) -> Self {
        Self {
            reports,
            clock,
            in_flight,
            gathers: Cell::new(false),
        }
    }

    /// Ends with the last order; requests that are under way end with it.
    pub async fn run(self, mut orders: UnboundedReceiver<Order>) {
        let work = Rc::new(self);
        let mut lanes: HashMap<Arc<str>, Rc<Lane>> = HashMap::new();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Tick(answered) => answered.store(true, Ordering::Relaxed),
                Order::Run(task) => {
                    let work = Rc::clone(&work);
                    spawn_local(async move {
                        task().await;
                        work.reports.knock();
                    });
                }
                Order::Recall(name) => {
                    if let Some(lane) = lanes.get(&name) {
                        work.give_back(lane, |line| line.drain());
                    }
                }
                Order::Hand {
                    post,
                    parcels,
                    faults,
                } => {
                    let lane = lanes.entry(Arc::clone(&post.name)).or_insert_with(|| {
                        Rc::new(Lane {
                            line: RefCell::default(),
                            post: RefCell::new(Arc::clone(&post)),
                        })
                    });
                    lane.post.replace(post);
                    work.accept(lane, parcels, faults);
                }
            }
        }
    }

    fn accept(self: &Rc<Self>, lane: &Rc<Lane>, parcels: Vec<Parcel>, faults: u64) {
        if faults != lane.line.borrow().faults {
            // What they follow has failed meanwhile, which the main loop did not know.
            let ids = parcels.into_iter().map(|one| one.id).collect();
            self.give_back(lane, |line| {
                line.faults += 1;
                ids
            });
            return;
        }
        lane.line.borrow_mut().add(parcels);
        self.employ(lane);
    }

    /// Starts as many tasks as there is work and room for. All that there are have something to
    /// send: who finds nothing ends.
    fn employ(self: &Rc<Self>, lane: &Rc<Lane>) {
        let mut line = lane.line.borrow_mut();
        let most = lane.post.borrow().concurrency;
        let wanted = (line.workers + line.ready()).min(most);
        while line.workers < wanted {
            line.workers += 1;
            spawn_local(Rc::clone(self).send_all(Rc::clone(lane)));
        }
    }

    /// Sends until nothing is ready.
    async fn send_all(self: Rc<Self>, lane: Rc<Lane>) {
        loop {
            let post = Arc::clone(&lane.post.borrow());
            let parcel = {
                let mut line = lane.line.borrow_mut();
                let is_one_too_many = line.workers > post.concurrency;
                let parcel = if is_one_too_many { None } else { line.take() };
                if parcel.is_none() {
                    line.workers -= 1;
                }
                parcel
            };
            let Some(parcel) = parcel else { break };
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let (key, finished) = self.send(&post, parcel).await;
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.settle(&lane, key.as_deref(), finished);
        }
        if lane.line.borrow().workers == 0 {
            self.reports.knock();
        }
    }

    async fn send(&self, post: &Post, parcel: Parcel) -> (Option<String>, Finished) {
        let now = self.clock.now();
        let payload = post.composer.seal(&parcel.uid, &parcel.content, now);
        let outcome = match (payload, &post.transport) {
            (Err(reply), _) => Err(reply),
            (Ok(_), Err(error)) => Err(Reply::Unsendable {
                error: error.clone(),
                by_endpoint: true,
            }),
            (Ok(payload), Ok(transport)) => Ok(transport.send(payload).await),
        };
        let finished = Finished {
            id: parcel.id,
            endpoint: Arc::clone(&post.name),
            outcome,
            content: parcel.content,
        };
        (parcel.order_key, finished)
    }

    fn settle(self: &Rc<Self>, lane: &Rc<Lane>, key: Option<&str>, finished: Finished) {
        let verdict = verdict(&finished);
        self.reports.add(Report::Ended(finished));
        match verdict {
            Verdict::Well => {
                let is_batch = {
                    let mut line = lane.line.borrow_mut();
                    line.went_well(key);
                    line.is_batch()
                };
                if is_batch {
                    self.reports.knock();
                } else {
                    self.knock_soon();
                }
            }
            Verdict::Delivery => self.give_back(lane, |line| line.drop_key(key)),
            // The rest would meet the same; the main loop judges whether it is tried.
            Verdict::Endpoint => self.give_back(lane, |line| {
                let ids = line.drain();
                line.went_well(key);
                ids
            }),
        }
    }

    fn give_back(
        &self,
        lane: &Lane,
        give: impl FnOnce(&mut Line) -> Vec<roundsman_store::delivery::DeliveryId>,
    ) {
        let mut line = lane.line.borrow_mut();
        let ids = give(&mut line);
        self.reports.add(Report::Unsent {
            endpoint: Arc::clone(&lane.post.borrow().name),
            ids,
            faults: line.faults,
        });
        self.reports.knock();
    }

    fn knock_soon(self: &Rc<Self>) {
        if self.gathers.replace(true) {
            return;
        }
        let work = Rc::clone(self);
        spawn_local(async move {
            sleep(GATHER).await;
            work.gathers.set(false);
            work.reports.knock();
        });
    }
}

fn verdict(finished: &Finished) -> Verdict {
    match &finished.outcome {
        Ok(Outcome::Answered { status, .. }) => match status {
            200..=299 => Verdict::Well,
            status if is_endpoints_status(*status) => Verdict::Endpoint,
            _ => Verdict::Delivery,
        },
        Ok(Outcome::Failed { .. }) => Verdict::Endpoint,
        Err(Reply::Unsendable {
            by_endpoint: false, ..
        }) => Verdict::Delivery,
        Err(_) => Verdict::Endpoint,
    }
}

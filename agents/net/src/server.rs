//! The network thread and its handle.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::core::Core;
use crate::counters::{Counters, Snapshot};
use crate::error::Error;
use crate::handler::Handler;
use crate::limits::Limits;
use crate::listener::{Listener, Registered};

/// Collects what a server needs.
#[derive(Debug)]
pub struct Builder {
    limits: Limits,
    listeners: Vec<Listener>,
    counters: Counters,
}

impl Builder {
    /// Serves one more socket.
    #[must_use]
    pub fn listen(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// The counters of the server to be, for a handler that shows them.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Starts the network thread. When this returns, the sockets are served.
    ///
    /// # Errors
    ///
    /// A limit is out of range, there is no socket or one that cannot be polled, or the system
    /// refuses a thread or descriptors.
    pub fn spawn(self, handler: impl Handler) -> Result<Server, Error> {
        self.limits.validate().map_err(Error::Limits)?;
        if self.listeners.is_empty() {
            return Err(Error::NoListener);
        }
        let signals = Arc::new(Signals::default());
        let counters = self.counters.clone();
        let (ready, started) = mpsc::channel();
        let heard = Arc::clone(&signals);
        let thread = thread::Builder::new()
            .name("net".to_owned())
            .spawn(move || self.run(handler, &heard, &ready))
            .map_err(Error::Thread)?;
        match started.recv() {
            Ok(Ok(())) => Ok(Server {
                signals,
                counters,
                thread: Some(thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(Error::Thread(io::Error::other("the thread ended"))),
        }
    }

    /// The network thread; returns the connections that were cut off.
    fn run(
        self,
        handler: impl Handler,
        signals: &Signals,
        ready: &mpsc::Sender<Result<(), Error>>,
    ) -> usize {
        let Self {
            limits,
            listeners,
            counters,
        } = self;
        let built = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(runtime::LocalOptions::default())
            .map_err(Error::Runtime)
            .and_then(|runtime| Ok((register(&runtime, listeners)?, runtime)));
        let (listeners, runtime) = match built {
            Ok(built) => built,
            Err(error) => {
                // The spawner waits for exactly this message.
                let _ = ready.send(Err(error));
                return 0;
            }
        };
        let _ = ready.send(Ok(()));
        let core = Rc::new(Core::new(limits, handler, counters));
        runtime.block_on(serve(core, listeners, signals))
    }
}

fn register(
    runtime: &runtime::LocalRuntime,
    listeners: Vec<Listener>,
) -> Result<Vec<Registered>, Error> {
    runtime.block_on(async {
        listeners
            .into_iter()
            .map(|listener| listener.register().map_err(Error::Listener))
            .collect()
    })
}

async fn serve<H: Handler>(
    core: Rc<Core<H>>,
    listeners: Vec<Registered>,
    signals: &Signals,
) -> usize {
    let acceptors: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::task::spawn_local(Rc::clone(&core).accept(listener)))
        .collect();
    while !signals.stop.load(Ordering::Acquire) {
        signals.bell.notified().await;
        if acceptors.iter().all(|acceptor| !acceptor.is_finished()) {
            let asked = signals.asked.load(Ordering::Acquire);
            signals.answered.store(asked, Ordering::Release);
        }
    }
    core.stopping.set(true);
    for acceptor in acceptors {
        acceptor.abort();
    }
    core.places.clear();
    // What is left at the deadline is cut off with the runtime.
    let _ = timeout(core.limits.drain, core.places.empty()).await;
    core.places.count()
}

/// What the handle and the network thread tell each other.
#[derive(Debug, Default)]
struct Signals {
    bell: Notify,
    stop: AtomicBool,
    asked: AtomicU64,
    answered: AtomicU64,
}

/// A server that runs on its own thread. Dropped, it stops like [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    signals: Arc<Signals>,
    counters: Counters,
    thread: Option<JoinHandle<usize>>,
}

impl Server {
    /// A server with these limits, to which sockets are added.
    pub fn builder(limits: Limits) -> Builder {
        Builder {
            limits,
            listeners: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Whether the network thread has answered since the last call, and asks it again: to be
    /// called before each watchdog ping. The first call says whether the thread is there.
    pub fn tick(&self) -> bool {
        let signals = &*self.signals;
        let there = self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished());
        let asked = signals.asked.load(Ordering::Acquire);
        if !there || signals.answered.load(Ordering::Acquire) != asked {
            return false;
        }
        signals.asked.store(asked + 1, Ordering::Release);
        signals.bell.notify_one();
        true
    }

    /// What the server did so far.
    pub fn stats(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// Closes the sockets and the connections that await nothing, lets answers that are under
    /// way reach their clients for [`Limits::drain`], and ends the thread. Returns how many
    /// connections were cut off after that; a thread that panicked cut off all.
    pub fn stop(mut self) -> usize {
        self.end()
    }

    fn end(&mut self) -> usize {
        let Some(thread) = self.thread.take() else {
            return 0;
        };
        self.signals.stop.store(true, Ordering::Release);
        self.signals.bell.notify_one();
        let open = self.counters.snapshot().open;
        thread
            .join()
            .unwrap_or(usize::try_from(open).unwrap_or(usize::MAX))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

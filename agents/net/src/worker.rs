//! A thread that owns its state and answers requests in order, for work that blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::oneshot;

use crate::handler::{Answer, Handler, answer};
use crate::message::{Request, Response};

struct Job {
    request: Request,
    reply: oneshot::Sender<Response>,
}

/// A worker thread behind a bounded queue. Clones share the thread, which ends with the last.
///
/// A request whose client was told 503 meanwhile is dropped unserved.
#[derive(Debug, Clone)]
pub struct Worker {
    queue: SyncSender<Job>,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

impl Worker {
    /// Starts the thread `name` (15 bytes at most are shown by the system). `depth` requests wait
    /// behind the one being served; more get 503 at once.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn spawn(
        name: &str,
        depth: usize,
        mut serve: impl FnMut(Request) -> Response + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(depth);
        let busy_since = Arc::new(Mutex::new(None));
        let busy = Arc::clone(&busy_since);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&jobs, &busy, &mut serve))?;
        Ok(Self { queue, busy_since })
    }

    /// The response of the thread, or 503 if its queue is full.
    pub fn ask(&self, request: Request) -> Answer {
        let (reply, response) = oneshot::channel();
        match self.queue.try_send(Job { request, reply }) {
            Ok(()) => Box::pin(async move { response.await.unwrap_or_else(|_| failed()) }),
            Err(TrySendError::Full(_)) => answer(Response::busy()),
            Err(TrySendError::Disconnected(_)) => answer(failed()),
        }
    }

    /// How long the thread has been at the present request: for the watchdog of the main loop.
    pub fn busy_for(&self) -> Option<Duration> {
        let since = self.busy_since.lock();
        since
            .unwrap_or_else(PoisonError::into_inner)
            .map(|since| since.elapsed())
    }
}

impl Handler for Worker {
    fn answer(&self, request: Request) -> Answer {
        self.ask(request)
    }
}

fn work(
    jobs: &Receiver<Job>,
    busy: &Mutex<Option<Instant>>,
    serve: &mut dyn FnMut(Request) -> Response,
) {
    let mark = |since| *busy.lock().unwrap_or_else(PoisonError::into_inner) = since;
    while let Ok(Job { request, reply }) = jobs.recv() {
        if reply.is_closed() {
            continue;
        }
        mark(Some(Instant::now()));
        // The panic itself is printed by the hook; the thread and the next request go on.
        let response =
            catch_unwind(AssertUnwindSafe(|| serve(request))).unwrap_or_else(|_| failed());
        mark(None);
        // The client may have left: nobody is owed the response then.
        let _ = reply.send(response);
    }
}

fn failed() -> Response {
    crate::refusal::Refusal::Panicked.response()
}

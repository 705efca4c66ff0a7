//! Serving a registry on a unix socket.
//!
//! tiny_http cannot be told to give up on a peer, so that no thread that an agent waits for
//! writes to one: a request that is the only one of its connection goes to one lane, and one
//! that others may follow to another. A peer that asks on and on and reads nothing holds up its
//! own lane only. What remains, to members of our own group: a connection that is never closed
//! keeps a thread and descriptors, and tiny_http may queue the next connection behind it, which
//! the one after that sets free.

use std::io;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tiny_http::{HTTPVersion, Header, Request, Response, Server};

use super::Metrics;
use crate::backoff::Backoff;

const TEXT_FORMAT: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";
/// Requests that wait in one lane; more are left without an answer.
const MOST_WAITING: usize = 32;
/// How long there may be no request before it is looked whether connections wait.
const QUIET: Duration = Duration::from_secs(5);
/// How long a connection may wait before accepting has ended.
const LATE: Duration = Duration::from_secs(1);
/// When a request is dropped, tiny_http allocates what is left of its body in one piece.
const MOST_BODY: usize = 64 * 1024;

/// A running registry server; dropping it ends it, without waiting for any peer.
pub struct RegistryServer {
    shared: Arc<Shared>,
    path: PathBuf,
}

struct Shared {
    metrics: Metrics,
    listener: UnixListener,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    server: Option<Arc<Server>>,
}

impl RegistryServer {
    /// Serves `metrics` on `listener`, whose socket `path` goes with the server.
    pub(super) fn start(
        metrics: Metrics,
        listener: UnixListener,
        path: PathBuf,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            metrics,
            listener,
            state: Mutex::default(),
            stopped: Condvar::new(),
        });
        let server = Self {
            shared: Arc::clone(&shared),
            path,
        };
        let lanes = Lanes::start(&shared.metrics)?;
        spawn(move || shared.supervise(&lanes))?;
        Ok(server)
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        if let Some(server) = &state.server {
            server.unblock();
        }
        drop(state);
        self.shared.stopped.notify_all();
        // The next start replaces one that is left behind.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until it is stopped. tiny_http ends at the first error of accept(2), say because
    /// there are too many descriptors for a moment: it then gets a successor.
    fn supervise(&self, lanes: &Lanes) {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(30));
        let Ok(mut backoff) = Backoff::new(shortest, longest) else {
            return;
        };
        loop {
            let served = AssertUnwindSafe(|| self.serve(lanes, &mut backoff));
            let why = match catch_unwind(served) {
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".into(),
                Ok(Ok(())) => return,
            };
            if backoff.failures() == 0 {
                log::warn!("the registry is not served for a moment: {why}");
            }
            let state = self.lock();
            let pause = backoff.next_pause();
            let waited = self
                .stopped
                .wait_timeout_while(state, pause, |state| !state.stopping);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stopping {
                return;
            }
        }
    }

    /// One life of a server: an error is its end, `Ok` that it was to stop.
    fn serve(&self, lanes: &Lanes, backoff: &mut Backoff) -> io::Result<()> {
        let server = Server::from_listener(self.listener.try_clone()?, None);
        let server = Arc::new(server.map_err(io::Error::other)?);
        // Never dropped: that would connect to the socket and remove it, and could wait for
        // ever. What stays behind is small, and one for each time that accept(2) failed.
        std::mem::forget(Arc::clone(&server));
        let mut state = self.lock();
        if state.stopping {
            return Ok(());
        }
        state.server = Some(Arc::clone(&server));
        drop(state);
        let mut is_late = false;
        loop {
            let within = if is_late { LATE } else { QUIET };
            match server.recv_timeout(within)? {
                Some(request) => {
                    backoff.reset();
                    is_late = false;
                    lanes.give(request);
                }
                None if self.lock().stopping => return Ok(()),
                // Its accepting thread can also panic, and then says nothing.
                None => match (self.is_waited_for()?, is_late) {
                    (true, true) => return Err(io::Error::other("nobody accepts connections")),
                    (waiting, _) => is_late = waiting,
                },
            }
        }
    }

    /// Whether a connection has not been accepted.
    fn is_waited_for(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&Timespec::default()))? > 0)
    }
}

/// Threads that answer.
struct Lanes {
    single: SyncSender<Request>,
    others: SyncSender<Request>,
}

impl Lanes {
    fn start(metrics: &Metrics) -> io::Result<Self> {
        let lane = || {
            let (sender, requests) = sync_channel(MOST_WAITING);
            let metrics = metrics.clone();
            spawn(move || answer_all(&requests, &metrics))?;
            Ok::<_, io::Error>(sender)
        };
        Ok(Self {
            single: lane()?,
            others: lane()?,
        })
    }

    fn give(&self, request: Request) {
        let length = request.body_length().unwrap_or(0);
        if length > MOST_BODY {
            // No metrics client sends a body; dropping the request could abort the process.
            std::mem::forget(request);
            return;
        }
        let lane = if length == 0 && is_single(&request) {
            &self.single
        } else {
            &self.others
        };
        if let Err(refused) = lane.try_send(request) {
            // Dropping it would write to a peer that does not read.
            std::mem::forget(refused);
        }
    }
}

/// Whether tiny_http reads no other request from the connection of this one.
fn is_single(request: &Request) -> bool {
    let mut headers = request.headers().iter();
    let connection = headers.find(|header| header.field.equiv("Connection"));
    let connection = connection.map(|header| header.value.as_str().to_ascii_lowercase());
    match connection.as_deref() {
        Some(value) if value.contains("close") => true,
        Some(value) if value.contains("keep-alive") => false,
        _ => *request.http_version() <= HTTPVersion(1, 0),
    }
}

fn answer_all(requests: &Receiver<Request>, metrics: &Metrics) {
    for request in requests {
        // The hook has printed the panic; the next request may fare better.
        let _ = catch_unwind(AssertUnwindSafe(|| answer(request, metrics)));
    }
}

fn answer(request: Request, metrics: &Metrics) {
    let response = match metrics.text() {
        Ok(text) => {
            let response = Response::from_string(text);
            match Header::from_bytes(&b"Content-Type"[..], TEXT_FORMAT) {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            }
        }
        Err(error) => Response::from_string(error.to_string()).with_status_code(500),
    };
    // The peer may be gone; the next scrape asks again.
    let _ = request.respond(response);
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name("registry".into());
    thread.spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::Instant;

    use super::*;
    use crate::{Paths, listen};

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Place {
        paths: Paths,
        metrics: Metrics,
        _dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths::under(dir.path());
            std::fs::create_dir_all(paths.run().join("herald")).unwrap();
            Self {
                metrics: Metrics::new("herald", "1", "herald").unwrap(),
                paths,
                _dir: dir,
            }
        }

        fn socket(&self) -> PathBuf {
            self.paths.registry_socket("herald")
        }
    }

    /// Asks until there is an answer: tiny_http may queue one connection behind another.
    fn scrape(socket: &Path) {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut stream = UnixStream::connect(socket).unwrap();
            let each = Duration::from_millis(500);
            stream.set_read_timeout(Some(each)).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
            let mut page = String::new();
            let read = stream.read_to_string(&mut page);
            if page.contains("roundsman_build_info") {
                return;
            }
            assert!(Instant::now() < until, "{read:?}: {page}");
        }
    }

    #[test]
    fn a_peer_that_asks_on_and_reads_nothing_holds_up_nobody() {
        let place = Place::new();
        let server = place.metrics.serve(&place.paths).unwrap();
        let mut greedy = UnixStream::connect(place.socket()).unwrap();
        let questions = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4000);
        greedy.write_all(&questions).unwrap();
        scrape(&place.socket());
        // It returns, although an answer cannot be written.
        drop(server);
        assert!(!place.socket().exists());
    }

    #[test]
    fn a_body_of_any_announced_size_does_no_harm() {
        let place = Place::new();
        let _server = place.metrics.serve(&place.paths).unwrap();
        for length in ["18446744073709551615", "9223372036854775807", "99999999999"] {
            for version in ["1.0", "1.1"] {
                let mut stream = UnixStream::connect(place.socket()).unwrap();
                let head = format!("GET / HTTP/{version}\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                drop(stream);
                scrape(&place.socket());
            }
        }
    }

    #[test]
    fn a_server_that_ended_gets_a_successor() {
        let place = Place::new();
        // On a listener that does not block, accept(2) fails at once while nobody connects.
        let listener = listen::bind_unix(&place.socket(), 0o660).unwrap();
        listener.set_nonblocking(true).unwrap();
        let blocking = listener.try_clone().unwrap();
        let metrics = place.metrics.clone();
        let server = RegistryServer::start(metrics, listener, place.socket()).unwrap();
        let until = Instant::now() + PATIENCE;
        while server.shared.lock().server.is_none() {
            assert!(Instant::now() < until);
            thread::yield_now();
        }
        blocking.set_nonblocking(false).unwrap();
        scrape(&place.socket());
        scrape(&place.socket());
    }

    #[test]
    fn a_second_server_is_refused_in_words() {
        let place = Place::new();
        let _server = place.metrics.serve(&place.paths).unwrap();
        let refused = place.metrics.serve(&place.paths).err().unwrap().to_string();
        assert!(refused.contains("herald/metrics.sock"), "{refused}");
        assert!(
            refused.contains("another process is serving it"),
            "{refused}"
        );
        scrape(&place.socket());

        std::fs::remove_dir_all(place.paths.run()).unwrap();
        let refused = place.metrics.serve(&place.paths).err().unwrap().to_string();
        assert!(
            refused.contains("RuntimeDirectory=roundsman/herald"),
            "{refused}"
        );
    }
}

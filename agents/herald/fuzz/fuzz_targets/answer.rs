//! Whatever a receiver answers, the client says what came of it, keeps no more than it may of it,
//! and is done in time. `Retry-After` is read whatever it holds.
//!
//! The connection is a pair of sockets in this process and the clock stands still: a receiver that
//! says nothing more costs no time, and no ports are used up.

#![no_main]

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use roundsman_herald::client::{Outcome, Over, Request, retry_after};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

/// What is kept of a body, as documented.
const KEPT: usize = 1024;
const TOTAL: Duration = Duration::from_secs(15);

/// Gives the connection that was laid ready.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Option<UnixStream>>>);

impl Service<Uri> for Wire {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let laid = self.0.lock().expect("one thread").take();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        ready(laid.map(TokioIo::new).ok_or_else(refused))
    }
}

/// A client and a receiver on one thread.
struct World {
    runtime: Runtime,
    wire: Wire,
    client: Over<Wire>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let wire = Wire::default();
        let mut builder = Builder::new_current_thread();
        Self {
            runtime: builder
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a runtime"),
            client: Over::new(&wire, 0, TOTAL),
            wire,
        }
    }

    /// What the client says of a receiver that answers so, and then hangs up or says no more.
    fn ask(&self, answer: &[u8], hangs_up: bool) -> Outcome {
        let request = Request {
            uri: Uri::from_static("http://receiver.example/in"),
            headers: Vec::new(),
            body: hyper::body::Bytes::from_static(b"{}"),
        };
        self.runtime.block_on(async {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            *self.wire.0.lock().expect("one thread") = Some(ours);
            let serve = async move {
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n{}")
                    && theirs.read_buf(&mut seen).await.is_ok_and(|n| n > 0)
                {}
                // The client may have had enough.
                let _ = theirs.write_all(answer).await;
                if hangs_up {
                    let _ = theirs.shutdown().await;
                }
                // Gone only when the client has gone.
                while theirs.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
                std::future::pending().await
            };
            tokio::select! {
                outcome = self.client.send(request) => outcome,
                () = serve => unreachable!(),
            }
        })
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = retry_after::parse(text, 1_795_197_600);
    }
    for hangs_up in [true, false] {
        match WORLD.with_borrow(|world| world.ask(data, hangs_up)) {
            Outcome::Answered {
                status,
                retry_after: asked,
                head,
                cut,
                took,
            } => {
                assert!((100..1000).contains(&status), "{status}");
                assert!(head.len() <= KEPT);
                assert!(cut.is_none_or(|fault| !fault.to_string().is_empty()));
                assert!(took <= TOTAL + Duration::from_millis(10), "{took:?}");
                if let Some(asked) = asked {
                    let _ = retry_after::parse(&asked, 1_795_197_600);
                }
            }
            Outcome::Failed { fault, took } => {
                assert!(!fault.to_string().is_empty());
                assert!(took <= TOTAL + Duration::from_millis(10), "{took:?}");
            }
        }
    }
});

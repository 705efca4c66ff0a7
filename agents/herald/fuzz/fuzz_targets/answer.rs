//! Whatever a receiver answers, the client says what came of it, keeps no more than it may of it,
//! and is done in time. `Retry-After` is read whatever it holds.

#![no_main]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use roundsman_herald::client::{Client, Outcome, Request, Settings, retry_after};
use roundsman_herald::guard::Guard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// What is kept of a body, as documented.
const KEPT: usize = 1024;
const TOTAL: Duration = Duration::from_secs(2);

/// A client and a receiver on one thread.
struct World {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    client: Client,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let settings = Settings {
            guard: Guard {
                allow: vec!["127.0.0.1/32".parse().expect("a network")],
                public_only: false,
            },
            connect_timeout: TOTAL,
            total_timeout: TOTAL,
            tls: None,
            proxy: None,
            max_idle: 0,
        };
        Self {
            address: listener.local_addr().expect("an address"),
            client: Client::new(&settings).expect("a client"),
            runtime,
            listener,
        }
    }

    /// What the client says of a receiver that answers so and hangs up.
    fn ask(&self, answer: &[u8]) -> Outcome {
        let request = Request {
            uri: format!("http://{}/in", self.address)
                .parse()
                .expect("a URI"),
            headers: Vec::new(),
            body: hyper::body::Bytes::from_static(b"{}"),
        };
        let serve = async {
            let (mut stream, _) = self.listener.accept().await.expect("a connection");
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n{}")
                && stream.read_buf(&mut seen).await.is_ok_and(|n| n > 0)
            {}
            // The client may have had enough.
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
            // Gone only when the client has gone, so that nothing is lost by a reset.
            while stream.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
        };
        self.runtime.block_on(async {
            tokio::select! {
                outcome = self.client.send(request) => outcome,
                () = async { serve.await; std::future::pending().await } => unreachable!(),
            }
        })
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = retry_after::parse(text, 1_795_197_600);
    }
    WORLD.with_borrow(|world| match world.ask(data) {
        Outcome::Answered {
            status,
            retry_after: asked,
            head,
            took,
            ..
        } => {
            assert!((100..1000).contains(&status), "{status}");
            assert!(head.len() <= KEPT);
            assert!(took < TOTAL * 2);
            if let Some(asked) = asked {
                let _ = retry_after::parse(&asked, 1_795_197_600);
            }
        }
        Outcome::Failed { fault, took } => {
            assert!(!fault.to_string().is_empty());
            assert!(took < TOTAL * 2);
        }
    });
});

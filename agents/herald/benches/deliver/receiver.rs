//! A receiver that does nothing but read, note and say 204. One thread serves all connections, so
//! that it takes as little as it can of the machine that both sides share.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that has come in.
pub struct Arrival {
    pub at: Instant,
    pub body: Vec<u8>,
}

pub struct Receiver {
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What has come and was not taken, and how many are waited for.
    arrivals: Mutex<(Vec<Arrival>, usize)>,
    enough: Condvar,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let keeper = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            LocalSet::new().block_on(&runtime.unwrap(), accept(listener, keeper));
        });
        Self { port, seen }
    }

    /// The next so many requests, in the order in which they came.
    pub fn take(&self, count: usize) -> Vec<Arrival> {
        let mut arrivals = self.seen.arrivals.lock().unwrap();
        arrivals.1 = count;
        let waited = self
            .seen
            .enough
            .wait_timeout_while(arrivals, PATIENCE, |all| all.0.len() < count);
        let (mut arrivals, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "only {} have come", arrivals.0.len());
        arrivals.0.drain(..count).collect()
    }
}

impl Seen {
    fn keep(&self, arrival: Arrival) {
        let mut arrivals = self.arrivals.lock().unwrap();
        arrivals.0.push(arrival);
        if arrivals.0.len() >= arrivals.1 {
            self.enough.notify_all();
        }
    }
}

async fn accept(listener: std::net::TcpListener, seen: Arc<Seen>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        spawn_local(async move { serve(stream, &seen).await });
    }
}

/// Ends with the connection.
async fn serve(mut stream: TcpStream, seen: &Seen) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let field = line.trim_end();
            if field.is_empty() {
                break;
            }
            if let Some((name, value)) = field.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.ok()?;
        let at = Instant::now();
        seen.keep(Arrival { at, body });
        writer
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .ok()?;
    }
}

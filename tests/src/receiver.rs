//! A receiver of webhooks that takes everything and keeps it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::PATIENCE;

/// The largest body that is taken.
const BODY: u64 = 1 << 20;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Arrival {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, which every format of ours has as text.
    pub body: String,
}

impl Arrival {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// A server that answers 204. Its threads end with the test's process.
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    arrivals: Mutex<Vec<Arrival>>,
    changed: Condvar,
}

impl Receiver {
    /// One on a port of this machine's loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn local() -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0")?)
    }

    /// One on a socket that listens already, in whatever network.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn on(listener: TcpListener) -> Result<Self> {
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let keeper = Arc::clone(&seen);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let keeper = Arc::clone(&keeper);
                // A client that went away is no fault of the receiver.
                std::thread::spawn(move || drop(keeper.serve(stream)));
            }
        });
        Ok(Self { address, seen })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Waits until `wanted` finds what it looks for among all that has come.
    ///
    /// # Errors
    /// When it does not in time, with what has come.
    pub fn wait_for<T>(&self, what: &str, wanted: impl Fn(&[Arrival]) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        let mut arrivals = self.seen.lock();
        loop {
            if let Some(found) = wanted(&arrivals) {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{what} did not arrive; what did: {arrivals:#?}");
            }
            let waited = self.seen.changed.wait_timeout(arrivals, left);
            arrivals = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the next one after `earlier` others.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn next_after(&self, earlier: usize) -> Result<Arrival> {
        self.wait_for("a request", |all| all.get(earlier).cloned())
    }
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(arrival) = read(&mut reader)? {
            self.lock().push(arrival);
            self.changed.notify_all();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        }
        Ok(())
    }
}

/// The next request; `None` when there is none any more.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Arrival>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let mut body = String::new();
    let length: u64 = length.unwrap_or(0).min(BODY);
    reader.take(length).read_to_string(&mut body)?;
    Ok(Some(Arrival { headers, body }))
}

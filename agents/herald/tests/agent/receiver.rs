//! A receiver that keeps what arrives, and answers as it is told.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use roundsman_tests::PATIENCE;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How many with the same id came before.
    pub earlier: usize,
}

impl Arrival {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// What to do about a request.
pub enum Answer {
    Status(u16),
    /// A status, and whole header lines.
    With(u16, String),
    /// 200, once the other end of the channel says so or is gone.
    Hold(mpsc::Receiver<()>),
    /// The connection ends without a word.
    Close,
}

type Script = dyn Fn(&Arrival) -> Answer + Send + Sync;

/// A server on a port of its own. Its threads end with the test.
pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    arrivals: Mutex<Vec<Arrival>>,
    changed: Condvar,
}

impl Receiver {
    /// One that takes everything.
    pub fn kind() -> Self {
        Self::new(|_| Answer::Status(204))
    }

    pub fn new(script: impl Fn(&Arrival) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (keeper, script): (_, Arc<Script>) = (Arc::clone(&seen), Arc::new(script));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (seen, script) = (Arc::clone(&keeper), Arc::clone(&script));
                // A client that was killed is gone, which is no fault of the server.
                std::thread::spawn(move || drop(seen.serve(stream, &*script)));
            }
        });
        Self { address, seen }
    }

    /// The lines of an endpoint for this receiver.
    pub fn endpoint(&self, name: &str, more: &str) -> String {
        format!(
            "[endpoints.{name}]\nurl = 'http://{}/in'\nallow = ['127.0.0.1/32']\n{more}\n",
            self.address
        )
    }

    /// Everything that has come so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.seen.arrivals.lock().unwrap().clone()
    }

    /// Waits until what has come is enough.
    #[track_caller]
    pub fn wait(&self, what: &str, enough: impl Fn(&[Arrival]) -> bool) -> Vec<Arrival> {
        self.wait_while(what, enough, || {})
    }

    /// The same; `move_on` is called whenever nothing has come for a moment.
    #[track_caller]
    pub fn wait_while(
        &self,
        what: &str,
        enough: impl Fn(&[Arrival]) -> bool,
        mut move_on: impl FnMut(),
    ) -> Vec<Arrival> {
        const MOMENT: Duration = Duration::from_millis(20);
        let until = Instant::now() + PATIENCE * 3;
        let mut arrivals = self.seen.arrivals.lock().unwrap();
        while !enough(&arrivals) {
            assert!(
                Instant::now() < until,
                "no {what}: {:?}",
                arrivals.iter().map(Arrival::id).collect::<Vec<_>>()
            );
            let (back, timeout) = self.seen.changed.wait_timeout(arrivals, MOMENT).unwrap();
            arrivals = back;
            if timeout.timed_out() {
                drop(arrivals);
                move_on();
                arrivals = self.seen.arrivals.lock().unwrap();
            }
        }
        arrivals.clone()
    }

    /// Waits until this many have come.
    #[track_caller]
    pub fn wait_for(&self, number: usize) -> Vec<Arrival> {
        self.wait(&format!("{number} requests"), |all| all.len() >= number)
    }
}

impl Seen {
    fn serve(&self, stream: TcpStream, script: &Script) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some((headers, body)) = read(&mut reader)? {
            let arrival = self.keep(headers, body);
            let (status, more) = match script(&arrival) {
                Answer::Status(status) => (status, String::new()),
                Answer::With(status, more) => (status, more),
                Answer::Hold(go) => {
                    let _ = go.recv_timeout(PATIENCE);
                    (200, String::new())
                }
                Answer::Close => return Ok(()),
            };
            let body = if status == 204 {
                ""
            } else {
                "content-length: 2\r\n\r\nno"
            };
            let body = if body.is_empty() { "\r\n" } else { body };
            stream.write_all(format!("HTTP/1.1 {status} Said\r\n{more}{body}").as_bytes())?;
        }
        Ok(())
    }

    fn keep(&self, headers: BTreeMap<String, String>, body: Vec<u8>) -> Arrival {
        let mut all = self.arrivals.lock().unwrap();
        let id = &headers["webhook-id"];
        let earlier = all.iter().filter(|one| one.id() == id).count();
        let arrival = Arrival {
            headers,
            body,
            earlier,
        };
        all.push(arrival.clone());
        self.changed.notify_all();
        arrival
    }
}

pub type Message = (BTreeMap<String, String>, Vec<u8>);

pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
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
    let length = headers.get("content-length").map(|n| n.parse().unwrap());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some((headers, body)))
}

//! A receiver that does nothing but read, note and say 204.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

/// A request that has come in.
pub struct Arrival {
    pub at: Instant,
    pub body: Vec<u8>,
}

pub struct Receiver {
    pub port: u16,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, arrivals) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &sender));
            }
        });
        Self { port, arrivals }
    }

    /// The next so many requests, in the order in which they came.
    pub fn take(&self, count: usize) -> Vec<Arrival> {
        let next = |_| self.arrivals.recv_timeout(Duration::from_secs(60)).unwrap();
        (0..count).map(next).collect()
    }
}

/// Ends with the connection.
fn serve(stream: TcpStream, arrivals: &Sender<Arrival>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
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
        reader.read_exact(&mut body).ok()?;
        let at = Instant::now();
        arrivals.send(Arrival { at, body }).ok()?;
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}

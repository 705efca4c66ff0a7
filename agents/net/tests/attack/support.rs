//! A server with short deadlines, a client that does as it is told, and an honest one.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use roundsman_net::{
    Answer, Bearer, Bytes, Handler, Head, Limits, Listener, Request, Response, Server, Snapshot,
    StatusCode, Tls, answer,
};

/// What no step of a test may take, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The deadline for heads and bodies where a test waits for it.
pub const SHORT: Duration = Duration::from_millis(600);
/// A page that no socket buffer holds.
pub const BIG: usize = 24 << 20;
/// The token of `/secret`.
pub const TOKEN: &str = "0123456789abcdef";

/// Small caps, and deadlines that no honest step of a test meets.
pub fn limits() -> Limits {
    Limits {
        connections: 64,
        requests: 8,
        body_bytes: 64 << 10,
        bodies_bytes: 256 << 10,
        head: PATIENCE,
        body: PATIENCE,
        handshake: PATIENCE,
        request: PATIENCE,
        write: Duration::from_secs(2),
        idle: Duration::from_secs(60),
        drain: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// Deadlines that a test can wait for.
pub fn hasty() -> Limits {
    Limits {
        handshake: SHORT,
        head: SHORT,
        body: SHORT,
        request: SHORT * 2,
        ..limits()
    }
}

/// The handler of these tests.
pub struct Pages {
    bearer: Bearer,
    big: Bytes,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            bearer: Bearer::new(TOKEN.as_bytes()).unwrap(),
            big: vec![b'x'; BIG].into(),
        }
    }
}

impl Handler for Pages {
    fn admit(&self, head: &Head) -> Result<(), Response> {
        match head.path() {
            "/secret" => self.bearer.check(head),
            _ => Ok(()),
        }
    }

    fn answer(&self, request: Request) -> Answer {
        let text = |text: String| Response::text(StatusCode::OK, text);
        answer(match request.head.path() {
            "/ok" | "/secret" => text("ok\n".to_owned()),
            "/big" => Response::text(StatusCode::OK, self.big.clone()),
            "/size" => text(request.body.len().to_string()),
            "/query" => text(request.head.query().unwrap_or("none").to_owned()),
            "/panic" => panic!("as the test asked"),
            "/never" => return Box::pin(std::future::pending()),
            _ => Response::not_found(),
        })
    }
}

/// A server on a loopback port.
pub struct Served {
    pub server: Server,
    pub address: SocketAddr,
}

pub fn serve(limits: Limits) -> Served {
    serve_with(limits, None, Pages::default())
}

pub fn serve_with(limits: Limits, tls: Option<Tls>, handler: impl Handler) -> Served {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut listener = Listener::tcp(socket);
    if let Some(tls) = tls {
        listener = listener.with_tls(tls);
    }
    let server = Server::builder(limits).listen(listener).spawn(handler);
    Served {
        server: server.unwrap(),
        address,
    }
}

impl Served {
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends `bytes` on a new connection and returns what comes back.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        self.client().send(bytes).reply()
    }

    /// What the server did, once `done` is true of it.
    pub fn stats_when(&self, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let start = Instant::now();
        loop {
            let stats = self.server.stats();
            if done(&stats) {
                return stats;
            }
            assert!(start.elapsed() < PATIENCE, "never came true: {stats:?}");
            std::thread::yield_now();
        }
    }

    /// An honest request is served in reasonable time, on a new connection.
    pub fn honest(&self) {
        honest(self.address);
    }
}

/// An honest client: one request on a new connection, answered in time.
pub fn honest(address: SocketAddr) {
    let start = Instant::now();
    let reply = Client::connect(address).send(get("/ok")).reply();
    assert_eq!((reply.status, reply.text()), (200, "ok\n"));
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "an honest request took {took:?}"
    );
}

/// A well-formed request for `path`.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// A client over one TCP connection.
pub struct Client(pub TcpStream);

/// A response as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// A client at another address of this machine.
    pub fn connect_from(ip: [u8; 4], address: SocketAddr) -> Self {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
        let kind = (AddressFamily::INET, SocketType::STREAM);
        // Not for the server that another test starts meanwhile.
        let socket = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddr::from((ip, 0))).unwrap();
        connect(&socket, &address).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends as much as the server takes.
    pub fn push(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref())
    }

    /// The next response; the connection stays open.
    pub fn next(&mut self, method: &str) -> Reply {
        self.try_next(method).expect("a whole response")
    }

    pub fn try_next(&mut self, method: &str) -> io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: Vec::new(),
        };
        let length = reply.field("content-length").map(|n| n.parse().unwrap());
        if method != "HEAD" && status != 100 {
            reply.body.resize(length.unwrap_or(0), 0);
            self.0.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    pub fn reply(mut self) -> Reply {
        self.next("GET")
    }

    /// Whether the server has closed: by a reset too, but not by leaving us waiting.
    pub fn closed(&mut self) -> bool {
        match self.0.read(&mut [0; 64]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Reads whatever comes until the server closes.
    pub fn until_closed(&mut self) {
        let error = match self.0.read_to_end(&mut Vec::new()) {
            Ok(_) => return,
            Err(error) => error,
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    /// Whether all of the big page comes, read in small pieces.
    pub fn reads_all(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        let mut read = 0;
        while read < BIG {
            match self.0.read(&mut piece) {
                Ok(0) | Err(_) => return false,
                Ok(more) => read += more,
            }
        }
        true
    }

    /// Says that nothing more will be sent.
    pub fn finish(self) -> Self {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
        self
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)).unwrap();
    }

    /// Sends `drip` again and again, as slowly as `pace`, until the server answers or closes.
    /// Returns the status, if there was one, and how long it took.
    pub fn dribble(mut self, drip: &[u8], pace: Duration) -> (Option<u16>, Duration) {
        let start = Instant::now();
        self.0.set_read_timeout(Some(pace)).unwrap();
        loop {
            assert!(start.elapsed() < PATIENCE, "never cut off");
            match self.try_next("GET") {
                Ok(reply) => return (Some(reply.status), start.elapsed()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return (None, start.elapsed()),
            }
            // A refused write shows as a response or an end at the next read.
            let _ = self.0.write_all(drip);
        }
    }
}

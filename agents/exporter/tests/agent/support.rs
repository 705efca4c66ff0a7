//! An exporter that is ready, and a client that says everything itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use roundsman_kit::Paths;
use roundsman_store::{Location, Role, Store};
use roundsman_tests::{AgentCommand, Manager, Output, PATIENCE, Process, Root};

/// A running exporter on a passed socket.
pub struct Exporter {
    pub root: Root,
    pub manager: Manager,
    pub process: Process,
    pub address: SocketAddr,
}

/// A tree with the figures of this machine, and no bus.
pub fn root() -> Root {
    let root = Root::new();
    root.link("/proc", "/proc");
    root.link("/sys", "/sys");
    root
}

/// A tree whose exporter has nothing to complain about: a store, for which it has all the time
/// of a loaded machine, and no units.
pub fn sound_root(toml: &str) -> Root {
    let root = root();
    make_store(&root);
    let rest = "[units]\nenabled = false\n[cycles]\ndeadline = '20s'\n";
    root.config("exporter", &format!("{toml}\n{rest}"));
    root
}

/// Brings the tree's store to the present schema.
pub fn make_store(root: &Root) {
    let location = Location::new(
        &Paths::under(root.path()),
        "/var/lib/roundsman/roundsman.db",
    );
    Store::open(&location, Role::Migrate).unwrap();
}

/// Starts an exporter and waits until it is ready.
pub fn start(root: Root) -> Exporter {
    start_with(root, |command| command)
}

/// The same with more of an environment.
pub fn start_with(root: Root, more: impl FnOnce(AgentCommand) -> AgentCommand) -> Exporter {
    let manager = root.manager();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let command = root.agent("exporter").listener("metrics", socket);
    let process = more(command.manager(&manager)).spawn();
    manager.wait_ready();
    Exporter {
        root,
        manager,
        process,
        address,
    }
}

impl Exporter {
    /// The text page.
    pub fn page(&self) -> Page {
        let reply = self.get("/metrics", "");
        assert_eq!(reply.status, 200, "{}", reply.head);
        Page(reply.text())
    }

    /// Asks for `path` with these header lines on a new connection.
    pub fn get(&self, path: &str, fields: &str) -> Reply {
        self.ask("GET", path, fields)
    }

    pub fn ask(&self, method: &str, path: &str, fields: &str) -> Reply {
        let mut client = self.client();
        client
            .write_all(request(method, path, fields).as_bytes())
            .unwrap();
        reply(&mut client, method)
    }

    pub fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_write_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Ends it in good order.
    pub fn stop(self) -> (Root, Output) {
        (self.root, self.process.stop(PATIENCE).expect_code(0))
    }
}

/// A request; `fields` are whole lines.
pub fn request(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// A response as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(self) -> String {
        String::from_utf8(self.body).unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Reads one response with the length that it announces.
pub fn reply(client: &mut impl Read, method: &str) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut reply = Reply {
        status: head[9..12].parse().unwrap(),
        head,
        body: Vec::new(),
    };
    let length = reply.field("content-length").map(|n| n.parse().unwrap());
    if method != "HEAD" {
        reply.body.resize(length.unwrap_or(0), 0);
        client.read_exact(&mut reply.body).unwrap();
    }
    reply
}

/// A page in the text format.
#[derive(Debug)]
pub struct Page(pub String);

impl Page {
    /// The value of the series with exactly this text.
    pub fn value(&self, series: &str) -> Option<f64> {
        let line = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// The same, where there has to be one.
    #[track_caller]
    pub fn expect(&self, series: &str) -> f64 {
        match self.value(series) {
            Some(value) => value,
            None => panic!("no {series} in\n{}", self.0),
        }
    }

    /// The names of all families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        let heads = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        heads.filter_map(|head| head.split(' ').next())
    }

    /// Whether a family stands on the page.
    pub fn has(&self, family: &str) -> bool {
        self.0.contains(&format!("# TYPE {family} "))
    }

    /// Whether all figures of a source are there.
    #[track_caller]
    pub fn success(&self, collector: &str) -> bool {
        self.expect(&format!(
            "roundsman_exporter_scrape_collector_success{{collector=\"{collector}\"}}"
        )) == 1.0
    }
}

/// A registry that answers each question with what `answer` makes of the connection.
pub fn registry(root: &Root, unit: &str, answer: impl Fn(UnixStream) + Send + 'static) {
    let path = root.at(format!("/run/roundsman/{unit}/metrics.sock"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            answer(stream);
        }
    });
}

/// What a sound registry does.
pub fn say(page: &'static str) -> impl Fn(UnixStream) + Send + 'static {
    move |mut stream| {
        let mut question = [0; 512];
        // A client that has gone asks no more.
        let _ = stream.read(&mut question);
        let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{page}");
    }
}

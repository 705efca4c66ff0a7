mod keep;
mod plain;
mod proxied;
mod server;
mod slow;
mod trust;

use super::fault::{ProxyFault, Stage};
use super::*;
use server::Server;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Long enough never to pass in a test that does not wait for it.
const LONG: Duration = Duration::from_secs(60);
/// Short enough for a test that does.
const SHORT: Duration = Duration::from_millis(300);

fn settings() -> Settings {
    Settings {
        guard: Guard {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            public_only: false,
        },
        connect_timeout: LONG,
        total_timeout: LONG,
        tls: None,
        proxy: None,
        proxy_auth: None,
        max_idle: 4,
    }
}

fn client() -> Client {
    Client::new(&settings()).unwrap()
}

fn hurried() -> Client {
    let settings = Settings {
        total_timeout: SHORT,
        ..settings()
    };
    Client::new(&settings).unwrap()
}

fn post(url: &str) -> Request {
    Request {
        uri: url.parse().unwrap(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Bytes::from_static(b"{}"),
    }
}

/// What came, without the time.
#[derive(Debug, PartialEq)]
struct Came {
    status: u16,
    head: String,
    cut: Option<Fault>,
}

fn came(outcome: Outcome) -> Came {
    match outcome {
        Outcome::Answered {
            status, head, cut, ..
        } => Came {
            status,
            head: String::from_utf8(head).unwrap(),
            cut,
        },
        Outcome::Failed { fault, .. } => panic!("{fault}"),
    }
}

fn status(outcome: Outcome) -> u16 {
    came(outcome).status
}

fn fault(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::Failed { fault, .. } => {
            assert!(!fault.to_string().contains("secret"), "{fault}");
            fault
        }
        Outcome::Answered { .. } => panic!("{outcome:?}"),
    }
}

async fn sent(url: &str) -> Outcome {
    client().send(post(url)).await
}

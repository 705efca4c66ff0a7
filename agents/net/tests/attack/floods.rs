//! Many at once: connections, resets, wrong tokens, readers that do not read.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use roundsman_net::{Limits, Refusal};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::child::{Process, is_server_of, serve_until_told};
use crate::support::{Client, PATIENCE, TOKEN, get, honest, limits, serve};

#[test]
fn half_open_connections_give_way_and_honest_requests_are_served_among_them() {
    let served = serve(limits());
    let mut attackers = Vec::new();
    let mut slowest = Duration::ZERO;
    for n in 0..300 {
        attackers.push(served.client().send("GET /ok HTTP/1.1\r\nHost:"));
        if n % 15 == 0 {
            let start = Instant::now();
            served.honest();
            slowest = slowest.max(start.elapsed());
        }
    }
    let stats = served.stats_when(|stats| stats.refused(Refusal::Evicted) >= 236);
    assert!(stats.open <= 65, "{stats:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // The oldest went, the youngest is still there.
    assert!(attackers[0].closed());
    let mut youngest = attackers.pop().unwrap().send(" x\r\n\r\n");
    assert_eq!(youngest.next("GET").status, 200);
}

#[test]
fn one_clients_flood_costs_another_client_nothing() {
    let served = serve(limits());
    let mut kept = Client::connect_from([127, 0, 0, 2], served.address).send(get("/ok"));
    assert_eq!(kept.next("GET").status, 200);
    let mut half = Client::connect_from([127, 0, 0, 3], served.address).send("GET /ok ");
    let _flood: Vec<_> = (0..300).map(|_| served.client().send("GET")).collect();
    served.stats_when(|stats| stats.refused(Refusal::Evicted) >= 230);
    half.push("HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(half.next("GET").status, 200);
    assert_eq!(kept.send(get("/ok")).reply().status, 200);
}

#[test]
fn resets_at_any_time_are_survived() {
    let served = serve(limits());
    let big = get("/big");
    let upload = "POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc";
    for n in 0..500 {
        for opening in ["", "GET /ok HT", upload, &get("/ok"), &big] {
            served.client().send(opening).reset();
        }
        if n % 100 == 0 {
            served.honest();
        }
    }
    let stats = served.stats_when(|stats| stats.open == 0 && stats.answering == 0);
    assert!(stats.accepted > 1000, "{stats:?}");
    served.honest();
}

#[test]
fn running_out_of_descriptors_is_survived() {
    const TEST: &str = "floods::running_out_of_descriptors_is_survived";
    const MOST: u64 = 48;
    if is_server_of(TEST) {
        let few = Rlimit {
            current: Some(MOST),
            maximum: Some(MOST),
        };
        setrlimit(Resource::Nofile, few).unwrap();
        // The cap on connections is no help here: it is above what the process may open.
        let served = serve(Limits {
            connections: 256,
            ..limits()
        });
        serve_until_told(&served);
        let stats = served.server.stats();
        assert!(stats.accept_faults > 0, "descriptors never ran out");
        assert!(stats.refused(Refusal::Evicted) > 0);
        return;
    }
    let process = Process::start(TEST);
    let flood: Vec<_> = (0..200)
        .map(|n| {
            if n % 50 == 49 {
                honest(process.address);
            }
            Client::connect(process.address).send("GET /ok HTTP/1.1\r\n")
        })
        .collect();
    honest(process.address);
    drop(flood);
    honest(process.address);
    process.stop();
}

#[test]
fn readers_that_do_not_read_are_reset_at_the_deadline() {
    let served = serve(limits());
    let mut readers: Vec<_> = (0..20).map(|_| served.client().send(get("/big"))).collect();
    served.honest();
    let late = |stats: &roundsman_net::Snapshot| stats.refused(Refusal::WriteLate) == 20;
    served.stats_when(late);
    served.stats_when(|stats| stats.open == 0);
    // Not even the kernel keeps the rest of the answer.
    assert!(readers.iter_mut().all(|reader| !reader.reads_all()));
    served.honest();
}

#[test]
fn readers_that_do_not_read_cannot_fill_the_house() {
    let served = serve(Limits {
        write: Duration::from_secs(60),
        ..limits()
    });
    let _readers: Vec<_> = (0..150)
        .map(|_| served.client().send(get("/big")))
        .collect();
    for _ in 0..5 {
        served.honest();
    }
    assert!(served.server.stats().refused(Refusal::Evicted) > 0);
}

#[test]
fn a_slow_reader_that_reads_gets_all_of_it() {
    let served = serve(Limits {
        write: PATIENCE,
        ..limits()
    });
    let mut reader = served.client().send(get("/big"));
    assert!(reader.reads_all());
}

/// Counts the lines about wrong tokens.
struct Lines(Mutex<Vec<String>>);
static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        let line = record.args().to_string();
        if line.contains("access token") {
            self.0.lock().unwrap().push(line);
        }
    }
    fn flush(&self) {}
}

#[test]
fn ten_thousand_wrong_tokens_leave_one_line_and_the_right_one_works() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let served = serve(limits());
    let with = |token: &str| {
        format!("GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    for lot in 0..100 {
        let tries: String = (0..100).map(|n| with(&format!("wrong{lot}-{n}"))).collect();
        let mut client = served.client().send(tries);
        for _ in 0..100 {
            let reply = client.next("GET");
            assert_eq!(reply.status, 401);
            assert!(
                reply
                    .field("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer")
            );
        }
    }
    assert_eq!(served.ask(get("/secret")).status, 401);
    assert_eq!(served.ask(with(TOKEN)).status, 200);
    assert_eq!(served.server.stats().answered(401), 10_001);
    let lines = LINES.0.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].contains("wrong0-0"), "the token was printed");
}

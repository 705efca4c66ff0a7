//! What an agent relies on: kept connections, slow handlers, the stop, the tick, the figures.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use roundsman_net::{
    Error, Limits, Listener, Method, Peer, Refusal, Request, Response, Server, StatusCode, Worker,
    answer,
};

use crate::support::{Pages, SHORT, Served, get, hasty, limits, serve, serve_with};

/// A handler whose answers wait until the test lets them go, and what it has been asked.
fn gated() -> (Worker, Sender<()>, Receiver<String>) {
    let (open, gate) = channel::<()>();
    let (asked, asks) = channel();
    let worker = Worker::spawn("gated", 4, move |request: Request| {
        asked.send(request.head.path().to_owned()).unwrap();
        gate.recv().unwrap();
        Response::text(StatusCode::OK, "done\n")
    });
    (worker.unwrap(), open, asks)
}

#[test]
fn a_kept_connection_serves_many_and_is_closed_when_idle() {
    let served = serve(Limits {
        idle: Duration::from_millis(300),
        ..limits()
    });
    let mut client = served.client();
    for _ in 0..50 {
        client.push(get("/ok")).unwrap();
        let reply = client.next("GET");
        assert_eq!((reply.status, reply.text()), (200, "ok\n"));
        assert_eq!(reply.field("content-length"), Some("3"));
        assert!(reply.field("date").is_some());
    }
    assert!(client.closed());
    let stats = served.server.stats();
    assert_eq!((stats.accepted, stats.answered(200)), (1, 50));
    assert!(stats.refused.iter().all(|(_, count)| *count == 0));
    served.honest();
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let served = serve(limits());
    let mut client = served.client();
    for path in ["/ok", "/big", "/none"] {
        client
            .push(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .unwrap();
        let head = client.next("HEAD");
        client.push(get(path)).unwrap();
        let get = client.next("GET");
        assert_eq!(head.status, get.status);
        assert_eq!(head.field("content-length"), get.field("content-length"));
    }
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let (worker, open, asks) = gated();
    let served = serve_with(limits(), None, worker);
    let mut client = served.client().send(get("/slow")).finish();
    asks.recv().unwrap();
    open.send(()).unwrap();
    assert_eq!(client.next("GET").text(), "done\n");
    assert!(client.closed());
}

#[test]
fn methods_that_a_path_has_not_are_405_with_those_it_has() {
    let handler = |request: Request| {
        answer(match request.head.allow(&[Method::GET, Method::HEAD]) {
            Ok(()) => Response::not_found(),
            Err(refused) => refused,
        })
    };
    let served = serve_with(limits(), None, handler);
    let reply = served.ask("DELETE /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        (reply.status, reply.field("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(served.ask(get("/ok")).status, 404);
}

#[test]
fn a_slow_handler_delays_nobody_and_a_late_one_is_503() {
    let served = serve(hasty());
    let mut never = served.client().send(get("/never"));
    let start = Instant::now();
    served.honest();
    assert_eq!(never.next("GET").status, 503);
    assert!(start.elapsed() >= SHORT);
    assert!(never.closed());
    assert_eq!(served.server.stats().refused(Refusal::AnswerLate), 1);
}

#[test]
fn a_panic_in_the_handler_costs_one_request() {
    let served = serve(limits());
    assert_eq!(served.ask(get("/panic")).status, 500);
    served.honest();

    let worker = Worker::spawn("panics", 4, |request: Request| {
        assert_ne!(request.head.path(), "/panic", "as the test asked");
        Response::text(StatusCode::OK, "ok\n")
    });
    let served = serve_with(limits(), None, worker.unwrap());
    assert_eq!(served.ask(get("/panic")).status, 500);
    served.honest();
}

#[test]
fn a_full_queue_is_503_at_once_and_what_is_queued_is_answered_in_order() {
    let (worker, open, asks) = gated();
    let watched = worker.clone();
    let served = serve_with(limits(), None, worker);
    let mut first = served.client().send(get("/1"));
    assert_eq!(asks.recv().unwrap(), "/1");
    assert!(watched.busy_for().is_some());
    let mut queued: Vec<_> = (2..6)
        .map(|n| {
            let client = served.client().send(get(&format!("/{n}")));
            served.stats_when(|stats| stats.answering == n);
            client
        })
        .collect();
    let refused = served.ask(get("/6"));
    assert_eq!(
        (refused.status, refused.field("retry-after")),
        (503, Some("1"))
    );
    for _ in 0..5 {
        open.send(()).unwrap();
    }
    assert_eq!(first.next("GET").status, 200);
    for (client, n) in queued.iter_mut().zip(2..) {
        assert_eq!(client.next("GET").text(), "done\n");
        assert_eq!(asks.recv().unwrap(), format!("/{n}"));
    }
    served.stats_when(|stats| stats.answering == 0);
}

#[test]
fn requests_above_the_limit_are_503_and_counted() {
    let served = serve(hasty());
    let never: Vec<_> = (0..8)
        .map(|_| served.client().send(get("/never")))
        .collect();
    served.stats_when(|stats| stats.answering == 8);
    assert_eq!(served.ask(get("/ok")).status, 503);
    assert_eq!(served.server.stats().refused(Refusal::Busy), 1);
    drop(never);
    // The handler's time is bounded, so the places come back.
    served.stats_when(|stats| stats.answering == 0);
    served.honest();
}

#[test]
fn one_that_is_being_answered_is_never_closed_for_another() {
    let (worker, open, asks) = gated();
    let tight = Limits {
        connections: 2,
        ..limits()
    };
    let served = serve_with(tight, None, worker);
    let mut answered: Vec<_> = (0..2).map(|_| served.client().send(get("/slow"))).collect();
    served.stats_when(|stats| stats.answering == 2);
    // These wait outside: the system has accepted them, the server has no place.
    let mut waiting: Vec<_> = (0..3).map(|_| served.client().send(get("/slow"))).collect();
    asks.recv().unwrap();
    for _ in 0..5 {
        open.send(()).unwrap();
    }
    for client in answered.iter_mut().chain(&mut waiting) {
        assert_eq!(client.next("GET").text(), "done\n");
    }
}

#[test]
fn a_unix_socket_is_served_beside_the_tcp_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let handler = |request: Request| {
        answer(Response::text(
            StatusCode::OK,
            match request.head.peer {
                Peer::Unix => "unix",
                Peer::Tcp(_) => "tcp",
            },
        ))
    };
    let server = Server::builder(limits())
        .listen(Listener::tcp(tcp))
        .listen(Listener::unix(UnixListener::bind(&path).unwrap()))
        .spawn(handler)
        .unwrap();
    let mut unix = UnixStream::connect(&path).unwrap();
    unix.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    unix.read_to_string(&mut reply).unwrap();
    assert!(
        reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("\r\n\r\nunix"),
        "{reply}"
    );
    let served = Served { server, address };
    assert_eq!(served.ask(get("/")).text(), "tcp");
}

#[test]
fn the_stop_drains_answers_closes_the_rest_and_frees_the_port() {
    let (worker, open, asks) = gated();
    let served = serve_with(limits(), None, worker);
    let mut idle = served.client();
    let mut half = served.client().send("GET /x HT");
    let mut slow = served.client().send(get("/slow"));
    asks.recv().unwrap();
    served.stats_when(|stats| stats.open == 3);
    let address = served.address;
    let stopping = std::thread::spawn(move || served.server.stop());
    assert!(idle.closed());
    assert!(half.closed());
    open.send(()).unwrap();
    let reply = slow.next("GET");
    assert_eq!(
        (reply.text(), reply.field("connection")),
        ("done\n", Some("close"))
    );
    assert!(slow.closed());
    assert_eq!(stopping.join().unwrap(), 0);
    TcpListener::bind(address).unwrap();
}

#[test]
fn the_stop_cuts_off_what_outlives_the_drain() {
    let served = serve(Limits {
        drain: Duration::from_millis(100),
        ..limits()
    });
    let mut never = served.client().send(get("/never"));
    served.stats_when(|stats| stats.answering == 1);
    let start = Instant::now();
    assert_eq!(served.server.stop(), 1);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(never.closed());
}

#[test]
fn the_tick_tells_a_live_thread_from_a_blocked_one() {
    let (open, gate) = channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    // The mistake that the tick is there to find: a handler that blocks the network thread.
    let handler = move |_: Request| {
        gate.lock().unwrap().recv().unwrap();
        answer(Response::not_found())
    };
    let served = serve_with(limits(), None, handler);
    let ticks = |alive| {
        let start = Instant::now();
        while served.server.tick() != alive {
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    };
    ticks(true);
    let mut client = served.client().send(get("/"));
    ticks(false);
    assert!(!served.server.tick());
    open.send(()).unwrap();
    assert_eq!(client.next("GET").status, 404);
    ticks(true);
}

#[test]
fn wrong_limits_and_missing_sockets_are_told_before_anything_starts() {
    let nothing = Server::builder(limits()).spawn(Pages::default());
    assert!(matches!(nothing, Err(Error::NoListener)));
    let wrong = Limits {
        connections: 0,
        ..limits()
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Server::builder(wrong)
        .listen(Listener::tcp(socket))
        .spawn(Pages::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "limits: connections: 0 is not within 1 to 65536"
    );
}

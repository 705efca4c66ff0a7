//! Heads: slow, large, malformed, odd but right.

use std::time::Duration;

use roundsman_net::Refusal;

use crate::support::{SHORT, get, hasty, limits, serve};

#[test]
fn a_head_that_dribbles_is_cut_off_at_the_deadline_for_the_whole() {
    let served = serve(hasty());
    let client = served.client().send("GET /ok HTTP/1.1\r\nHost: x\r\n");
    let (status, took) = client.dribble(b"X-A: b\r\n", Duration::from_millis(30));
    assert_eq!(status, Some(408));
    assert!(took >= SHORT - Duration::from_millis(50), "{took:?}");
    assert!(took < SHORT * 8, "{took:?}");
    served.honest();

    // Byte by byte; blank lines before the request line count too.
    let (status, took) = served.client().dribble(b"\r\n", Duration::from_millis(30));
    assert_eq!(status, Some(408));
    assert!(took < SHORT * 8, "{took:?}");
    let stats = served.server.stats();
    assert_eq!(stats.refused(Refusal::HeadLate), 2);
    served.honest();
}

#[test]
fn silence_is_closed_without_a_word() {
    let served = serve(hasty());
    assert!(served.client().closed());
    assert_eq!(served.server.stats().refused(Refusal::HeadLate), 1);
    served.honest();
}

#[test]
fn the_second_head_of_a_connection_has_its_own_deadline() {
    let served = serve(hasty());
    let mut client = served.client().send(get("/ok"));
    assert_eq!(client.next("GET").status, 200);
    let (status, took) = client
        .send("GET /ok")
        .dribble(b"x", Duration::from_millis(30));
    assert_eq!(status, Some(408));
    assert!(took < SHORT * 8, "{took:?}");
    served.honest();
}

#[test]
fn a_head_over_16_kib_is_431_wherever_it_grows() {
    let served = serve(limits());
    let long = "a".repeat(17 << 10);
    for head in [
        format!("GET /ok?{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /ok HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET /ok HTTP/1.1\r\nHost: x\r\n{long}"),
        format!("{long}{long}"),
    ] {
        assert_eq!(served.ask(&head).status, 431, "{}", &head[..30]);
        served.honest();
    }
    let fits = "a".repeat(15 << 10);
    let head = format!("GET /ok HTTP/1.1\r\nHost: x\r\nX: {fits}\r\n\r\n");
    assert_eq!(served.ask(head).status, 200);
}

#[test]
fn an_endless_head_is_answered_and_not_read() {
    let served = serve(limits());
    let mut client = served.client().send("GET /ok HTTP/1.1\r\nX: ");
    // 64 MiB, or as much of it as the server lets come.
    let piece = vec![b'a'; 64 << 10];
    let taken = (0..1024)
        .take_while(|_| client.push(&piece).is_ok())
        .count();
    assert!(taken < 1024, "all of it was read");
    served.stats_when(|stats| stats.answered(431) == 1 && stats.open == 0);
    served.honest();
}

#[test]
fn more_than_64_fields_are_431() {
    let served = serve(limits());
    for (fields, status) in [(63, 200), (64, 431), (2000, 431)] {
        let fields = "A: b\r\n".repeat(fields);
        let head = format!("GET /ok HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        assert_eq!(served.ask(head).status, status);
    }
    served.honest();
}

#[test]
fn what_is_not_http_is_400_and_the_connection_ends() {
    let served = serve(limits());
    for bad in [
        &b"GET /ok HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"[..],
        b"GET /o\0k HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\0T /ok HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: x\r\n folded: x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /ok HTTP/3.7\r\nHost: x\r\n\r\n",
        b"GET /ok\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // No host, or two of them.
        b"GET /ok HTTP/1.1\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        let mut client = served.client().send(bad);
        let reply = client.next("GET");
        assert_eq!(reply.status, 400, "{}", bad.escape_ascii());
        assert_eq!(reply.field("connection"), Some("close"));
        assert!(client.closed());
        served.honest();
    }
    assert_eq!(served.server.stats().refused(Refusal::Malformed), 14);
}

#[test]
fn a_head_cut_off_by_the_client_is_400() {
    let served = serve(limits());
    let mut client = served.client().send("GET /ok HTTP/1.1\r\nHo").finish();
    assert_eq!(client.next("GET").status, 400);
    assert!(client.closed());
    served.honest();
}

#[test]
fn targets_in_every_form_have_an_outcome() {
    let served = serve(limits());
    for (line, status, body) in [
        ("GET http://example.org/query?a=b HTTP/1.1", 200, "a=b"),
        ("GET /query HTTP/1.1", 200, "none"),
        ("GET /query?%20+x#fragment HTTP/1.1", 200, "%20+x"),
        ("OPTIONS * HTTP/1.1", 404, "not found\n"),
        (
            "CONNECT example.org:443 HTTP/1.1",
            501,
            "this is not a proxy\n",
        ),
        ("BREW /pot HTTP/1.1", 404, "not found\n"),
        ("GET /../../etc/passwd HTTP/1.1", 404, "not found\n"),
    ] {
        let reply = served.ask(format!("{line}\r\nHost: x\r\n\r\n"));
        assert_eq!((reply.status, reply.text()), (status, body), "{line}");
    }
    served.honest();
}

#[test]
fn http_1_0_is_answered_and_closed_unless_it_asks_otherwise() {
    let served = serve(limits());
    let mut client = served.client().send("GET /ok HTTP/1.0\r\n\r\n");
    let reply = client.next("GET");
    assert_eq!((reply.status, reply.text()), (200, "ok\n"));
    assert!(client.closed());

    let kept = "GET /ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let mut client = served.client().send(kept);
    assert_eq!(client.next("GET").status, 200);
    assert_eq!(client.send(kept).reply().status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_garbage_behind_them_ends_it() {
    let served = serve(limits());
    let pipeline: String = (0..40).map(|n| get(&format!("/query?{n}"))).collect();
    let mut client = served.client().send(pipeline + "garbage\r\n\r\n");
    for n in 0..40 {
        assert_eq!(client.next("GET").text(), n.to_string());
    }
    assert_eq!(client.next("GET").status, 400);
    assert!(client.closed());
    served.honest();
}

#[test]
fn an_unknown_expectation_is_417() {
    let served = serve(limits());
    let head = "GET /ok HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n";
    assert_eq!(served.ask(head).status, 417);
    served.honest();
}

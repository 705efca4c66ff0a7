//! Bodies: slow, large, lying about their length, in pieces.

use std::time::Duration;

use roundsman_net::{Limits, Refusal};

use crate::support::{SHORT, hasty, limits, serve};

fn post(fields: &str, body: &str) -> String {
    format!("POST /size HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}")
}

#[test]
fn a_body_that_dribbles_is_cut_off_at_the_deadline_for_the_whole() {
    let served = serve(hasty());
    for fields in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let client = served.client().send(post(fields, ""));
        let (status, took) = client.dribble(b"1\r\nx\r\n", Duration::from_millis(30));
        assert_eq!(status, Some(408), "{fields}");
        assert!(took >= SHORT - Duration::from_millis(50), "{took:?}");
        assert!(took < SHORT * 8, "{took:?}");
        served.honest();
    }
    assert_eq!(served.server.stats().refused(Refusal::BodyLate), 2);
}

#[test]
fn a_declared_length_over_the_cap_is_413_before_a_byte_is_sent() {
    let served = serve(limits());
    for length in ["65537", "99999999999", "9223372036854775807"] {
        // With the expectation too: no `100 Continue` invites the body.
        for expect in ["", "\r\nExpect: 100-continue"] {
            let fields = format!("Content-Length: {length}{expect}");
            let mut client = served.client().send(post(&fields, ""));
            let reply = client.next("POST");
            assert_eq!(reply.status, 413, "{fields}");
            assert_eq!(reply.field("connection"), Some("close"));
            assert!(client.closed());
            served.honest();
        }
    }
    let over = post("Content-Length: 99999999999999999999999", "");
    assert_eq!(served.ask(over).status, 400);
}

#[test]
fn a_client_that_sends_its_oversized_body_anyway_still_reads_413() {
    let served = serve(limits());
    let fields = format!("Content-Length: {}", 3 << 20);
    let mut client = served.client().send(post(&fields, ""));
    client.push(vec![b'x'; 3 << 20]).unwrap();
    assert_eq!(client.reply().status, 413);
    served.honest();
}

#[test]
fn chunks_are_counted_as_they_come() {
    let served = serve(limits());
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    let fits = served.ask(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    assert_eq!((fits.status, fits.text()), (200, "11"));
    let trailers = served.ask(chunked("1\r\nx\r\n0\r\nX-T: y\r\n\r\n"));
    assert_eq!((trailers.status, trailers.text()), (200, "1"));

    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    assert_eq!(served.ask(chunked(&chunk.repeat(5))).status, 413);
    // One chunk that announces more than there can be.
    let huge = format!("ffffffffffff\r\n{}", "x".repeat(70_000));
    assert_eq!(served.ask(chunked(&huge)).status, 413);
    for bad in [
        "zz\r\n",
        "fffffffffffffffffff\r\n",
        "-1\r\nx\r\n",
        "1\r\nxy\r\n",
    ] {
        assert_eq!(served.ask(chunked(bad)).status, 400, "{bad}");
    }
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(40 << 10));
    assert_eq!(served.ask(chunked(&extension)).status, 400);
    served.honest();
}

#[test]
fn a_method_with_a_body_needs_a_length() {
    let served = serve(limits());
    for method in ["POST", "PUT", "PATCH"] {
        let head = format!("{method} /size HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(served.ask(head).status, 411);
    }
    let empty = served.ask(post("Content-Length: 0", ""));
    assert_eq!((empty.status, empty.text()), (200, "0"));
    let on_get = "GET /size HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(served.ask(on_get).text(), "3");
}

#[test]
fn lengths_that_contradict_each_other_are_400() {
    let served = serve(limits());
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: -3",
        "Content-Length: +3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: xchunked",
    ] {
        assert_eq!(served.ask(post(fields, "abc")).status, 400, "{fields}");
        served.honest();
    }
    let http_1_0 = "POST /size HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(served.ask(http_1_0).status, 400);
    // The same length twice is one length.
    let twice = served.ask(post("Content-Length: 3\r\nContent-Length: 3", "abc"));
    assert_eq!((twice.status, twice.text()), (200, "3"));
}

#[test]
fn both_framings_at_once_are_read_as_chunks_and_never_kept() {
    let served = serve(limits());
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let smuggled = "1\r\nx\r\n0\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut client = served.client().send(post(fields, smuggled));
        assert_eq!(client.next("POST").text(), "1");
        assert!(client.closed(), "the request behind it was served");
    }
    served.honest();
}

#[test]
fn a_body_shorter_than_declared_is_400_and_a_longer_one_is_the_next_request() {
    let served = serve(limits());
    let cut = served.client().send(post("Content-Length: 10", "abc"));
    assert_eq!(cut.finish().reply().status, 400);
    assert_eq!(served.server.stats().refused(Refusal::BodyIncomplete), 1);

    let mut long = served.client().send(post("Content-Length: 3", "abcdef"));
    assert_eq!(long.next("POST").text(), "3");
    assert_eq!(long.dribble(b"\r\n", Duration::from_millis(5)).0, Some(400));
    served.honest();
}

#[test]
fn one_who_expects_to_be_asked_is_asked() {
    let served = serve(limits());
    let fields = "Content-Length: 3\r\nExpect: 100-continue";
    let mut client = served.client().send(post(fields, ""));
    assert_eq!(client.next("POST").status, 100);
    client.push("abc").unwrap();
    assert_eq!(client.next("POST").text(), "3");
    // And who does not wait is answered as well.
    let eager = served.client().send(post(fields, "abc"));
    let mut eager = eager;
    let first = eager.next("POST");
    let last = if first.status == 100 {
        eager.next("POST")
    } else {
        first
    };
    assert_eq!((last.status, last.text()), (200, "3"));
}

#[test]
fn a_body_refused_at_the_head_is_not_read() {
    let served = serve(limits());
    let secret = "POST /secret HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\
                  Expect: 100-continue\r\n\r\n";
    let mut client = served.client().send(secret);
    assert_eq!(client.next("POST").status, 401);
    assert!(client.closed());
    served.honest();
}

#[test]
fn a_cap_of_nothing_refuses_every_body() {
    let served = serve(Limits {
        body_bytes: 0,
        ..limits()
    });
    assert_eq!(served.ask(post("Content-Length: 1", "x")).status, 413);
    let chunked = post("Transfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n");
    assert_eq!(served.ask(chunked).status, 413);
    assert_eq!(served.ask(post("Content-Length: 0", "")).status, 200);
    served.honest();
}

#[test]
fn bodies_together_are_capped_and_the_oldest_unfinished_one_gives_way() {
    let served = serve(limits());
    // 256 KiB in all: the fourth unfinished body of 60 KiB fits, the fifth does not.
    let unfinished = post("Content-Length: 65536", &"x".repeat(60 << 10));
    let mut held: Vec<_> = (0..8).map(|_| served.client().send(&unfinished)).collect();
    let evicted = |n| move |stats: &roundsman_net::Snapshot| stats.refused(Refusal::Evicted) >= n;
    assert_eq!(served.stats_when(evicted(4)).refused(Refusal::Evicted), 4);
    assert!(held[0].closed());
    let mut last = held.pop().unwrap();
    last.push("x".repeat(4 << 10)).unwrap();
    assert_eq!(last.next("POST").text(), "65536");
    served.honest();
}

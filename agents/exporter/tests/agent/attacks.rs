//! Clients that mean no good, against the real program. The server's own tests have the whole
//! list; here it is the one that is built into the exporter, with its settings.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Exporter, reply, request, sound_root, start};

/// An honest scrape on a new connection succeeds in reasonable time.
fn honest(exporter: &Exporter) {
    let before = Instant::now();
    assert!(exporter.page().has("node_load1"));
    assert!(before.elapsed() < Duration::from_secs(5));
}

fn status_of(exporter: &Exporter, bytes: &[u8]) -> u16 {
    let mut client = exporter.client();
    // The server may have seen enough before the last byte.
    let _ = client.write_all(bytes);
    reply(&mut client, "GET").status
}

#[test]
fn malformed_and_oversized_requests_are_refused() {
    let exporter = start(sound_root(""));
    let long = format!("X: {}\r\n", "x".repeat(64 << 10));
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (bytes, status) in [
        (request("GET", "/metrics", &long), 431),
        (request("GET", "/metrics", &many), 431),
        (request("POST", "/metrics", ""), 411),
        (
            request("GET", "/metrics", "Content-Length: 99999999999\r\n"),
            413,
        ),
        (
            request(
                "GET",
                "/metrics",
                "Content-Length: 1\r\nContent-Length: 2\r\n",
            ),
            400,
        ),
        (request("GET", "/metrics", "X: a\0b\r\n"), 400),
        (request("GET", "/metrics", "Expect: a miracle\r\n"), 417),
        (request("CONNECT", "elsewhere:1", ""), 501),
        ("GARBAGE\r\n\r\n".to_owned(), 400),
    ] {
        let told = status_of(&exporter, bytes.as_bytes());
        assert_eq!(
            told,
            status,
            "{}",
            bytes.lines().take(3).collect::<String>()
        );
        honest(&exporter);
    }
    exporter.stop();
}

#[test]
fn more_slow_clients_than_places_do_not_keep_out_an_honest_one() {
    let exporter = start(sound_root("connections = 32"));
    let slow: Vec<TcpStream> = (0..128)
        .map(|_| {
            let mut client = exporter.client();
            // Evicted ones hear of it by a reset.
            let _ = client.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nX-Slow");
            client
        })
        .collect();
    honest(&exporter);
    let page = exporter.page();
    assert!(page.expect("roundsman_exporter_http_refusals_total{reason=\"evicted\"}") >= 90.0);
    assert!(page.expect("roundsman_exporter_http_open_connections") <= 32.0);
    drop(slow);
    honest(&exporter);
    exporter.stop();
}

#[test]
fn clients_that_reset_or_leave_are_forgotten() {
    let exporter = start(sound_root(""));
    for _ in 0..200 {
        let mut client = exporter.client();
        client
            .write_all(request("GET", "/metrics", "").as_bytes())
            .unwrap();
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
    honest(&exporter);
    exporter.stop();
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let exporter = start(sound_root("connections = 4096"));
    let pid = Pid::from_raw(exporter.process.id().cast_signed()).unwrap();
    let open = exporter.page().expect("process_open_fds");
    let limit = Rlimit {
        current: Some(open as u64 + 16),
        maximum: Some(open as u64 + 16),
    };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    let crowd: Vec<TcpStream> = (0..64).map(|_| exporter.client()).collect();
    // Places are made by closing those who wait.
    honest(&exporter);
    drop(crowd);
    let page = exporter.page();
    assert!(page.expect("roundsman_exporter_http_accept_failures_total") >= 1.0);
    assert!(page.success("host"));
    exporter.stop();
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody() {
    let exporter = start(sound_root(""));
    let mut deaf = exporter.client();
    for _ in 0..64 {
        // Until the buffers are full.
        let asked = deaf.write_all(request("GET", "/metrics", "").as_bytes());
        if asked.is_err() {
            break;
        }
    }
    honest(&exporter);
    drop(deaf);
    let mut half = exporter.client();
    half.write_all(request("GET", "/healthz", "").as_bytes())
        .unwrap();
    half.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    exporter.stop();
}

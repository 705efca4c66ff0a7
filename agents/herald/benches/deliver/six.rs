//! One dead, one slow and one complaining endpoint among six: what the other three notice.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use roundsman_store::{Store, event};

use crate::receiver::Receiver;
use crate::{Herald, percentiles};

const EVENTS: usize = 1000;
const PACE: Duration = Duration::from_millis(4);

/// Prints the spans from a commit to the arrival, with three endpoints and with six.
pub fn measure(root: &Path, store: &mut Store) {
    let well = [(); 3].map(|()| Receiver::start());
    let lines: String = well
        .iter()
        .enumerate()
        .map(|(n, receiver)| endpoint(&format!("well{n}"), receiver.port))
        .collect();
    let names = ["well0", "well1", "well2"];
    let alone = run(root, store, &well, &names, &lines);
    let bad = [
        endpoint("dead", 1),
        endpoint("slow", serve(slowly)),
        endpoint("busy", serve(complain)),
    ];
    let names = ["well0", "well1", "well2", "dead", "slow", "busy"];
    let beside = run(root, store, &well, &names, &(lines + &bad.concat()));
    println!("\n### {EVENTS} events to three endpoints, one every {PACE:?}\n");
    println!("| ms from the commit to each of the three | p50 | p99 |");
    println!("| --- | ---: | ---: |");
    println!("| alone | {} |", percentiles(alone));
    println!(
        "| beside a dead, a slow and a complaining one | {} |",
        percentiles(beside)
    );
}

fn endpoint(name: &str, port: u16) -> String {
    format!("[endpoints.{name}]\nurl = 'http://127.0.0.1:{port}/'\nallow = ['127.0.0.1/32']\n")
}

fn run(
    root: &Path,
    store: &mut Store,
    receivers: &[Receiver],
    names: &[&str],
    endpoints: &str,
) -> Vec<Duration> {
    let number = names.len();
    let text =
        format!("[triggers.six{number}]\nkinds = ['bench.*']\nendpoints = {names:?}\n{endpoints}");
    std::fs::write(root.join("etc/roundsman/herald.toml"), text).unwrap();
    let herald = Herald::start(root);
    // A trigger begins with what is committed after it was loaded.
    while !herald.has_read(store, &format!("six{number}")) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let committed: Vec<Instant> = (0..EVENTS)
        .map(|number| {
            store
                .publish(|tx| event::insert(tx, &crate::event(number)))
                .unwrap();
            let at = Instant::now();
            std::thread::sleep(PACE);
            at
        })
        .collect();
    let spans = |receiver: &Receiver| {
        let arrivals = receiver.take(EVENTS);
        let spans = arrivals.into_iter().map(|one| {
            let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
            let number = body["data"]["data"]["number"].as_u64().unwrap() as usize;
            one.at.saturating_duration_since(committed[number])
        });
        spans.collect::<Vec<_>>()
    };
    receivers.iter().flat_map(spans).collect()
}

fn serve(answer: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// A byte a second.
fn slowly(mut stream: TcpStream) {
    for byte in b"HTTP/1.1 204 No Content\r\nServer: snail\r\n\r\n" {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn complain(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let _ = stream.write_all(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
}

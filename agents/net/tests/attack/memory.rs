//! What a client can make the server hold, seen from outside its process.

use crate::child::{Process, is_server_of, serve_until_told};
use crate::support::{BIG, Client, get, honest, limits, serve};

/// What all attacks together may add, in KiB: places × buffers, and all bodies, with room.
const MOST: u64 = 24 << 10;

fn upload(length: &str) -> String {
    format!("POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn no_attack_makes_the_server_grow() {
    if is_server_of("memory::no_attack_makes_the_server_grow") {
        serve_until_told(&serve(limits()));
        return;
    }
    let process = Process::start("memory::no_attack_makes_the_server_grow");
    let client = || Client::connect(process.address);
    for _ in 0..20 {
        honest(process.address);
    }
    let before = process.resident();
    assert!(before > BIG as u64 >> 10, "the big page is resident");
    let bounded = |attack: &str| {
        honest(process.address);
        let grown = process.resident().saturating_sub(before);
        println!("{attack}: +{grown} KiB");
        assert!(grown < MOST, "{attack}: grew by {grown} KiB");
    };

    // Lengths that nobody means.
    let lying: Vec<_> = (0..64)
        .map(|_| client().send(upload("99999999999")))
        .collect();
    bounded("huge lengths");
    drop(lying);

    // Bodies that never end, all of them real bytes.
    let piece = vec![b'x'; 60 << 10];
    let bodies: Vec<_> = (0..200)
        .map(|_| {
            let mut client = client().send(upload("65536"));
            // Given way to a younger one meanwhile, perhaps.
            let _ = client.push(&piece);
            client
        })
        .collect();
    bounded("unfinished bodies");
    drop(bodies);

    let mut endless = client().send("GET /");
    while endless.push(&piece).is_ok() {}
    bounded("an endless head");

    let readers: Vec<_> = (0..200).map(|_| client().send(get("/big"))).collect();
    bounded("slow readers");
    drop(readers);

    // A pipeline whose answers nobody reads: each is small, there is no end of them.
    let mut deaf = client();
    let requests = "HEAD /ok HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    deaf.0
        .set_write_timeout(Some(std::time::Duration::from_millis(500)))
        .unwrap();
    let sent = (0..200)
        .take_while(|_| deaf.push(&requests).is_ok())
        .count();
    assert!(sent < 200, "the server read it all without being read");
    bounded("an unread pipeline");

    let half: Vec<_> = (0..300)
        .map(|_| client().send("GET /ok HTTP/1.1\r\nX: "))
        .collect();
    bounded("half-open connections");
    drop(half);
    process.stop();
}

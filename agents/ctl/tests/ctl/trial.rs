//! `endpoints test`, with the real herald and a receiver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use roundsman_store::delivery::{self, Filter};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::NewEvent;
use roundsman_tests::{AgentCommand, PATIENCE, Process, Root};
use serde_json::{Value, json};

use super::{now, publish, roundsman, said, store};

/// A receiver that gives every request the same answer, and the requests.
fn receiver(answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, received) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Who has gone away gets no answer.
            let _ = requests.send(serve(stream, answer).unwrap_or_default());
        }
    });
    (address, received)
}

fn serve(mut stream: TcpStream, answer: &str) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        text.push_str(&line);
        if line.trim_end().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    text.push_str(&String::from_utf8_lossy(&body));
    stream.write_all(answer.as_bytes())?;
    Ok(text)
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 8\r\n\r\nhi\x1b[31m!";
const BUSY: &str = "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A herald that is ready, with endpoint "ops" at this address and a trigger that wants nothing
/// of what the tests publish before it starts.
fn herald(root: &Root, address: SocketAddr) -> Process {
    let endpoint = format!(
        "[triggers.tests]\nkinds = ['test.*']\nendpoints = ['ops']\n\
         [endpoints.ops]\nurl = 'http://{address}/in'\nallow = ['127.0.0.1/32']\n\
         secrets = [{{ credential = 'key' }}]\nbearer = {{ credential = 'token' }}\n\
         timeout = '5s'\n"
    );
    root.config("herald", &endpoint);
    let manager = root.manager();
    let command: AgentCommand = root.agent("herald").manager(&manager);
    let command = command
        .credential("key", SECRET)
        .credential("token", "s3cret");
    let process = command.spawn();
    manager.wait_ready();
    process
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_request_goes_out_signed_and_counts_for_nothing() {
    let root = Root::new();
    let mut store = store(&root);
    let (address, requests) = receiver(OK);
    let herald = herald(&root, address);
    let text = said(roundsman(&root, ["endpoints", "test", "ops"]), 0);
    for needle in [
        "endpoint ops takes it\n",
        &format!("  url        http://{address}/in\n"),
        "  event      a made-up herald.test\n",
        "  status     200\n",
        "  signature  standard\n",
        "  POST /in HTTP/1.1\n",
        "  webhook-signature: v1,",
        "  authorization: (hidden)\n",
        "answer\n  hi\\x1b[31m!\n",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    let request = requests.recv_timeout(PATIENCE).unwrap();
    assert!(
        request.contains("authorization: Bearer s3cret"),
        "{request}"
    );
    assert!(request.contains("webhook-id: test-"), "{request}");
    assert!(request.contains("herald.test"), "{request}");
    let owed = store.read(|tx| delivery::list(tx, &Filter::default(), 10));
    assert_eq!(owed.unwrap(), []);
    herald.stop(PATIENCE).expect_code(0);
}

#[test]
fn a_real_event_goes_also_to_an_endpoint_that_is_disabled_and_a_refusal_is_no_success() {
    let root = Root::new();
    let mut store = store(&root);
    let event = NewEvent::occurred(now(), "test", "test.thing")
        .uid("u1")
        .message("real");
    publish(&mut store, &event);
    let (address, requests) = receiver(BUSY);
    let herald = herald(&root, address);
    said(roundsman(&root, ["endpoints", "disable", "ops"]), 0);
    let known = |store: &mut roundsman_store::Store| -> Vec<Endpoint> {
        store.read(endpoint::list).unwrap()
    };
    let before = known(&mut store);
    for args in [&["--json"][..], &["--json", "--event", "u1"]] {
        let command = root.ctl().args(["endpoints", "test", "ops"]).args(args);
        let told = json_of(&said(command, 1));
        assert_eq!(
            (&told["status"], &told["is_ok"]),
            (&json!(503), &json!(false))
        );
        assert_eq!(
            (&told["event_id"], &told["trigger"]),
            (&json!(1), &json!("tests"))
        );
        assert!(told["took_ms"].is_u64(), "{told}");
        let request = requests.recv_timeout(PATIENCE).unwrap();
        assert!(
            request.contains("real") && request.contains("webhook-id: test-"),
            "{request}"
        );
    }
    assert_eq!(known(&mut store), before);
    herald.stop(PATIENCE).expect_code(0);
}

#[test]
fn an_endpoint_that_nobody_listens_at_is_no_success() {
    let root = Root::new();
    drop(store(&root));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let herald = herald(&root, address);
    let told = json_of(&said(
        roundsman(&root, ["endpoints", "test", "ops", "--json"]),
        1,
    ));
    assert_eq!(told["status"], Value::Null);
    assert!(
        told["error"].is_string() && told["request"].is_string(),
        "{told}"
    );
    for args in [
        &["endpoints", "test", "nowhere"][..],
        &["endpoints", "test", "ops", "--event", "9"],
    ] {
        root.ctl().args(args).run().expect_code(1);
    }
    herald.stop(PATIENCE).expect_code(0);
}

#[test]
fn without_herald_nothing_is_asked_and_nothing_is_left_behind() {
    let root = Root::new();
    let mut store = store(&root);
    let ops = Endpoint::new("ops", "f");
    store.write(|tx| endpoint::set(tx, &ops)).unwrap();
    let command = roundsman(&root, ["endpoints", "test", "ops"]);
    let output = command
        .deadline(PATIENCE + Duration::from_secs(10))
        .run()
        .expect_code(75);
    assert!(
        output.stderr.contains("systemctl start roundsman-herald"),
        "{output}"
    );
    let open = store
        .read(|tx| roundsman_store::trial::open(tx, 10))
        .unwrap();
    assert_eq!(open, []);
}

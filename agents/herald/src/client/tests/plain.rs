//! Answers of every kind, and addresses that are not dialled.

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::guard::{Class, Refused};

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |mut conn| {
        let tell = tell.clone();
        async move {
            tell.send(conn.request().await.unwrap()).unwrap();
            let later = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nlater";
            conn.say(later).await;
        }
    })
    .await;
    let mut request = post(&server.url());
    request.headers.push(("webhook-id".into(), "msg_1".into()));
    let Outcome::Answered {
        status,
        retry_after,
        head,
        cut,
        ..
    } = client().send(request).await
    else {
        panic!("no answer");
    };
    assert_eq!((status, retry_after.as_deref()), (429, Some("7")));
    assert_eq!((&head[..], cut), (&b"later"[..], None));
    let (head, body) = told.recv().await.unwrap();
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "POST /path-of-a-secret HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    let expected = [
        "content-length: 2",
        "content-type: application/json",
        &host,
        "webhook-id: msg_1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, b"{}");
}

#[tokio::test]
async fn redirects_are_answers() {
    let target = Server::start(|mut conn| async move { conn.answer_all(OK).await }).await;
    let location = target.url();
    let server = Server::start(move |mut conn| {
        let location = location.clone();
        async move {
            let head = "HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: ";
            conn.answer_all(&format!("{head}{location}\r\n\r\n")).await;
        }
    })
    .await;
    assert_eq!(status(sent(&server.url()).await), 307);
    assert_eq!(target.accepted(), 0);
}

async fn answering(answer: String) -> Server {
    Server::start(move |mut conn| {
        let answer = answer.clone();
        async move {
            conn.request().await;
            conn.say(answer).await;
            // Ended in order, so that all of the answer arrives before the end does.
        }
    })
    .await
}

#[tokio::test]
async fn what_is_not_http_is_said() {
    for answer in [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\u{1}\u{2}\u{3}\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
    ] {
        let server = answering(answer.into()).await;
        let fault = fault(sent(&server.url()).await);
        assert!(matches!(fault, Fault::Malformed(_)), "{answer:?}: {fault}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100));
    for answer in [long, many] {
        let server = answering(answer).await;
        assert_eq!(fault(sent(&server.url()).await), Fault::TooLarge);
    }
}

#[tokio::test]
async fn a_cut_body_does_not_hide_the_status() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let server = answering(begun.into()).await;
    let found = came(sent(&server.url()).await);
    assert_eq!((found.status, &*found.head), (200, "abc"));
    assert!(matches!(found.cut, Some(Fault::Reset(_))), "{found:?}");
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n";
    let server = answering(chunk.into()).await;
    let found = came(sent(&server.url()).await);
    assert_eq!((found.status, &*found.head), (200, "abc"));
    assert!(matches!(found.cut, Some(Fault::Malformed(_))), "{found:?}");
}

#[tokio::test]
async fn a_reset_in_the_answer_is_said() {
    let server = Server::start(|mut conn| async move {
        // What is left unread makes the system reset the connection.
        conn.say("HTTP/1.1 200 OK\r\nContent-Le").await;
    })
    .await;
    let mut request = post(&server.url());
    request.body = vec![b'x'; 100_000].into();
    let lost = fault(client().send(request).await);
    assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_huge_answer_is_not_read() {
    const SIZE: usize = 100_000_000;
    for head in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
    ] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let server = Server::start(move |mut conn| {
            let (head, tell) = (head.clone(), tell.clone());
            async move {
                conn.request().await.unwrap();
                conn.say(head).await;
                let part = [b'x'; 100_000];
                let mut said = 0;
                while said < SIZE && conn.say(part).await {
                    said += part.len();
                }
                tell.send(said).unwrap();
            }
        })
        .await;
        let client = client();
        let found = came(client.send(post(&server.url())).await);
        assert_eq!((found.status, found.cut), (200, None));
        assert_eq!(found.head, "x".repeat(1024));
        assert!(told.recv().await.unwrap() < SIZE / 2);
        assert_eq!(status(client.send(post(&server.url())).await), 200);
        assert_eq!(server.accepted(), 2);
    }
}

#[tokio::test]
async fn an_early_answer_is_heard() {
    let server = Server::start(|mut conn| async move {
        conn.head().await.unwrap();
        let no = "HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        conn.say(no).await;
        conn.ended().await;
    })
    .await;
    let mut request = post(&server.url());
    request.body = vec![b'x'; 20_000_000].into();
    assert_eq!(status(client().send(request).await), 413);
}

#[tokio::test]
async fn what_the_guard_refuses_is_not_dialled() {
    let server = Server::start(|mut conn| async move { conn.answer_all(OK).await }).await;
    let guarded = Client::new(&Settings {
        guard: Guard::default(),
        ..settings()
    });
    let guarded = guarded.unwrap();
    for host in [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
    ] {
        let url = format!("http://{host}:{}/", server.port());
        let refused = fault(guarded.send(post(&url)).await);
        let is_loopback = matches!(
            refused,
            Fault::Refused(Refused {
                class: Class::Loopback,
                ..
            })
        );
        assert!(is_loopback, "{host}: {refused}");
    }
    assert_eq!(server.accepted(), 0);
    for host in ["localhost", "127.0.0.1", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{}/", server.port());
        assert_eq!(status(sent(&url).await), 200, "{host}");
    }
}

#[tokio::test]
async fn a_closed_port_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let lost = fault(sent(&format!("http://{address}/secret")).await);
    let Fault::Connect { address: found, .. } = lost else {
        panic!("{lost}");
    };
    assert_eq!(found, address);
}

#[tokio::test]
async fn unsound_requests_are_not_sent() {
    for (url, header, said) in [
        (
            "ftp://example.com/",
            "a",
            "its URL begins with neither http:// nor https://",
        ),
        (
            "/only/a/path",
            "a",
            "its URL begins with neither http:// nor https://",
        ),
        (
            "http://me:secret@127.0.0.1/",
            "a",
            "its URL holds a user; use a header",
        ),
        (
            "http://1.2.3.4.5/",
            "a",
            "\"1.2.3.4.5\" is neither the name of a host nor an IP address",
        ),
        (
            "http://127.0.0.1:9/",
            "a b",
            "its header \"a b\" is not sound",
        ),
        (
            "http://127.0.0.1:9/",
            "Transfer-Encoding",
            "its header Transfer-Encoding is not for us to set",
        ),
    ] {
        let mut request = post(url);
        request.headers.push((header.into(), "chunked".into()));
        let fault = fault(client().send(request).await);
        assert_eq!(fault, Fault::Unsound(said.into()), "{url}");
    }
    let mut request = post("http://127.0.0.1:9/");
    request.headers.push(("a".into(), "secret\r\nb: c".into()));
    let fault = fault(client().send(request).await);
    assert_eq!(
        fault,
        Fault::Unsound("its header \"a\" is not sound".into())
    );
}

#[tokio::test]
async fn a_client_that_goes_ends_its_connections() {
    let (tell, told) = oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let server = Server::start(move |mut conn| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            conn.answer_all(OK).await;
            tell.send(()).unwrap();
        }
    })
    .await;
    assert_eq!(status(sent(&server.url()).await), 200);
    told.await.unwrap();
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let server = Server::start(|mut conn| async move {
        conn.request().await;
        conn.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .await;
    })
    .await;
    let settings = Settings {
        guard: Guard {
            allow: vec!["127.0.0.1/32".parse().unwrap()],
            public_only: true,
        },
        ..settings()
    };
    let answers = [
        vec!["127.0.0.1"],
        vec!["127.0.0.2"],
        vec!["10.0.0.1", "169.254.169.254"],
        vec!["10.0.0.1", "127.0.0.1"],
    ];
    let answers = answers.map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
    let dialler = Dialler::scripted(&settings, answers.to_vec());
    let client = Client::of(&dialler, &settings);
    let url = format!("http://receiver.example:{}/", server.port());
    assert_eq!(status(client.send(post(&url)).await), 200);
    for class in [Class::Loopback, Class::Private] {
        let Fault::Refused(refused) = fault(client.send(post(&url)).await) else {
            panic!("{class:?}");
        };
        assert_eq!(refused.class, class);
    }
    // Of two addresses only the one that may be is dialled.
    assert_eq!(status(client.send(post(&url)).await), 200);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn old_answers_end_with_their_connection() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\ndone",
        "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ndone",
    ] {
        let server = answering(answer.into()).await;
        let found = came(sent(&server.url()).await);
        assert_eq!((found.status, &*found.head, found.cut), (200, "done", None));
    }
}

#[tokio::test]
async fn garbage_in_a_body_is_no_matter() {
    for body in ["\0\u{1b}[31m", "<html>", "{", "null"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let server = answering(head + body).await;
        let found = came(sent(&server.url()).await);
        assert_eq!((found.status, &*found.head, found.cut), (200, body, None));
    }
}

//! Kept connections, and requests that meet one that is being closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Barrier;

use super::*;

#[tokio::test]
async fn connections_are_used_again() {
    let long = format!(
        "HTTP/1.1 500 Oops\r\nContent-Length: 65536\r\n\r\n{}",
        "x".repeat(65_536)
    );
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        &long,
    ] {
        let answer = answer.to_owned();
        let server = Server::start(move |mut conn| {
            let answer = answer.clone();
            async move { conn.answer_all(&answer).await }
        })
        .await;
        let client = client();
        for _ in 0..5 {
            assert_eq!(came(client.send(post(&server.url())).await).cut, None);
        }
        assert_eq!(server.accepted(), 1);
    }
}

#[test]
fn connections_are_used_again_from_a_local_set() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sends = async {
        let server = Server::start(|mut conn| async move { conn.answer_all(OK).await }).await;
        let client = client();
        for _ in 0..5 {
            let (client, request) = (client.clone(), post(&server.url()));
            let sent = tokio::task::spawn_local(async move { client.send(request).await });
            assert_eq!(status(sent.await.unwrap()), 200);
        }
        assert_eq!(server.accepted(), 1);
    };
    tokio::task::LocalSet::new().block_on(&runtime, sends);
}

#[tokio::test]
async fn nothing_is_kept_unless_wanted() {
    let server = Server::start(|mut conn| async move { conn.answer_all(OK).await }).await;
    let client = Client::new(&Settings {
        max_idle: 0,
        ..settings()
    })
    .unwrap();
    for _ in 0..3 {
        assert_eq!(status(client.send(post(&server.url())).await), 200);
    }
    assert_eq!(server.accepted(), 3);
}

/// Answers the first request of a connection below `stale` and does `then` to its second;
/// answers all of the others. Counts the requests.
async fn closing(stale: usize, then: &'static str) -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let server = Server::start(move |mut conn| {
        let counted = Arc::clone(&counted);
        async move {
            let mut served = 0;
            while conn.request().await.is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
                if served > 0 && conn.number < stale {
                    conn.say(then).await;
                    return;
                }
                conn.say(OK).await;
                served += 1;
            }
        }
    })
    .await;
    (server, requests)
}

#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_sent_again() {
    let (server, requests) = closing(1, "").await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(status(client.send(post(&server.url())).await), 200);
    }
    assert!(server.accepted() >= 2);
    // Three, and the one that was lost.
    assert_eq!(requests.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn it_is_sent_again_on_a_new_connection_and_not_on_another_kept_one() {
    let both = Arc::new(Barrier::new(2));
    let server = Server::start(move |mut conn| {
        let both = Arc::clone(&both);
        async move {
            conn.request().await.unwrap();
            // Two connections exist at once, so two are kept.
            if conn.number < 2 {
                both.wait().await;
            }
            conn.say(OK).await;
            if conn.number < 2 {
                conn.request().await;
            }
        }
    })
    .await;
    let client = client();
    let url = server.url();
    let (one, two) = tokio::join!(client.send(post(&url)), client.send(post(&url)));
    assert_eq!((status(one), status(two)), (200, 200));
    assert_eq!(server.accepted(), 2);
    assert_eq!(status(client.send(post(&url)).await), 200);
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let server = Server::start(|mut conn| async move {
        conn.request().await.unwrap();
        conn.say(OK).await;
    })
    .await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(status(client.send(post(&server.url())).await), 200);
    }
    assert_eq!(server.accepted(), 5);
}

#[tokio::test]
async fn it_is_sent_again_only_once() {
    let server = Server::start(|mut conn| async move {
        conn.request().await.unwrap();
        if conn.number == 0 {
            conn.say(OK).await;
            conn.request().await.unwrap();
        }
    })
    .await;
    let client = client();
    assert_eq!(status(client.send(post(&server.url())).await), 200);
    let lost = fault(client.send(post(&server.url())).await);
    assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn what_was_answered_by_a_byte_is_not_sent_again() {
    let (server, requests) = closing(1, "H").await;
    let client = client();
    assert_eq!(status(client.send(post(&server.url())).await), 200);
    let lost = fault(client.send(post(&server.url())).await);
    assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_new_connection_loses_is_not_sent_again() {
    let server = Server::start(|mut conn| async move {
        conn.request().await.unwrap();
    })
    .await;
    let lost = fault(sent(&server.url()).await);
    assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    assert_eq!(server.accepted(), 1);
}

//! Receivers that take their time: everything ends at its deadline.

use std::future::Future;

use tokio::sync::mpsc;

use super::server::Conn;
use super::*;

/// A receiver that does `script` after each request, and then tells when the client has ended the
/// connection.
async fn lingering<F, Fut>(script: F) -> (Server, mpsc::UnboundedReceiver<()>)
where
    F: Fn(Conn) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = Conn> + Send,
{
    let (tell, told) = mpsc::unbounded_channel();
    let server = Server::start(move |mut conn| {
        let tell = tell.clone();
        async move {
            conn.request().await.unwrap();
            script(conn).await.ended().await;
            tell.send(()).unwrap();
        }
    })
    .await;
    (server, told)
}

/// One byte now and then, until the client has had enough.
async fn drip(mut conn: Conn) -> Conn {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        if !conn.say("x").await {
            return conn;
        }
    }
}

fn took(outcome: &Outcome) -> Duration {
    match outcome {
        Outcome::Answered { took, .. } | Outcome::Failed { took, .. } => *took,
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_left() {
    let (server, mut ended) = lingering(|conn| async { conn }).await;
    let outcome = hurried().send(post(&server.url())).await;
    assert!(took(&outcome) >= SHORT);
    assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    ended.recv().await.unwrap();
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_head_that_drips_is_left() {
    let (server, mut ended) = lingering(|mut conn| async move {
        conn.say("HTTP/1.1 200 OK\r\nX: ").await;
        drip(conn).await
    })
    .await;
    let outcome = hurried().send(post(&server.url())).await;
    assert!(took(&outcome) >= SHORT);
    assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    ended.recv().await.unwrap();
}

#[tokio::test]
async fn a_body_that_drips_is_left_and_the_status_stands() {
    let (server, mut ended) = lingering(|mut conn| async move {
        conn.say("HTTP/1.1 200 OK\r\n\r\n").await;
        drip(conn).await
    })
    .await;
    let outcome = hurried().send(post(&server.url())).await;
    assert!(took(&outcome) >= SHORT);
    let found = came(outcome);
    assert_eq!(found.status, 200);
    assert_eq!(found.cut, Some(Fault::Timeout(Stage::Body)));
    assert!(found.head.starts_with('x'));
    ended.recv().await.unwrap();
}

#[tokio::test]
async fn provisional_answers_do_not_prolong_it() {
    let (server, mut ended) = lingering(|mut conn| async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while conn.say("HTTP/1.1 103 Soon\r\n\r\n").await {
            tick.tick().await;
        }
        conn
    })
    .await;
    let outcome = hurried().send(post(&server.url())).await;
    assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    ended.recv().await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_never_reads_is_left() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |conn| {
        let tell = tell.clone();
        async move { drop(tell.send(conn)) }
    })
    .await;
    let mut request = post(&server.url());
    request.body = vec![b'x'; 20_000_000].into();
    let outcome = hurried().send(request).await;
    assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    told.recv().await.unwrap().ended().await;
}

#[tokio::test]
async fn a_slow_handshake_is_left() {
    let server = Server::start(|mut conn| async move { conn.ended().await }).await;
    let client = Client::new(&Settings {
        connect_timeout: SHORT,
        ..settings()
    })
    .unwrap();
    let url = format!("https://{}/", server.address);
    let lost = fault(client.send(post(&url)).await);
    assert_eq!(lost, Fault::Timeout(Stage::Tls));
    // The total deadline holds for the way there too.
    let lost = fault(hurried().send(post(&url)).await);
    assert_eq!(lost, Fault::Timeout(Stage::Connect));
}

//! One connection from its handshake to its end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::conn::{Conn, Phase};
use crate::core::Core;
use crate::handler::Handler;
use crate::listener::Accepted;
use crate::message::Peer;
use crate::refusal::Refusal;
use crate::service::exchange;
use crate::stream::{Socket, Stream};

/// Why a connection is over.
enum End {
    /// hyper is through with it.
    Done(hyper::Result<()>),
    /// The deadline of its phase has passed.
    Late,
    /// The server stops, and the client awaits nothing.
    Stopping,
}

/// Serves one client until it leaves, is late, or the server stops.
pub(crate) async fn drive<H: Handler>(
    core: Rc<Core<H>>,
    conn: Rc<Conn>,
    socket: Accepted,
    peer: Peer,
) {
    let Some(socket) = open(&core, &conn, socket).await else {
        return;
    };
    conn.head_begins(Instant::now());
    let stream = TokioIo::new(Stream::new(socket, Rc::clone(&conn)));
    let service = service_fn(|request| exchange(Rc::clone(&core), Rc::clone(&conn), peer, request));
    let mut http = core.http.serve_connection(stream, service);
    let mut alarm = pin!(sleep_until(Instant::now()));
    let end = poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(End::Done(result));
        }
        if conn.phase() == Phase::Idle {
            if core.stopping.get() {
                return Poll::Ready(End::Stopping);
            }
            core.places.idles();
        }
        poll_alarm(&conn, alarm.as_mut(), cx)
    })
    .await;
    let stream = http.into_parts().io.into_inner();
    close(&core, &conn, stream, end).await;
}

/// The handshake, where there is one.
async fn open<H: Handler>(core: &Core<H>, conn: &Conn, socket: Accepted) -> Option<Socket> {
    match socket {
        Accepted::Unix(socket) => Some(Socket::Unix(socket)),
        Accepted::Tcp(socket, None) => Some(Socket::Tcp(socket)),
        Accepted::Tcp(socket, Some(tls)) => {
            let deadline = conn.deadline().unwrap_or_else(Instant::now);
            match timeout_at(deadline, tls.acceptor().accept(socket)).await {
                Ok(Ok(stream)) => Some(Socket::Tls(Box::new(stream))),
                Ok(Err(_)) | Err(_) => {
                    core.counters.refused(Refusal::Handshake);
                    None
                }
            }
        }
    }
}

/// Ready when the deadline of the present phase has passed.
fn poll_alarm(
    conn: &Conn,
    mut alarm: Pin<&mut tokio::time::Sleep>,
    cx: &mut Context<'_>,
) -> Poll<End> {
    let Some(deadline) = conn.deadline() else {
        return Poll::Pending;
    };
    if alarm.deadline() != deadline {
        alarm.as_mut().reset(deadline);
    }
    alarm.poll(cx).map(|()| End::Late)
}

/// Says what is still to be said, and lets the client hear it.
async fn close<H: Handler>(core: &Core<H>, conn: &Conn, mut stream: Stream, end: End) {
    let refusal = match &end {
        End::Stopping => None,
        End::Late => late(conn),
        End::Done(Ok(())) => None,
        End::Done(Err(error)) => fault(conn, &stream, error),
    };
    if let Some(refusal) = refusal {
        core.counters.refused(refusal);
    }
    let phase = conn.phase();
    if stream.broken()
        || matches!(end, End::Stopping)
        || matches!(end, End::Late) && phase != Phase::Head
    {
        return;
    }
    // hyper has answered what it could not parse; a head that is late or cut off is ours to say.
    let said = refusal.filter(|_| conn.started() || phase == Phase::Write);
    let response = said.map(Refusal::response);
    if let Some(response) = &response {
        core.counters.answered(response.status);
    }
    let unsaid = response.filter(|_| phase == Phase::Head);
    let deadline = conn.lingers(Instant::now());
    let goodbye = async {
        if let Some(response) = unsaid {
            let words = last_words(response.status, &response.body);
            stream.write_all(&words).await?;
        }
        stream.shutdown().await?;
        if !core.stopping.get() {
            stream.discard().await;
        }
        std::io::Result::Ok(())
    };
    // The client is being left: whether it listened changes nothing.
    let _ = timeout_at(deadline, goodbye).await;
}

fn late(conn: &Conn) -> Option<Refusal> {
    match conn.phase() {
        Phase::Head => Some(Refusal::HeadLate),
        Phase::Write => Some(Refusal::WriteLate),
        // A kept connection that is not used again is no fault.
        _ => None,
    }
}

/// What a connection that hyper gave up died of.
fn fault(conn: &Conn, stream: &Stream, error: &hyper::Error) -> Option<Refusal> {
    if error.is_parse_too_large() {
        Some(Refusal::HeadTooLarge)
    } else if error.is_parse() {
        Some(Refusal::Malformed)
    } else if stream.broken() {
        Some(Refusal::Reset)
    } else if conn.phase() == Phase::Head && conn.started() {
        // The client ended in the middle of a head.
        Some(Refusal::Malformed)
    } else {
        None
    }
}

fn last_words(status: hyper::StatusCode, body: &Bytes) -> Vec<u8> {
    let mut words = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    words.extend_from_slice(body);
    words
}

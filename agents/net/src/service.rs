//! One exchange: from a parsed head to a response that hyper can send.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Version};
use tokio::time::{Instant, timeout_at};

use crate::conn::Conn;
use crate::core::Core;
use crate::handler::Handler;
use crate::message::{Head, Peer, Request, Response};
use crate::refusal::Refusal;

/// Methods whose meaning is in their body, so that one without a length is a mistake.
const WITH_BODY: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

/// Why there is no answer of the handler.
enum Stopped {
    /// The handler did not admit the head.
    Unadmitted(Response),
    /// The server refused.
    Refused(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Answers one request of `conn`.
pub(crate) async fn exchange<H: Handler>(
    core: Rc<Core<H>>,
    conn: Rc<Conn>,
    peer: Peer,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Handed>, Infallible> {
    conn.head_ends(Instant::now());
    let (parts, body) = request.into_parts();
    let bodiless = body.is_end_stream();
    let outcome = respond(&core, &conn, peer, parts, body).await;
    core.places.release(&conn);
    let (response, close) = match outcome {
        Ok(response) => (response, false),
        // Of a body that nobody reads the end is not known.
        Err(Stopped::Unadmitted(response)) => (response, !bodiless),
        Err(Stopped::Refused(refusal)) => {
            core.counters.refused(refusal);
            (refusal.response(), true)
        }
    };
    core.counters.answered(response.status);
    conn.answer_begins(Instant::now());
    let close = close || core.stopping.get();
    Ok(sendable(response, close, conn))
}

async fn respond<H: Handler>(
    core: &Core<H>,
    conn: &Rc<Conn>,
    peer: Peer,
    parts: Parts,
    body: Incoming,
) -> Result<Response, Stopped> {
    check(&parts, &body, core.limits.body_bytes)?;
    let head = Head {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        peer,
        deadline: conn.request_deadline().into_std(),
    };
    guarded(|| core.handler.admit(&head))?.map_err(Stopped::Unadmitted)?;
    let body = timeout_at(conn.body_deadline(), collect(core, conn, body))
        .await
        .map_err(|_| Refusal::BodyLate)??;
    conn.body_ends(Instant::now());
    let _turn = Turn::take(core)?;
    let mut answer = guarded(|| core.handler.answer(Request { head, body }))?;
    let answer = poll_fn(|cx| match guarded(|| answer.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(refusal) => Poll::Ready(Err(refusal)),
    });
    let response = timeout_at(conn.request_deadline(), answer)
        .await
        .map_err(|_| Refusal::AnswerLate)??;
    Ok(response)
}

/// Calls into the handler; a panic there is the fault of this one request.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Refusal::Panicked)
}

/// What is wrong with a head that parsed.
fn check(parts: &Parts, body: &Incoming, most: usize) -> Result<(), Refusal> {
    let fields = &parts.headers;
    let hosts = fields.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && parts.version == Version::HTTP_11) {
        return Err(Refusal::Malformed);
    }
    if parts.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let expects = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if fields.get_all(header::EXPECT).iter().any(expects) {
        return Err(Refusal::Expectation);
    }
    let sized = fields.contains_key(header::CONTENT_LENGTH)
        || fields.contains_key(header::TRANSFER_ENCODING);
    if !sized && WITH_BODY.contains(&parts.method) {
        return Err(Refusal::LengthRequired);
    }
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// Reads the body. Memory is taken as bytes come, never as they are announced.
async fn collect<H: Handler>(
    core: &Core<H>,
    conn: &Rc<Conn>,
    mut body: Incoming,
) -> Result<Bytes, Refusal> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        // A client that ends too soon, a chunk that is none.
        let frame = frame.map_err(|_| Refusal::BodyIncomplete)?;
        let Some(data) = frame.data_ref() else {
            continue; // trailers, which nobody here reads
        };
        if collected.len() + data.len() > core.limits.body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        if !core.places.hold(conn, data.len()) {
            return Err(Refusal::Busy);
        }
        collected.extend_from_slice(data);
    }
    Ok(collected.into())
}

/// A request that is being answered.
struct Turn<'a, H> {
    core: &'a Core<H>,
}

impl<'a, H> Turn<'a, H> {
    fn take(core: &'a Core<H>) -> Result<Self, Refusal> {
        if core.answering.get() >= core.limits.requests {
            return Err(Refusal::Busy);
        }
        core.set_answering(core.answering.get() + 1);
        Ok(Self { core })
    }
}

impl<H> Drop for Turn<'_, H> {
    fn drop(&mut self) {
        self.core.set_answering(self.core.answering.get() - 1);
    }
}

fn sendable(response: Response, close: bool, conn: Rc<Conn>) -> hyper::Response<Handed> {
    let mut sent = hyper::Response::new(Handed {
        bytes: Some(response.body).filter(|bytes| !bytes.is_empty()),
        conn,
    });
    *sent.status_mut() = response.status;
    *sent.headers_mut() = *response.headers;
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ] {
        sent.headers_mut().remove(name);
    }
    if close {
        let close = HeaderValue::from_static("close");
        sent.headers_mut().insert(header::CONNECTION, close);
    }
    sent
}

/// A body in one piece that says when hyper has taken it.
pub(crate) struct Handed {
    bytes: Option<Bytes>,
    conn: Rc<Conn>,
}

impl Body for Handed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.conn.answer_handed();
    }
}

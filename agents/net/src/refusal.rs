//! Why a request or connection was refused or cut off: a closed set, for figures and responses.

use hyper::StatusCode;

use crate::message::Response;

/// A reason the server itself had; what a handler refuses is in the counts by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The TLS handshake failed or was late: closed.
    Handshake,
    /// The head was not complete in time: 408, or closed if not a byte had come.
    HeadLate,
    /// More head than allowed, in bytes or fields: 431.
    HeadTooLarge,
    /// Not HTTP/1, or contradicting itself: 400.
    Malformed,
    /// An expectation other than `100-continue`: 417.
    Expectation,
    /// `CONNECT`, which this is not a proxy for: 501.
    Connect,
    /// A method that carries a body came without its length: 411.
    LengthRequired,
    /// More body than allowed, declared or sent: 413.
    BodyTooLarge,
    /// The body was not complete in time: 408.
    BodyLate,
    /// The client ended in the middle of the body: 400.
    BodyIncomplete,
    /// All places for requests or body bytes are taken: 503.
    Busy,
    /// The handler was late: 503.
    AnswerLate,
    /// The handler panicked: 500.
    Panicked,
    /// The client did not take its answer in time: reset.
    WriteLate,
    /// The client reset the connection, or it broke.
    Reset,
    /// Closed while it waited, to make room.
    Evicted,
}

impl Refusal {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 16] = [
        Self::Handshake,
        Self::HeadLate,
        Self::HeadTooLarge,
        Self::Malformed,
        Self::Expectation,
        Self::Connect,
        Self::LengthRequired,
        Self::BodyTooLarge,
        Self::BodyLate,
        Self::BodyIncomplete,
        Self::Busy,
        Self::AnswerLate,
        Self::Panicked,
        Self::WriteLate,
        Self::Reset,
        Self::Evicted,
    ];

    /// The label value in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::HeadLate => "head_late",
            Self::HeadTooLarge => "head_too_large",
            Self::Malformed => "malformed",
            Self::Expectation => "expectation",
            Self::Connect => "connect",
            Self::LengthRequired => "length_required",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyLate => "body_late",
            Self::BodyIncomplete => "body_incomplete",
            Self::Busy => "busy",
            Self::AnswerLate => "answer_late",
            Self::Panicked => "panicked",
            Self::WriteLate => "write_late",
            Self::Reset => "reset",
            Self::Evicted => "evicted",
        }
    }

    /// What the client is told; those whose connection is just closed have no use for it.
    pub(crate) fn response(self) -> Response {
        let (status, text) = match self {
            Self::HeadLate | Self::BodyLate => {
                (StatusCode::REQUEST_TIMEOUT, "the request came too slowly\n")
            }
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the head is too large\n",
            ),
            Self::Expectation => (StatusCode::EXPECTATION_FAILED, "unknown expectation\n"),
            Self::Connect => (StatusCode::NOT_IMPLEMENTED, "this is not a proxy\n"),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "a length is required\n"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"),
            Self::Busy => return Response::busy(),
            Self::AnswerLate => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the answer was not ready in time\n",
            ),
            Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"),
            Self::Malformed
            | Self::BodyIncomplete
            | Self::Handshake
            | Self::WriteLate
            | Self::Reset
            | Self::Evicted => (StatusCode::BAD_REQUEST, "malformed request\n"),
        };
        Response::text(status, text)
    }
}

//! One request on one connection, and its answer.

use std::pin::pin;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::Extensions;
use hyper::{Method, Response};
use hyper_util::client::legacy::connect::{Connect, Connected, capture_connection};
use tokio::select;
use tokio::time::{Instant, timeout_at};

use super::fault::{Fault, Stage};
use super::stream::Meter;
use super::{Pool, Request};

/// How much of a body is read, so that its connection can be used again.
const DRAINED: u64 = 64 * 1024;

/// How much of a body is kept.
const KEPT: usize = 1024;

/// What says where a message ends, or whom its connection is for: the library's business.
const FRAMING: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
];

pub(super) type Answer = Response<Incoming>;

/// A request without an answer.
pub(super) struct Lost {
    pub(super) fault: Fault,
    /// Whether the connection had served before and not a byte came back this time: then the
    /// receiver was closing it, and has most likely not read the request.
    pub(super) unheard: bool,
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            unheard: false,
        }
    }
}

/// Sends `request` and waits for the head of the answer.
pub(super) async fn ask<C: Connect + Clone + Send + Sync + 'static>(
    pool: &Pool<C>,
    request: &Request,
    ends: Instant,
) -> Result<Answer, Lost> {
    let mut built = build(request)?;
    let mut capture = capture_connection(&mut built);
    let mut asked = pin!(pool.request(built));
    let met = async {
        select! {
            biased;
            asked = &mut asked => Err(asked),
            // Seen before the connection's own task runs, so what it has read is of the past.
            connected = capture.wait_for_connection_metadata() => {
                Ok(connected.as_ref().and_then(meter))
            }
        }
    };
    let timeout = |stage| move |_| Lost::from(Fault::Timeout(stage));
    let met = timeout_at(ends, met)
        .await
        .map_err(timeout(Stage::Connect))?;
    let (asked, mark) = match met {
        Err(asked) => (asked, None),
        Ok(meter) => {
            let mark = meter.map(|meter| (meter.read(), meter));
            let asked = timeout_at(ends, asked).await;
            (asked.map_err(timeout(Stage::Answer))?, mark)
        }
    };
    asked.map_err(|error| {
        let fault = Fault::of(&error);
        let unheard = mark.is_some_and(|(before, meter)| before > 0 && meter.read() == before);
        Lost {
            unheard: unheard && matches!(fault, Fault::Reset(_)),
            fault,
        }
    })
}

fn build(request: &Request) -> Result<hyper::Request<Full<hyper::body::Bytes>>, Fault> {
    let mut built = hyper::Request::new(Full::new(request.body.clone()));
    *built.method_mut() = Method::POST;
    *built.uri_mut() = request.uri.clone();
    for (name, value) in &request.headers {
        let unsound = || Fault::Unsound(format!("its header {name:?} is not sound"));
        let header = HeaderName::try_from(name).map_err(|_| unsound())?;
        let value = HeaderValue::try_from(value).map_err(|_| unsound())?;
        if FRAMING.contains(&header) {
            return Err(Fault::Unsound(format!(
                "its header {name} is not for us to set"
            )));
        }
        built.headers_mut().append(header, value);
    }
    Ok(built)
}

fn meter(connected: &Connected) -> Option<Meter> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.remove()
}

/// Reads a body to its end, so that its connection can be used again, unless it is too large.
/// Gives what is kept of it, and why its end was not reached.
pub(super) async fn drain(mut body: Incoming, ends: Instant) -> (Vec<u8>, Option<Fault>) {
    // One that is announced as too large is read only as far as it is kept.
    let most = if body.size_hint().lower() > DRAINED {
        KEPT as u64
    } else {
        DRAINED
    };
    let mut kept = Vec::new();
    let mut read = 0;
    while read <= most {
        let frame = match timeout_at(ends, body.frame()).await {
            Err(_) => return (kept, Some(Fault::Timeout(Stage::Body))),
            Ok(Some(Err(error))) => return (kept, Some(Fault::of(&error))),
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
        };
        if let Some(data) = frame.data_ref() {
            read += data.len() as u64;
            let room = KEPT - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    (kept, None)
}

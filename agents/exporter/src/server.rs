//! What is served: `/metrics`, a landing page, and `/healthz`.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{io, mem, str};

use roundsman_host::exposition::Format;
use roundsman_net::negotiate::{gzip, media_type};
use roundsman_net::{
    Answer, Bearer, Bytes, Handler, Head, HeaderValue, Limits, Method, Request, Response,
    StatusCode, Worker, answer, header,
};

use crate::body::{Gzip, Pool};
use crate::config::Settings;
use crate::scrape::{Change, Scraper};

/// From a request to its answer, however long its client would wait.
const REQUEST: Duration = Duration::from_secs(60);
/// What is left of the client's patience for the way back.
const WAY_BACK: Duration = Duration::from_millis(500);
/// Requests that wait behind the one that is being served: all that the server admits at once.
/// A crowd costs one scrape, so there can be many.
const WAITING: usize = 256;
/// A scrape that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(90);

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];
const PATIENCE: &str = "x-prometheus-scrape-timeout-seconds";

const LANDING: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>roundsman exporter</title>\
    </head>\n<body><h1>roundsman exporter</h1>\n<p>Figures of this host, its units and its \
    agents for Prometheus: <a href=\"/metrics\">/metrics</a></p>\n<p>Whether it works: \
    <a href=\"/healthz\">/healthz</a></p></body></html>\n";

/// The limits of a server that has nothing to receive.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        connections: settings.connections,
        body_bytes: 0,
        requests: WAITING.min(settings.connections),
        request: REQUEST,
        ..Limits::default()
    }
}

/// The access token, replaceable while the server runs.
pub type Door = Arc<RwLock<Option<Bearer>>>;

/// Changes on their way to the thread that scrapes.
pub type Inbox = Arc<Mutex<Vec<Change>>>;

/// The site.
#[derive(Clone)]
pub struct Site {
    worker: Worker,
    door: Door,
}

impl Site {
    /// Starts the thread that scrapes; before each scrape it takes what it finds in `inbox`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(scraper: Scraper, door: Door, inbox: Inbox) -> io::Result<Self> {
        let mut desk = Desk {
            scraper,
            inbox,
            pool: Pool::default(),
            gzip: None,
            last: None,
        };
        let serve = move |request: Request| desk.metrics(&request.head);
        let worker = Worker::spawn("scrape", WAITING, serve)?;
        Ok(Self { worker, door })
    }

    /// Whether the thread that scrapes gets on.
    pub fn is_sound(&self) -> bool {
        self.worker.busy_for().is_none_or(|busy| busy < HANGS)
    }
}

impl Handler for Site {
    fn admit(&self, head: &Head) -> Result<(), Response> {
        if !["/", "/healthz", "/metrics"].contains(&head.path()) {
            return Err(Response::not_found());
        }
        head.allow(&[Method::GET, Method::HEAD])?;
        let door = self.door.read().unwrap_or_else(PoisonError::into_inner);
        match &*door {
            Some(token) if head.path() == "/metrics" => token.check(head),
            _ => Ok(()),
        }
    }

    fn answer(&self, request: Request) -> Answer {
        match request.head.path() {
            "/metrics" => self.worker.ask(request),
            "/healthz" if self.is_sound() => answer(Response::text(StatusCode::OK, "ok\n")),
            "/healthz" => answer(Response::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the present scrape hangs\n",
            )),
            _ => answer(Response::new(
                StatusCode::OK,
                "text/html; charset=utf-8",
                LANDING,
            )),
        }
    }
}

/// What the thread that scrapes works with.
struct Desk {
    scraper: Scraper,
    inbox: Inbox,
    pool: Pool,
    /// Made for the first client that wants it: it takes more memory than all pages.
    gzip: Option<Gzip>,
    last: Option<Made>,
}

/// A page that was made.
struct Made {
    format: Format,
    is_packed: bool,
    begun: Instant,
    body: Bytes,
}

impl Desk {
    fn metrics(&mut self, head: &Head) -> Response {
        // A client that accepts neither is given the text: any scraper can be told to read it.
        let offers = FORMATS.map(Format::content_type);
        let format = FORMATS[media_type(&head.headers, &offers).unwrap_or(0)];
        let is_packed = gzip(&head.headers);
        // Whoever asked before a page was begun cannot want a newer one: a crowd that asks at
        // once is served with one scrape.
        let is_new_enough = |made: &&Made| {
            (made.format, made.is_packed) == (format, is_packed) && came(head) < made.begun
        };
        let body = match self.last.as_ref().filter(is_new_enough) {
            Some(made) => made.body.clone(),
            None => self.make(format, is_packed, head),
        };
        let response = Response::new(StatusCode::OK, format.content_type(), body);
        let vary = HeaderValue::from_static("Accept, Accept-Encoding");
        let response = response.with(header::VARY, vary);
        if is_packed {
            let packed = HeaderValue::from_static("gzip");
            return response.with(header::CONTENT_ENCODING, packed);
        }
        response
    }

    fn make(&mut self, format: Format, is_packed: bool, head: &Head) -> Bytes {
        let changes = mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            self.scraper.adopt(change);
        }
        let begun = Instant::now();
        // Its buffer comes back here, unless a client is still reading it.
        self.last = None;
        let mut page = self.pool.take();
        let ends = deadline(head, self.scraper.usual_deadline());
        self.scraper.scrape(format, ends, &mut page);
        if is_packed {
            let mut packed = self.pool.take();
            let gzip = self.gzip.get_or_insert_default();
            gzip.pack(&page, &mut packed);
            self.pool.give_back(mem::replace(&mut page, packed));
        }
        let body = self.pool.lend(page);
        self.last = Some(Made {
            format,
            is_packed,
            begun,
            body: body.clone(),
        });
        body
    }
}

/// When the request came: `REQUEST` before the server's own deadline for it.
fn came(head: &Head) -> Instant {
    head.deadline.checked_sub(REQUEST).unwrap_or(head.deadline)
}

/// When the answer has to be on its way: before the client's patience ends, or the server's.
fn deadline(head: &Head, usual: Duration) -> Instant {
    let patience = patience(head).unwrap_or(usual).min(REQUEST);
    let work = patience.saturating_sub(WAY_BACK).max(patience / 2);
    came(head) + work
}

/// How long the client waits, if it says so.
fn patience(head: &Head) -> Option<Duration> {
    let seconds = head.headers.get(PATIENCE)?.as_bytes();
    let seconds: f64 = str::from_utf8(seconds).ok()?.trim().parse().ok()?;
    let patience = Duration::try_from_secs_f64(seconds).ok()?;
    (!patience.is_zero()).then_some(patience)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_net::{HeaderMap, HeaderName, Peer, Uri};

    fn left(patience: &[&'static str]) -> Duration {
        let fields = patience.iter().map(|value| {
            let name = HeaderName::from_static(PATIENCE);
            (name, HeaderValue::from_static(value))
        });
        let came = Instant::now();
        let head = Head {
            method: Method::GET,
            uri: Uri::from_static("/metrics"),
            headers: HeaderMap::from_iter(fields),
            peer: Peer::Unix,
            deadline: came + REQUEST,
        };
        deadline(&head, Duration::from_secs(10)) - came
    }

    #[test]
    fn the_deadline_leaves_time_for_the_way_back() {
        let ms = Duration::from_millis;
        assert_eq!(left(&["15"]), ms(14_500));
        assert_eq!(left(&["0.5"]), ms(250));
        assert_eq!(left(&[]), ms(9_500));
        assert_eq!(left(&["1000"]), ms(59_500));
        for odd in ["", "x", "-1", "0", "NaN", "inf", "1e400"] {
            assert_eq!(left(&[odd]), ms(9_500), "{odd}");
        }
    }
}

//! The figures about the scrape itself.

use std::borrow::Cow;
use std::time::Duration;

use roundsman_host::Report;
use roundsman_host::exposition::{Page, Value};
use roundsman_kit::clock::Timestamp;
use roundsman_kit::quantity::Span;
use roundsman_net::Snapshot;

use crate::textfiles::Textfiles;

/// How a source fared in one scrape.
#[derive(Debug)]
pub struct Run {
    /// The name: `host`, `units`, `store`, `textfiles`, `registry:herald`.
    pub name: Cow<'static, str>,
    /// Its name among node_exporter's collectors, if it is one of them.
    pub node: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// What is wrong with it.
    pub fault: Option<String>,
    /// When its figures were last known to be current, if they are kept between scrapes.
    pub as_of: Option<Timestamp>,
    /// Families that were refused because another source has them otherwise.
    pub refused: usize,
}

impl Run {
    /// A run with nothing wrong.
    pub fn new(name: impl Into<Cow<'static, str>>, took: Duration) -> Self {
        Self {
            name: name.into(),
            node: None,
            took,
            fault: None,
            as_of: None,
            refused: 0,
        }
    }

    /// Adds something that is wrong.
    pub fn add_fault(&mut self, fault: &str) {
        match &mut self.fault {
            Some(known) => {
                known.push_str("; ");
                known.push_str(fault);
            }
            None => self.fault = Some(fault.to_owned()),
        }
    }
}

/// What a dashboard of node_exporter finds its hosts by.
pub fn build(page: &mut Page) {
    page.gauge(
        "node_exporter_build_info",
        "The version of the roundsman exporter, which serves node_exporter's families; always 1.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
}

/// How a collector of node_exporter's list fared.
#[derive(Debug, Clone, Copy)]
pub struct Collected {
    /// The name that node_exporter gives it.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether all of it is on the page.
    pub success: bool,
}

impl From<&Report> for Collected {
    fn from(report: &Report) -> Self {
        Self {
            name: report.name,
            took: report.duration,
            success: report.success(),
        }
    }
}

impl Run {
    /// The run as one of node_exporter's collectors, if it is one.
    pub fn collected(&self) -> Option<Collected> {
        self.node.map(|name| Collected {
            name,
            took: self.took,
            success: self.fault.is_none(),
        })
    }
}

/// How the collectors fared that node_exporter has too.
pub fn collectors(page: &mut Page, collected: &[Collected]) {
    let help = "node_exporter: Duration of a collector scrape.";
    let mut family = page.gauge("node_scrape_collector_duration_seconds", help);
    for collector in collected {
        family.sample(&[("collector", collector.name)], seconds(collector.took));
    }
    let help = "node_exporter: Whether a collector succeeded.";
    let mut family = page.gauge("node_scrape_collector_success", help);
    for collector in collected {
        family.sample(&[("collector", collector.name)], collector.success);
    }
}

/// How the sources fared.
pub fn runs(page: &mut Page, runs: &[Run]) {
    let mut family = page.gauge(
        "roundsman_exporter_scrape_collector_success",
        "Whether all figures of the source are on this page.",
    );
    for run in runs {
        family.sample(&[("collector", &run.name)], run.fault.is_none());
    }
    let mut family = page.gauge(
        "roundsman_exporter_scrape_collector_duration_seconds",
        "How long this scrape waited for the source.",
    );
    for run in runs {
        family.sample(&[("collector", &run.name)], seconds(run.took));
    }
    let mut family = page.gauge(
        "roundsman_exporter_scrape_collector_current_timestamp_seconds",
        "When the figures of the source, which are kept between scrapes, were last known to be current.",
    );
    for run in runs {
        if let Some(at) = run.as_of {
            family.sample(&[("collector", &run.name)], Value::Float(at.as_secs_f64()));
        }
    }
    let mut family = page.gauge(
        "roundsman_exporter_refused_families",
        "Families of the source that are not shown because an earlier source has them with another type or the same series.",
    );
    for run in runs {
        family.sample(&[("collector", &run.name)], run.refused);
    }
}

fn seconds(span: Duration) -> Value {
    Value::billionths(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// What is wrong with a collector of the host, in words.
pub fn host_fault(report: &Report) -> String {
    match &report.fault {
        Some(fault) => format!("{}: {}", report.name, chain(fault)),
        None => format!("{}: no reason was given", report.name),
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What is wrong with textfiles, in words.
pub fn textfile_faults(textfiles: &Textfiles, max_age: Span) -> Vec<String> {
    let unreadable = textfiles.unreadable.iter();
    let unreadable = unreadable.map(|(path, error)| format!("{}: {error}", path.display()));
    let files = textfiles.files().filter_map(|file| match &file.families {
        Err(fault) => Some(format!("{}: {fault}", file.label)),
        Ok(_) if file.is_stale => Some(format!(
            "{}: was last written at {}, more than {max_age} from now",
            file.label, file.written
        )),
        Ok(_) if file.is_beyond => Some(format!(
            "{}: is not shown, all files hold too many samples",
            file.label
        )),
        Ok(_) => None,
    });
    unreadable.chain(files).collect()
}

/// How the textfiles fared.
pub fn textfiles(page: &mut Page, textfiles: &Textfiles, runs: &[Run]) {
    let help = "Unixtime mtime of textfiles successfully read.";
    let mut family = page.gauge("node_textfile_mtime_seconds", help);
    for file in textfiles.files().filter(|file| file.families.is_ok()) {
        let written = Value::Float(file.written.as_secs_f64());
        family.sample(&[("file", &file.label)], written);
    }
    let help = "1 if there was an error opening or reading a file, 0 otherwise";
    let refused = runs
        .iter()
        .any(|run| run.name == "textfiles" && run.refused > 0);
    // A stale file alone is no error: it could be read.
    page.gauge("node_textfile_scrape_error", help)
        .value(refused || textfiles.has_error());
    let mut family = page.gauge(
        "roundsman_exporter_textfile_stale",
        "Whether the textfile was not written for so long that its families are not shown.",
    );
    for file in textfiles.files().filter(|file| file.families.is_ok()) {
        family.sample(&[("file", &file.label)], file.is_stale);
    }
}

/// What the server did.
pub fn http(page: &mut Page, http: &Snapshot) {
    let mut gauge = |name: &str, help: &str, value: u64| page.gauge(name, help).value(value);
    gauge(
        "roundsman_exporter_http_open_connections",
        "Connections open now.",
        http.open,
    );
    gauge(
        "roundsman_exporter_http_requests_in_flight",
        "Requests whose answer is being made now.",
        http.answering,
    );
    page.counter(
        "roundsman_exporter_http_connections_total",
        "Connections accepted.",
    )
    .value(http.accepted);
    page.counter(
        "roundsman_exporter_http_accept_failures_total",
        "Failed attempts to accept a connection, for lack of descriptors for one.",
    )
    .value(http.accept_faults);
    let mut family = page.counter(
        "roundsman_exporter_http_refusals_total",
        "Requests and connections that were refused or cut off, by reason.",
    );
    for (refusal, count) in http.refused {
        family.sample(&[("reason", refusal.label())], count);
    }
    let mut family = page.counter(
        "roundsman_exporter_http_responses_total",
        "Responses by status.",
    );
    for (status, count) in http.answered {
        // The statuses that this server has given; 200 from the start.
        if count > 0 || status == 200 {
            family.sample(&[("code", &status.to_string())], count);
        }
    }
    if http.answered_other > 0 {
        family.sample(&[("code", "other")], http.answered_other);
    }
}

/// How this scrape went until here.
pub fn scrape(page: &mut Page, scrapes: u64, took: Duration) {
    let help = "Scrapes since the start, this one included.";
    page.counter("roundsman_exporter_scrapes_total", help)
        .value(scrapes);
    let help = "How long this scrape took until here.";
    page.gauge("roundsman_exporter_scrape_duration_seconds", help)
        .value(seconds(took));
}

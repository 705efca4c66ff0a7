//! Reads the host: samples for history, readings for thresholds, counters for the next run.

mod disks;
mod processor;
mod system;
mod temperature;
mod traffic;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use roundsman_host::{Error, Host, os_release, uptime};
use serde_json::{Map, Value};

use crate::config::Measure;
use crate::plan::{Reading, Seen};
use crate::previous::Counters;

/// A subject: reads its sources and adds to the round. What it added before it failed stays.
type Collector = fn(&mut Gathering<'_>) -> Result<(), Error>;

/// Every subject, once. A subject that the machine does not have is no failure.
const COLLECTORS: [(&str, Collector); 9] = [
    ("cpu", processor::cpu),
    ("temperature", temperature::temperature),
    ("memory", system::memory),
    ("pressure", system::pressure),
    ("filesystem", disks::filesystem),
    ("disk_io", disks::io),
    ("network", traffic::network),
    ("limits", system::limits),
    ("system", system::system),
];

/// Everything that one run saw.
#[derive(Debug, Default)]
pub struct Round {
    /// The operating system and its version, as `debian 12`.
    pub os: String,
    /// Payloads by kind of sample.
    pub samples: BTreeMap<&'static str, Map<String, Value>>,
    /// Figures with a threshold.
    pub seen: Seen,
    /// Counters for the next run; none when the boot could not be told.
    pub counters: Option<Counters>,
    /// CPU time that was not idle since the previous run, 0 to 1.
    pub cpu_busy: Option<f64>,
    /// Milliseconds since the boot.
    pub uptime_ms: Option<u64>,
    /// Mounts that could not be entered or did not answer.
    pub mounts_unreadable: usize,
    /// Temperature sensors that gave no figure, as some do while their device is off.
    pub sensors_unreadable: usize,
    /// Subjects that were asked.
    pub collectors: Vec<&'static str>,
    /// Subjects that could not be read, with the reason.
    pub failed: BTreeMap<&'static str, String>,
    /// The round in one sentence for a person.
    pub sentence: String,
}

/// A round while it is being made.
struct Gathering<'a> {
    host: &'a Host,
    measure: &'a Measure,
    round: Round,
    counters: Counters,
    boot_id: Option<String>,
    uptime: Option<Duration>,
    /// The previous run's counters and the seconds since then, if rates make sense.
    before: Option<(&'a Counters, f64)>,
}

/// Reads every subject once.
pub fn gather(host: &Host, measure: &Measure, before: Option<&Counters>) -> Round {
    let mut gathering = Gathering {
        host,
        measure,
        round: Round {
            os: os_name(host),
            ..Round::default()
        },
        counters: Counters::default(),
        boot_id: None,
        uptime: None,
        before: None,
    };
    let counters = gathering.start();
    let is_known_boot = counters.is_some();
    let since = before.zip(counters.as_ref());
    gathering.before = since.and_then(|(before, now)| Some((before, now.seconds_since(before)?)));
    gathering.counters = counters.unwrap_or_default();
    for (name, collect) in COLLECTORS {
        gathering.round.collectors.push(name);
        if let Err(error) = collect(&mut gathering) {
            gathering.failed(name, &error);
        }
    }
    let Gathering {
        mut round,
        counters,
        ..
    } = gathering;
    round.counters = is_known_boot.then_some(counters);
    round.sentence = sentence(&round);
    round
}

impl Gathering<'_> {
    /// The identity of the boot and the time since then; without both there are no rates.
    fn start(&mut self) -> Option<Counters> {
        let (boot_id, uptime) = (
            uptime::boot_id(&self.host.root),
            uptime::read(&self.host.root),
        );
        self.boot_id = self.counted("system", boot_id);
        self.uptime = self.counted("system", uptime);
        self.round.uptime_ms = self
            .uptime
            .and_then(|uptime| uptime.as_millis().try_into().ok());
        Some(Counters {
            boot_id: self.boot_id.clone()?,
            uptime_ms: self.round.uptime_ms?,
            ..Counters::default()
        })
    }

    fn failed(&mut self, collector: &'static str, error: &Error) {
        self.lacks(collector, &chain(error));
    }

    /// The collector failed, or a part of it did.
    fn lacks(&mut self, collector: &'static str, reason: &str) {
        let failed = &mut self.round.failed;
        failed.entry(collector).or_insert_with(|| reason.to_owned());
    }

    /// The value, or nothing and a counted failure.
    fn counted<T>(&mut self, collector: &'static str, read: Result<T, Error>) -> Option<T> {
        read.inspect_err(|error| self.failed(collector, error)).ok()
    }

    /// The value, or nothing: a part that this machine does not have is no failure.
    fn optional<T>(&mut self, collector: &'static str, read: Result<T, Error>) -> Option<T> {
        match read {
            Err(error) if error.is_missing_file() || error.is_no_data() => None,
            read => self.counted(collector, read),
        }
    }

    fn sample(&mut self, kind: &'static str) -> &mut Map<String, Value> {
        self.round.samples.entry(kind).or_default()
    }

    fn reading(&mut self, kind: &'static str, subject: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let subject = subject.to_owned();
            self.round.seen.readings.push(Reading {
                kind,
                subject,
                value,
            });
        }
    }

    /// The source of these thresholds was read whole: what [`Self::exists`] does not name is gone.
    fn list(&mut self, kinds: &[&'static str]) {
        for kind in kinds {
            self.round.seen.listed.entry(kind).or_default();
        }
    }

    /// The source lists this subject, whether or not there is a figure for it.
    fn exists(&mut self, kind: &'static str, subject: &str) {
        if let Some(listed) = self.round.seen.listed.get_mut(kind) {
            listed.insert(subject.to_owned());
        }
    }
}

/// The error with its causes: which file, and why.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Puts a value into a payload, rounded to hundredths; one that is not known is left out.
fn put(payload: &mut Map<String, Value>, key: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        payload.insert(key.to_owned(), ((value * 100.0).round() / 100.0).into());
    }
}

/// `part` of `whole` in percent.
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn os_name(host: &Host) -> String {
    let release = os_release::read(&host.root).unwrap_or_default();
    format!("{} {}", release.id, release.version_id)
        .trim()
        .to_owned()
}

/// `cpu 12 %, memory 41 %, fullest disk / at 63 %`, as far as known.
fn sentence(round: &Round) -> String {
    let mut parts = Vec::new();
    if let Some(busy) = round.cpu_busy {
        parts.push(format!("cpu {:.0} %", busy * 100.0));
    }
    let of = |kind: &'static str| round.seen.readings.iter().filter(move |r| r.kind == kind);
    if let Some(memory) = of("memory").next() {
        parts.push(format!("memory {:.0} %", memory.value));
    }
    if let Some(disk) = of("disk").max_by(|a, b| a.value.total_cmp(&b.value)) {
        parts.push(format!(
            "fullest disk {} at {:.0} %",
            disk.subject, disk.value
        ));
    }
    if !round.failed.is_empty() {
        let names: Vec<_> = round.failed.keys().copied().collect();
        parts.push(format!("not readable: {}", names.join(", ")));
    }
    parts.join(", ")
}

//! One scrape: the thread that owns all sources asks those that take time first, reads the host
//! meanwhile, and puts everything together.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Collectors, Host, Outcome, Report, Root};
use roundsman_kit::Paths;
use roundsman_kit::clock::{Clock, SystemClock, Timestamp};
use roundsman_net::Counters;

use crate::config::Settings;
use crate::cycles::{Cycles, Recorder};
use crate::family::Family;
use crate::health::Health;
use crate::merge::{self, Source, merge};
use crate::present::Pages;
use crate::process::Process;
use crate::registries::{Answer, Registries, Round};
use crate::report::{self, Collected, Run};
use crate::textfiles::Textfiles;
use crate::units::{Plan, Units};

/// What the scraper is made of, some of which a reload exchanges.
pub struct Sources {
    /// The units, unless they are switched off.
    pub units: Option<Units>,
    /// The store, unless it is switched off.
    pub cycles: Option<Cycles>,
    /// This program's own registry, which does not change.
    pub own: Vec<Family>,
    /// Figures of the server.
    pub http: Counters,
}

/// Other settings, and the sources that come or go with them.
pub struct Change {
    /// The settings.
    pub settings: Settings,
    /// The units.
    pub units: Exchange<Units, Plan>,
    /// The store.
    pub cycles: Exchange<Cycles, ()>,
}

/// What becomes of a source.
pub enum Exchange<T, P> {
    /// It stays, and goes by another plan.
    Keep(P),
    /// This one, or none, takes its place.
    Put(Option<T>),
}

/// What the main loop tells systemd and the store about the scrapes.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Scrapes so far.
    pub scrapes: u64,
    /// Samples of the last one.
    pub samples: usize,
    /// When the last one began and ended.
    pub last: Option<(Timestamp, Timestamp)>,
    /// The sources that were broken in it.
    pub broken: Vec<String>,
}

/// Owns all sources and the pages.
pub struct Scraper {
    settings: Settings,
    root: PathBuf,
    run: PathBuf,
    host: Collectors,
    sources: Sources,
    registries: Option<Registries>,
    textfiles: Textfiles,
    process: Option<Process>,
    health: Health,
    collected: Vec<Collected>,
    host_page: Page,
    nothing: Page,
    tail: Page,
    scrapes: u64,
    summary: Arc<Mutex<Summary>>,
}

impl Scraper {
    /// Gathers everything; nothing is read yet.
    pub fn new(paths: &Paths, settings: Settings, sources: Sources) -> Self {
        let root = paths.root().to_owned();
        let host = collectors(&root, &settings);
        let mut scraper = Self {
            host,
            registries: None,
            sources,
            run: paths.run(),
            root,
            textfiles: Textfiles::default(),
            process: Process::open().ok(),
            health: Health::default(),
            collected: Vec::new(),
            host_page: Page::default(),
            nothing: Page::default(),
            tail: Page::default(),
            scrapes: 0,
            summary: Arc::default(),
            settings,
        };
        scraper.registries = scraper.registries();
        scraper
    }

    /// What the main loop reads.
    pub fn summary(&self) -> Arc<Mutex<Summary>> {
        Arc::clone(&self.summary)
    }

    /// Has cycles of this unit recorded, unless the store is switched off.
    pub fn recorder(&self) -> Option<Recorder> {
        self.sources.cycles.as_ref().map(Cycles::recorder)
    }

    /// Whether the sources that live on their own have been tried once.
    pub fn has_looked_around(&self) -> bool {
        let Sources { units, cycles, .. } = &self.sources;
        units.as_ref().is_none_or(Units::tried) && cycles.as_ref().is_none_or(Cycles::tried)
    }

    /// Goes by other settings from the next scrape on.
    pub fn adopt(&mut self, change: Change) {
        let Change {
            settings,
            units,
            cycles,
        } = change;
        match (units, &self.sources.units) {
            (Exchange::Put(units), _) => self.sources.units = units,
            (Exchange::Keep(plan), Some(units)) => units.follow(plan),
            (Exchange::Keep(_), None) => {}
        }
        if let Exchange::Put(cycles) = cycles {
            self.sources.cycles = cycles;
        }
        if settings.collectors != self.settings.collectors {
            self.host = collectors(&self.root, &settings);
        }
        if settings.textfiles != self.settings.textfiles {
            self.textfiles = Textfiles::default();
        }
        self.settings = settings;
        self.registries = self.registries();
    }

    fn registries(&self) -> Option<Registries> {
        let settings = &self.settings.registries;
        settings.enabled.then(|| Registries {
            directory: self.run.clone(),
            own: "exporter".into(),
            deadline: settings.deadline.0,
            size: usize::try_from(settings.size.0).unwrap_or(usize::MAX),
        })
    }

    /// The deadline of a scrape that names none.
    pub fn usual_deadline(&self) -> Duration {
        self.settings.deadline.0
    }

    /// Writes the whole page to `body`.
    pub fn scrape(&mut self, format: Format, ends: Instant, body: &mut Vec<u8>) {
        let (began, begun) = (SystemClock.now(), Instant::now());
        self.health.begin();
        let mut runs = Vec::new();
        let round = self
            .registries
            .as_ref()
            .map(|registries| registries.ask(ends));
        if let Some(cycles) = &mut self.sources.cycles {
            cycles.ask();
        }
        self.host_page.start(format);
        self.nothing.start(format);
        self.tail.start(format);
        report::build(&mut self.tail);
        self.collect_host(ends, &mut runs);
        self.draw_units(format, &mut runs);
        self.wait_for_store(ends, &mut runs);
        if let Some(process) = &self.process {
            process.write(&mut self.tail);
        }
        let answers = self.gather(round, &mut runs);
        self.scan_textfiles(began, &mut runs);
        let insertions = self.merge(&answers, format, &mut runs);
        self.scrapes += 1;
        self.collected
            .extend(runs.iter().filter_map(Run::collected));
        report::collectors(&mut self.tail, &self.collected);
        report::runs(&mut self.tail, &runs);
        report::textfiles(&mut self.tail, &self.textfiles, &runs);
        report::http(&mut self.tail, &self.sources.http.snapshot());
        report::scrape(&mut self.tail, self.scrapes, begun.elapsed());
        self.assemble(&insertions, body);
        for run in &runs {
            self.health.note(&run.name, run.fault.as_ref());
        }
        self.health.end();
        self.summarise(began);
    }

    fn collect_host(&mut self, ends: Instant, runs: &mut Vec<Run>) {
        let before = Instant::now();
        let reports = self.host.collect(&mut self.host_page, Some(ends));
        self.collected.clear();
        self.collected.extend(reports.iter().map(Collected::from));
        let is_broken =
            |report: &&Report| matches!(report.outcome, Outcome::Failed | Outcome::Partial);
        let faults: Vec<String> = reports
            .iter()
            .filter(is_broken)
            .map(report::host_fault)
            .collect();
        runs.push(Run {
            fault: (!faults.is_empty()).then(|| faults.join("; ")),
            ..Run::new("host", before.elapsed())
        });
    }

    fn draw_units(&mut self, format: Format, runs: &mut Vec<Run>) {
        let Some(units) = &mut self.sources.units else {
            return;
        };
        let before = Instant::now();
        let standing = units.draw(format, &self.settings.units.names);
        runs.push(Run {
            fault: standing.fault,
            as_of: standing.as_of,
            node: Some("systemd"),
            ..Run::new("units", before.elapsed())
        });
    }

    fn wait_for_store(&mut self, ends: Instant, runs: &mut Vec<Run>) {
        let Some(cycles) = &mut self.sources.cycles else {
            return;
        };
        let before = Instant::now();
        let until = ends.min(before + self.settings.cycles.deadline.0);
        let standing = cycles.wait(until).clone();
        cycles.write(&mut self.tail);
        runs.push(Run {
            fault: standing.fault,
            as_of: standing.as_of,
            ..Run::new("store", before.elapsed())
        });
    }

    fn gather(
        &mut self,
        round: Option<std::io::Result<Round>>,
        runs: &mut Vec<Run>,
    ) -> Vec<(String, Answer)> {
        let answers = match round {
            None => return Vec::new(),
            Some(Ok(round)) => round.gather(),
            Some(Err(error)) => {
                runs.push(Run {
                    fault: Some(format!("{}: {error}", self.run.display())),
                    ..Run::new("registries", Duration::ZERO)
                });
                return Vec::new();
            }
        };
        let named = answers.into_iter().map(|answer| {
            let name = format!("registry:{}", answer.unit);
            runs.push(Run {
                fault: answer.families.as_ref().err().map(ToString::to_string),
                ..Run::new(name.clone(), answer.took)
            });
            (name, answer)
        });
        named.collect()
    }

    fn scan_textfiles(&mut self, now: Timestamp, runs: &mut Vec<Run>) {
        let before = Instant::now();
        let settings = &self.settings.textfiles;
        let (age, size) = (settings.max_age.0, settings.size.0);
        self.textfiles
            .scan(&self.root, &settings.directories, age, size, now);
        let faults = report::textfile_faults(&self.textfiles, settings.max_age);
        runs.push(Run {
            fault: (!faults.is_empty()).then(|| faults.join("; ")),
            node: Some("textfile"),
            ..Run::new("textfiles", before.elapsed())
        });
    }

    /// Adds the families of other programs to the end of the page; what belongs to families that
    /// stand further up is returned with its place.
    fn merge(
        &mut self,
        answers: &[(String, Answer)],
        format: Format,
        runs: &mut [Run],
    ) -> Vec<(usize, Vec<u8>)> {
        let own = Source {
            name: "exporter",
            families: &self.sources.own,
        };
        let registries = answers.iter().filter_map(|(name, answer)| {
            let families = answer.families.as_deref().ok()?;
            Some(Source { name, families })
        });
        let textfiles = self.textfiles.files().map(|file| Source {
            name: "textfiles",
            families: file.shown(),
        });
        let sources: Vec<_> = [own]
            .into_iter()
            .chain(registries)
            .chain(textfiles)
            .collect();
        let units = self.sources.units.as_ref();
        let pages = Pages {
            open: [
                &self.host_page,
                units.map_or(&self.nothing, Units::page),
                &self.tail,
            ],
            format,
        };
        let plan = merge(&sources, &pages);
        let insertions = pages.insertions(&plan);
        for merged in plan.merged.iter().filter(|merged| !merged.joins) {
            let first = merged.first;
            let mut family = self.tail.family(first.kind, &first.name, &first.help);
            first.write(&mut family);
            merged.rest.iter().for_each(|more| more.write(&mut family));
        }
        for run in runs {
            let mine = |refused: &&merge::Refused<'_>| refused.source == run.name;
            let refused: Vec<_> = plan.refused.iter().filter(mine).collect();
            run.refused = refused.len();
            if let Some(first) = refused.first() {
                run.add_fault(&first.to_string());
            }
        }
        insertions
    }

    /// Host, units and the rest, one behind the other, with the insertions in their places.
    fn assemble(&mut self, insertions: &[(usize, Vec<u8>)], body: &mut Vec<u8>) {
        body.clear();
        body.extend_from_slice(self.host_page.as_bytes());
        if let Some(units) = &self.sources.units {
            body.extend_from_slice(units.page().as_bytes());
        }
        body.extend_from_slice(self.tail.finish());
        // From the end, so that places further up stay where they are.
        for (at, samples) in insertions.iter().rev() {
            body.splice(*at..*at, samples.iter().copied());
        }
    }

    fn summarise(&self, began: Timestamp) {
        let units = self.sources.units.as_ref();
        let samples = [
            &self.host_page,
            units.map_or(&self.nothing, Units::page),
            &self.tail,
        ];
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.scrapes = self.scrapes;
        summary.samples = samples.iter().map(|page| page.samples()).sum();
        summary.last = Some((began, SystemClock.now()));
        summary.broken.clear();
        summary
            .broken
            .extend(self.health.names().map(str::to_owned));
    }
}

fn collectors(root: &std::path::Path, settings: &Settings) -> Collectors {
    let host = Host {
        filters: settings.collectors.filters(),
        mount_deadline: settings.collectors.mount_deadline.0,
        ..Host::new(Root::new(root))
    };
    Collectors::select(
        &host,
        &settings.collectors.enable,
        &settings.collectors.disable,
    )
    .expect("unknown collectors are refused with the configuration")
}

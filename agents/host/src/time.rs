//! The time of day and the clock's source: `/sys/devices/system/clocksource`.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::collector::{Collector, Host, Scrape};
use crate::directory::names_once;
use crate::error::Error;
use crate::exposition::Value;
use crate::file::File;

pub(crate) struct TimeCollector {
    now: fn() -> SystemTime,
    sources: Vec<Source>,
}

struct Source {
    device: String,
    available: File,
    current: File,
}

impl TimeCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let directory = host.root.sys("devices/system/clocksource");
        let names = names_once(&directory).unwrap_or_default();
        let sources = names
            .iter()
            .filter_map(|name| {
                let device = name.strip_prefix("clocksource")?;
                let file = |file| File::attribute(&host.root, directory.join(name).join(file));
                Some(Source {
                    device: device.to_owned(),
                    available: file("available_clocksource"),
                    current: file("current_clocksource"),
                })
            })
            .collect();
        Box::new(Self {
            now: host.calls.now,
            sources,
        })
    }
}

impl Collector for TimeCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        if let Ok(now) = (self.now)().duration_since(UNIX_EPOCH) {
            let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            scrape
                .page
                .gauge(
                    "node_time_seconds",
                    "The time of day, in seconds since 1970.",
                )
                .value(Value::billionths(nanos));
        }
        let mut failed = Vec::new();
        let mut family = scrape.page.gauge(
            "node_time_clocksource_available_info",
            "A source that the clock could use; always 1.",
        );
        for source in &mut self.sources {
            match source.available.read(scrape.buffer) {
                Ok(text) => {
                    for name in text.word().split_ascii_whitespace() {
                        let labels = [("device", &*source.device), ("clocksource", name)];
                        family.sample(&labels, 1_u64);
                    }
                }
                Err(error) => failed.push(error),
            }
        }
        let mut family = scrape.page.gauge(
            "node_time_clocksource_current_info",
            "The source that the clock uses; always 1.",
        );
        for source in &mut self.sources {
            match source.current.read(scrape.buffer) {
                Ok(text) => {
                    let labels = [("device", &*source.device), ("clocksource", &text.word())];
                    family.sample(&labels, 1_u64);
                }
                Err(error) => failed.push(error),
            }
        }
        for error in failed {
            scrape.failed(error);
        }
        Ok(())
    }
}

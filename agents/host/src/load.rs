//! Load averages: `/proc/loadavg`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::Text;

/// Load averages, and the count of threads that the same file gives.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
    /// Threads that exist.
    pub threads: u64,
}

/// Reads the averages now.
pub fn read(root: &Root) -> Result<Load, Error> {
    read_once(&root.proc("loadavg"), parse)
}

pub(crate) fn parse(text: Text<'_>) -> Result<Load, Error> {
    let line = text.first();
    let mut fields = line.fields();
    let mut load = Load {
        one: fields.float("load over 1 minute")?,
        five: fields.float("load over 5 minutes")?,
        fifteen: fields.float("load over 15 minutes")?,
        threads: 0,
    };
    let threads = fields.word("count of threads")?;
    load.threads = threads
        .split(|byte| *byte == b'/')
        .nth(1)
        .and_then(crate::text::decimal)
        .ok_or_else(|| line.malformed("count of threads"))?;
    Ok(load)
}

pub(crate) struct LoadCollector(File);

impl LoadCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(File::listing(&host.root, host.root.proc("loadavg"))))
    }
}

impl Collector for LoadCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let load = parse(self.0.read(scrape.buffer)?)?;
        let page = &mut *scrape.page;
        page.gauge("node_load1", "Load average over 1 minute.")
            .value(load.one);
        page.gauge("node_load5", "Load average over 5 minutes.")
            .value(load.five);
        page.gauge("node_load15", "Load average over 15 minutes.")
            .value(load.fifteen);
        Ok(())
    }
}

//! Interrupts, context switches, forks, boot time and running processes: `/proc/stat`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::read_once;
use crate::root::Root;
use crate::text::Text;

/// Figures of the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Interrupts served since boot.
    pub interrupts: u64,
    /// Context switches since boot.
    pub context_switches: u64,
    /// Processes and threads created since boot.
    pub forks: u64,
    /// When the host was started, seconds since 1970.
    pub boot_time: u64,
    /// Threads that run or could run.
    pub running: u64,
    /// Threads that wait for a disk.
    pub blocked: u64,
}

/// Reads the figures now.
pub fn read(root: &Root) -> Result<Stat, Error> {
    read_once(&root.proc("stat"), parse)
}

fn parse(text: Text<'_>) -> Result<Stat, Error> {
    let mut found: [Option<u64>; 6] = [None; 6];
    let items = [
        ("intr", "interrupts"),
        ("ctxt", "context switches"),
        ("processes", "forks"),
        ("btime", "boot time"),
        ("procs_running", "running processes"),
        ("procs_blocked", "blocked processes"),
    ];
    for line in text.lines() {
        let mut fields = line.fields();
        let key = fields.word("key")?;
        let at = items.iter().position(|(name, _)| name.as_bytes() == key);
        if let Some(at) = at {
            found[at] = Some(fields.number(items[at].1)?);
        }
    }
    let item = |at: usize| found[at].ok_or_else(|| text.missing(items[at].1));
    Ok(Stat {
        interrupts: item(0)?,
        context_switches: item(1)?,
        forks: item(2)?,
        boot_time: item(3)?,
        running: item(4)?,
        blocked: item(5)?,
    })
}

pub(crate) struct StatCollector;

impl StatCollector {
    pub(crate) fn boxed(_: &Host) -> Box<dyn Collector> {
        Box::new(Self)
    }
}

impl Collector for StatCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let stat = parse(scrape.stat.read()?)?;
        let page = &mut *scrape.page;
        page.counter("node_intr_total", "Interrupts served since boot.")
            .value(stat.interrupts);
        page.counter(
            "node_context_switches_total",
            "Context switches since boot.",
        )
        .value(stat.context_switches);
        page.counter(
            "node_forks_total",
            "Processes and threads created since boot.",
        )
        .value(stat.forks);
        page.gauge(
            "node_boot_time_seconds",
            "When the host was started, in seconds since 1970.",
        )
        .value(stat.boot_time);
        page.gauge("node_procs_running", "Threads that run or could run.")
            .value(stat.running);
        page.gauge("node_procs_blocked", "Threads that wait for a disk.")
            .value(stat.blocked);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_missing_line_is_an_error_and_not_a_zero() {
        let whole = "cpu 1\nintr 9 1 2\nctxt 8\nbtime 7\nprocesses 6\nprocs_running 5\nprocs_blocked 4\nsoftirq 3 3\n";
        let parsed = |text: &str| parse(Text::new(Path::new("/proc/stat"), text.as_bytes()));
        let stat = parsed(whole).unwrap();
        assert_eq!((stat.interrupts, stat.boot_time, stat.blocked), (9, 7, 4));
        let error = parsed(&whole.replace("btime 7\n", "")).unwrap_err();
        assert_eq!(error.to_string(), "/proc/stat: no boot time in it");
        let error = parsed(&whole.replace("ctxt 8", "ctxt x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/proc/stat:3: context switches is not what the format says: \"x\""
        );
    }
}

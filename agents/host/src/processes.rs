//! How many processes and threads there are, how many there may be, and in which states they are.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::file::File;
use crate::load;
use crate::root::Root;
use crate::text::Text;

/// Counts and limits. Cheap: one directory and three small files, whatever the processes.
pub(crate) struct ProcessesCollector {
    proc: Directory,
    load: File,
    threads_max: File,
    pid_max: File,
}

impl ProcessesCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let attribute = |name| File::attribute(&host.root, host.root.proc(name));
        Box::new(Self {
            proc: Directory::new(host.root.proc("")),
            load: File::listing(&host.root, host.root.proc("loadavg")),
            threads_max: attribute("sys/kernel/threads-max"),
            pid_max: attribute("sys/kernel/pid_max"),
        })
    }
}

fn is_pid(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_digit)
}

impl Collector for ProcessesCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut pids = 0_u64;
        self.proc.each(|name| pids += u64::from(is_pid(name)))?;
        let threads = load::parse(self.load.read(scrape.buffer)?)?.threads;
        let threads_max = self.threads_max.read(scrape.buffer)?.number("threads")?;
        let pid_max = self.pid_max.read(scrape.buffer)?.number("processes")?;
        let page = &mut *scrape.page;
        page.gauge("node_processes_pids", "Processes that exist.")
            .value(pids);
        page.gauge(
            "node_processes_max_processes",
            "The largest process number, which limits how many processes there can be.",
        )
        .value(pid_max);
        page.gauge("node_processes_threads", "Threads that exist.")
            .value(threads);
        page.gauge(
            "node_processes_max_threads",
            "How many threads there can be.",
        )
        .value(threads_max);
        Ok(())
    }
}

/// Processes by state.
///
/// Off unless asked for: it opens a file per process, about a millisecond for a hundred of them.
pub(crate) struct ProcessStatesCollector {
    root: Root,
    proc: Directory,
}

/// States that are shown even when no process is in them.
const USUAL: [u8; 6] = *b"DIRSTZ";

impl ProcessStatesCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            proc: Directory::new(host.root.proc("")),
        })
    }
}

impl Collector for ProcessStatesCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut pids = Vec::new();
        self.proc.each(|name| {
            if is_pid(name) {
                pids.push(String::from_utf8_lossy(name).into_owned());
            }
        })?;
        let mut counts = [0_u64; 128];
        for pid in &pids {
            let path = self.root.proc(pid).join("stat");
            let mut file = File::replaced(&self.root, path);
            // A process may end between the listing and the reading.
            let read = file.read(scrape.buffer).and_then(state);
            if let Some(state) = scrape.part(read) {
                counts[usize::from(state)] += 1;
            }
        }
        let mut family = scrape
            .page
            .gauge("node_processes_state", "Processes in each state.");
        for (state, count) in (0_u8..128).zip(counts) {
            if count > 0 || USUAL.contains(&state) {
                let name = char::from(state).to_string();
                family.sample(&[("state", &name)], count);
            }
        }
        Ok(())
    }
}

/// The letter after the name, which stands in parentheses and may hold anything.
fn state(text: Text<'_>) -> Result<u8, Error> {
    let line = text.bytes();
    memchr::memrchr(b')', line)
        .and_then(|end| line.get(end + 1..)?.trim_ascii_start().first())
        .copied()
        .filter(u8::is_ascii_alphabetic)
        .ok_or_else(|| text.first().malformed("state of a process"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_name_cannot_pass_for_a_state() {
        let parsed = |text: &str| state(Text::new(Path::new("/proc/1/stat"), text.as_bytes()));
        assert_eq!(parsed("12 (a) Z (b)) S 1 2").unwrap(), b'S');
        for wrong in ["", "12 (a", "12 (a)", "12 (a) 9 1"] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}

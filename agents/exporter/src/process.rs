//! What this process itself takes (`process_*`, as client libraries call them). It is this
//! process's real `/proc`, whatever the root of the host's figures.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

use roundsman_host::exposition::{Page, Value};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// The file of this process, kept open.
#[derive(Debug)]
pub struct Process {
    stat: File,
    start: f64,
}

/// Fields of proc_pid_stat(5).
struct Stat {
    ticks: u64,
    start: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Process {
    /// Opens the file and finds out when the process began.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub fn open() -> io::Result<Self> {
        let mut process = Self {
            stat: File::open("/proc/self/stat")?,
            start: 0.0,
        };
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or_default();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let ran = uptime - process.read()?.start as f64 / clock_ticks_per_second() as f64;
        process.start = now.as_secs_f64() - ran;
        Ok(process)
    }

    fn read(&self) -> io::Result<Stat> {
        let mut buffer = [0; 1024];
        let length = self.stat.read_at(&mut buffer, 0)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        // The name of the program stands in brackets and may hold anything, brackets too.
        let fields: Vec<u64> = text.rsplit_once(')').map_or(Vec::new(), |(_, rest)| {
            let fields = rest.split_ascii_whitespace();
            fields.map(|field| field.parse().unwrap_or(0)).collect()
        });
        let field = |number: usize| {
            let short = || io::Error::other("/proc/self/stat is shorter than documented");
            fields.get(number - 3).copied().ok_or_else(short)
        };
        Ok(Stat {
            ticks: field(14)? + field(15)?,
            start: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    /// Writes the families.
    pub fn write(&self, page: &mut Page) {
        let Ok(stat) = self.read() else {
            return;
        };
        let seconds = stat.ticks as f64 / clock_ticks_per_second() as f64;
        let help = "Total user and system CPU time spent in seconds.";
        page.counter("process_cpu_seconds_total", help)
            .value(seconds);
        let mut gauge = |name: &str, help: &str, value: Value| page.gauge(name, help).value(value);
        let resident = stat.resident_pages * page_size() as u64;
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            resident.into(),
        );
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            stat.virtual_bytes.into(),
        );
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            self.start.into(),
        );
        if let Some(most) = getrlimit(Resource::Nofile).current {
            gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
                most.into(),
            );
        }
        if let Some(open) = open_files() {
            gauge(
                "process_open_fds",
                "Number of open file descriptors.",
                open.into(),
            );
        }
    }
}

/// Descriptors that are open.
fn open_files() -> Option<u64> {
    let fds = "/proc/self/fd";
    // Linux 6.2 and later tell the count as the size; listing hundreds would be the dearest part
    // of a scrape.
    match fs::metadata(fds).ok()?.len() {
        // The listing itself is one of them.
        0 => Some((fs::read_dir(fds).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_host::exposition::Format;

    #[test]
    fn this_process_has_figures() {
        let process = Process::open().unwrap();
        let mut page = Page::new(Format::Text);
        process.write(&mut page);
        let text = String::from_utf8(page.finish().to_vec()).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") >= 3.0);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds ");
        assert!((-1.0..600.0).contains(&age), "{age}");
    }
}

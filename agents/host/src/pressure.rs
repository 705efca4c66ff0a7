//! Pressure stall information: `/proc/pressure/{cpu,io,memory,irq}` (Linux 4.20, irq 6.1).

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Value;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::Text;

/// How long tasks waited for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stall {
    /// Share of the last 10 s, per cent.
    pub avg10: f64,
    /// Share of the last minute, per cent.
    pub avg60: f64,
    /// Share of the last five minutes, per cent.
    pub avg300: f64,
    /// Since boot, microseconds.
    pub total_micros: u64,
}

/// The pressure on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Resource {
    /// At least one task waited; not there for interrupts.
    pub some: Option<Stall>,
    /// All tasks waited at once; not there for processors on older kernels.
    pub full: Option<Stall>,
}

/// The pressure on each resource that the kernel accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Processors.
    pub cpu: Option<Resource>,
    /// Disks.
    pub io: Option<Resource>,
    /// Memory.
    pub memory: Option<Resource>,
    /// Interrupts.
    pub irq: Option<Resource>,
}

/// Reads the pressure now; [`Error::NoData`] on a kernel without this accounting.
pub fn read(root: &Root) -> Result<Pressure, Error> {
    let resource = |name: &str| {
        let path = root.proc("pressure").join(name);
        match read_once(&path, parse) {
            Ok(resource) => Ok(Some(resource)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let found = Pressure {
        cpu: resource("cpu")?,
        io: resource("io")?,
        memory: resource("memory")?,
        irq: resource("irq")?,
    };
    if found == Pressure::default() {
        return Err(ABSENT);
    }
    Ok(found)
}

const ABSENT: Error = Error::NoData {
    what: "pressure stall information",
};

/// The file is not there, or the accounting is switched off (`psi=0`).
fn is_absent(error: &Error) -> bool {
    error.is_missing_file()
        || matches!(error, Error::Read { source, .. }
            if source.raw_os_error() == Some(libc::EOPNOTSUPP))
}

fn parse(text: Text<'_>) -> Result<Resource, Error> {
    let mut resource = Resource::default();
    for line in text.lines() {
        let mut fields = line.fields();
        let kind = fields.word("kind of pressure")?;
        let mut stall = Stall::default();
        for field in fields {
            let pair = std::str::from_utf8(field)
                .ok()
                .and_then(|field| field.split_once('='))
                .ok_or_else(|| line.malformed("pressure"))?;
            let wrong = |_| line.malformed("pressure");
            let share = |text: &str| text.parse().map_err(wrong);
            match pair {
                ("avg10", value) => stall.avg10 = share(value)?,
                ("avg60", value) => stall.avg60 = share(value)?,
                ("avg300", value) => stall.avg300 = share(value)?,
                ("total", value) => {
                    stall.total_micros = value.parse().map_err(|_| line.malformed("pressure"))?;
                }
                _ => {}
            }
        }
        match kind {
            b"some" => resource.some = Some(stall),
            b"full" => resource.full = Some(stall),
            _ => return Err(line.malformed("kind of pressure")),
        }
    }
    if resource == Resource::default() && text.bytes().is_empty() {
        return Err(text.missing("pressure"));
    }
    Ok(resource)
}

pub(crate) struct PressureCollector {
    files: [File; 4],
}

const RESOURCES: [&str; 4] = ["cpu", "io", "memory", "irq"];

impl PressureCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let directory = host.root.proc("pressure");
        Box::new(Self {
            files: RESOURCES.map(|name| File::listing(&host.root, directory.join(name))),
        })
    }
}

/// Family, help, index of the resource, and whether all tasks waited.
const FAMILIES: [(&str, &str, usize, bool); 6] = [
    (
        "node_pressure_cpu_waiting_seconds_total",
        "Time in which some task waited for a processor, in seconds.",
        0,
        false,
    ),
    (
        "node_pressure_io_waiting_seconds_total",
        "Time in which some task waited for a disk, in seconds.",
        1,
        false,
    ),
    (
        "node_pressure_io_stalled_seconds_total",
        "Time in which all tasks waited for a disk, in seconds.",
        1,
        true,
    ),
    (
        "node_pressure_memory_waiting_seconds_total",
        "Time in which some task waited for memory, in seconds.",
        2,
        false,
    ),
    (
        "node_pressure_memory_stalled_seconds_total",
        "Time in which all tasks waited for memory, in seconds.",
        2,
        true,
    ),
    (
        "node_pressure_irq_stalled_seconds_total",
        "Time in which all tasks waited for interrupts, in seconds.",
        3,
        true,
    ),
];

impl Collector for PressureCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut resources = [Resource::default(); 4];
        let mut present = false;
        for (file, resource) in self.files.iter_mut().zip(&mut resources) {
            match file.read(scrape.buffer).and_then(parse) {
                Ok(read) => {
                    *resource = read;
                    present = true;
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => {
                    scrape.failed(error);
                    present = true;
                }
            }
        }
        if !present {
            return Err(ABSENT);
        }
        for (name, help, at, all) in FAMILIES {
            let resource = &resources[at];
            let stall = if all { resource.full } else { resource.some };
            if let Some(stall) = stall {
                scrape
                    .page
                    .counter(name, help)
                    .value(Value::millionths(stall.total_micros));
            }
        }
        Ok(())
    }
}

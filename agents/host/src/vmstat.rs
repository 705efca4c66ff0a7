//! Paging, swapping and out-of-memory kills: `/proc/vmstat`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::Text;

/// Counters since boot; `None` where the kernel does not have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vmstat {
    /// Processes killed because memory ran out.
    pub oom_kills: Option<u64>,
    /// Page faults that had to wait for a disk.
    pub major_faults: Option<u64>,
    /// Pages swapped in.
    pub swapped_in: Option<u64>,
    /// Pages swapped out.
    pub swapped_out: Option<u64>,
}

/// Reads the counters now.
pub fn read(root: &Root) -> Result<Vmstat, Error> {
    read_once(&root.proc("vmstat"), |text| {
        let mut found = Vmstat::default();
        each(text, |name, value| match name {
            b"oom_kill" => found.oom_kills = Some(value),
            b"pgmajfault" => found.major_faults = Some(value),
            b"pswpin" => found.swapped_in = Some(value),
            b"pswpout" => found.swapped_out = Some(value),
            _ => {}
        })?;
        Ok(found)
    })
}

/// The fields that node_exporter shows by default.
fn is_shown(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 3] = [b"oom_kill", b"pgpg", b"pswp"];
    STARTS.iter().any(|start| name.starts_with(start))
        || (name.starts_with(b"pg") && memchr::memmem::find(name, b"fault").is_some())
}

fn each(text: Text<'_>, mut seen: impl FnMut(&[u8], u64)) -> Result<(), Error> {
    for line in text.lines() {
        // Most of the some 170 lines are of no interest, and this tells it by their first bytes.
        if !matches!(line.bytes()[0], b'o' | b'p') {
            continue;
        }
        let mut fields = line.fields();
        let name = fields.word("counter")?;
        if is_shown(name) {
            if !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                return Err(line.malformed("name of a counter"));
            }
            seen(name, fields.number("counter")?);
        }
    }
    Ok(())
}

pub(crate) struct VmstatCollector {
    file: File,
    name: String,
}

impl VmstatCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            file: File::listing(&host.root, host.root.proc("vmstat")),
            name: String::new(),
        })
    }
}

impl Collector for VmstatCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.file.read(scrape.buffer)?;
        let (page, name) = (&mut *scrape.page, &mut self.name);
        let mut shown = 0;
        each(text, |field, value| {
            name.clear();
            name.push_str("node_vmstat_");
            name.extend(field.iter().map(|byte| char::from(*byte)));
            page.untyped(name, "A counter of /proc/vmstat.")
                .value(value);
            shown += 1;
        })?;
        if shown == 0 {
            return Err(text.missing("counter"));
        }
        Ok(())
    }
}

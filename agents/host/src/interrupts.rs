//! Interrupts by source and processor: `/proc/interrupts`.
//!
//! Off unless asked for: it makes as many series as there are sources times processors.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::File;
use crate::text::{decimal, printable};

pub(crate) struct InterruptsCollector(File);

impl InterruptsCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(File::listing(
            &host.root,
            host.root.proc("interrupts"),
        )))
    }
}

impl Collector for InterruptsCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.0.read(scrape.buffer)?;
        let mut lines = text.lines();
        let head = lines.next().ok_or_else(|| text.missing("processor"))?;
        let mut cpus = Vec::new();
        for name in head.fields() {
            let number = name.strip_prefix(b"CPU").and_then(decimal);
            cpus.push(number.ok_or_else(|| head.malformed("processor"))?);
        }
        let mut digits = itoa::Buffer::new();
        let mut family = scrape.page.counter(
            "node_interrupts_total",
            "Interrupts served, by source and processor.",
        );
        for line in lines {
            let (source, fields) = line.split(b':', "interrupt")?;
            // Lines with a single sum (ERR, MIS) belong to no processor.
            if fields.clone().count() <= cpus.len() {
                continue;
            }
            let mut after = fields.clone();
            for _ in &cpus {
                after.next();
            }
            let source = printable(source.trim_ascii());
            let is_number = source.bytes().all(|byte| byte.is_ascii_digit());
            let rest = after.rest();
            let info = if is_number { after.next() } else { None };
            let info = joined(info.unwrap_or(if is_number { b"" } else { rest }));
            let devices = if is_number {
                joined(after.rest())
            } else {
                String::new()
            };
            for (cpu, word) in cpus.iter().zip(fields) {
                let count = decimal(word).ok_or_else(|| line.malformed("count of interrupts"))?;
                let labels = [
                    ("cpu", digits.format(*cpu)),
                    ("type", &*source),
                    ("info", &*info),
                    ("devices", &*devices),
                ];
                family.sample(&labels, count);
            }
        }
        Ok(())
    }
}

/// Words with single blanks between them.
fn joined(bytes: &[u8]) -> String {
    let text = printable(bytes);
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

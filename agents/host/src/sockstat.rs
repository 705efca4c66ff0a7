//! Sockets in use: `/proc/net/{sockstat,sockstat6}`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Page;
use crate::file::File;
use crate::text::Text;

/// The figures of a protocol that are known, and shown.
const FIGURES: [(&[u8], &str); 6] = [
    (b"inuse", "inuse"),
    (b"orphan", "orphan"),
    (b"tw", "tw"),
    (b"alloc", "alloc"),
    (b"mem", "mem"),
    (b"memory", "memory"),
];

pub(crate) struct SockstatCollector {
    files: [File; 2],
    page_size: u64,
    name: String,
}

impl SockstatCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let file = |name| File::listing(&host.root, host.root.net(name));
        Box::new(Self {
            files: [file("sockstat"), file("sockstat6")],
            page_size: host.calls.page_size as u64,
            name: String::new(),
        })
    }
}

impl Collector for SockstatCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut absent = 0;
        for file in &mut self.files {
            let mark = scrape.page.mark();
            let done = file
                .read(scrape.buffer)
                .and_then(|text| write(text, self.page_size, &mut self.name, scrape.page));
            match done {
                Ok(()) => {}
                Err(error) if error.is_missing_file() => absent += 1,
                Err(error) => {
                    scrape.page.rewind(mark);
                    scrape.failed(error);
                }
            }
        }
        if absent == self.files.len() {
            return Err(Error::NoData {
                what: "count of sockets",
            });
        }
        Ok(())
    }
}

fn write(text: Text<'_>, page_size: u64, name: &mut String, page: &mut Page) -> Result<(), Error> {
    for line in text.lines() {
        let (protocol, mut fields) = line.split(b':', "protocol")?;
        if protocol.is_empty() || !protocol.iter().all(u8::is_ascii_alphanumeric) {
            return Err(line.malformed("protocol"));
        }
        while let Some(key) = fields.next() {
            let value = fields.number("count of sockets")?;
            if protocol == b"sockets" {
                if key == b"used" {
                    page.gauge("node_sockstat_sockets_used", "Sockets in use.")
                        .value(value);
                }
                continue;
            }
            let Some((_, figure)) = FIGURES.iter().find(|(figure, _)| *figure == key) else {
                continue;
            };
            name.clear();
            name.push_str("node_sockstat_");
            name.extend(protocol.iter().map(|byte| char::from(*byte)));
            name.push('_');
            name.push_str(figure);
            page.gauge(
                name,
                "A count of sockets, or of pages of memory that they hold.",
            )
            .value(value);
            if *figure == "mem" {
                name.push_str("_bytes");
                page.gauge(name, "Memory that sockets hold, in bytes.")
                    .value(value.saturating_mul(page_size));
            }
        }
    }
    Ok(())
}

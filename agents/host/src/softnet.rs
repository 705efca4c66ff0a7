//! Packets that each processor handled: `/proc/net/softnet_stat`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Kind;
use crate::file::File;
use crate::text::Text;

/// Columns of the file, which grew over the kernel's versions.
const COLUMNS: usize = 13;

/// Column, family, type, help.
const FAMILIES: [(usize, &str, Kind, &str); 7] = [
    (
        0,
        "node_softnet_processed_total",
        Kind::Counter,
        "Packets handled.",
    ),
    (
        1,
        "node_softnet_dropped_total",
        Kind::Counter,
        "Packets dropped because the backlog was full.",
    ),
    (
        2,
        "node_softnet_times_squeezed_total",
        Kind::Counter,
        "How often there was more to handle than one round allows.",
    ),
    (
        8,
        "node_softnet_cpu_collision_total",
        Kind::Counter,
        "How often a lock was held by another processor while sending.",
    ),
    (
        9,
        "node_softnet_received_rps_total",
        Kind::Counter,
        "How often another processor asked this one to handle packets.",
    ),
    (
        10,
        "node_softnet_flow_limit_count_total",
        Kind::Counter,
        "Packets dropped because their flow was too large.",
    ),
    (
        11,
        "node_softnet_backlog_len",
        Kind::Gauge,
        "Packets in the backlog.",
    ),
];

/// The column with the number of the processor (Linux 5.14).
const NUMBER: usize = 12;

#[derive(Default, Clone, Copy)]
struct Row {
    cells: [u64; COLUMNS],
    width: usize,
}

pub(crate) struct SoftnetCollector {
    file: File,
    rows: Vec<Row>,
}

impl SoftnetCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            file: File::listing(&host.root, host.root.net("softnet_stat")),
            rows: Vec::new(),
        })
    }
}

fn parse(text: Text<'_>, rows: &mut Vec<Row>) -> Result<(), Error> {
    rows.clear();
    for line in text.lines() {
        let mut row = Row::default();
        let mut fields = line.fields();
        while row.width < COLUMNS && !fields.rest().is_empty() {
            row.cells[row.width] = fields.hex("count of packets")?;
            row.width += 1;
        }
        if row.width < 9 {
            return Err(line.malformed("counts of packets"));
        }
        if row.width <= NUMBER {
            row.cells[NUMBER] = rows.len() as u64;
        }
        rows.push(row);
    }
    Ok(())
}

impl Collector for SoftnetCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        parse(self.file.read(scrape.buffer)?, &mut self.rows)?;
        let mut digits = itoa::Buffer::new();
        for (column, name, kind, help) in FAMILIES {
            let mut family = scrape.page.family(kind, name, help);
            for row in self.rows.iter().filter(|row| column < row.width) {
                let cpu = digits.format(row.cells[NUMBER]);
                family.sample(&[("cpu", cpu)], row.cells[column]);
            }
        }
        Ok(())
    }
}

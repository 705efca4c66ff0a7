//! The table of tracked connections: `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::{Text, hexadecimal};

/// The table of tracked connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conntrack {
    /// Connections in it.
    pub entries: u64,
    /// How many it may hold.
    pub limit: u64,
}

const COUNT: &str = "sys/net/netfilter/nf_conntrack_count";
const LIMIT: &str = "sys/net/netfilter/nf_conntrack_max";
const NOT_LOADED: &str = "connection tracking";

/// Reads the table's size now; [`Error::NoData`] while the module is not loaded.
pub fn read(root: &Root) -> Result<Conntrack, Error> {
    let value = |name: &str| {
        read_once(&root.proc(name), |text| text.number("connections"))
            .map_err(|error| error.or_no_data(NOT_LOADED))
    };
    Ok(Conntrack {
        entries: value(COUNT)?,
        limit: value(LIMIT)?,
    })
}

/// Column of the file, and help.
const STATISTICS: [(&str, &str, &str); 8] = [
    (
        "found",
        "node_nf_conntrack_stat_found",
        "Entries that were searched for and found.",
    ),
    (
        "invalid",
        "node_nf_conntrack_stat_invalid",
        "Packets that cannot be tracked.",
    ),
    (
        "ignore",
        "node_nf_conntrack_stat_ignore",
        "Packets that belonged to a tracked connection already.",
    ),
    (
        "insert",
        "node_nf_conntrack_stat_insert",
        "Entries put into the table.",
    ),
    (
        "insert_failed",
        "node_nf_conntrack_stat_insert_failed",
        "Entries that could not be put into the table.",
    ),
    (
        "drop",
        "node_nf_conntrack_stat_drop",
        "Packets dropped because their connection could not be tracked.",
    ),
    (
        "early_drop",
        "node_nf_conntrack_stat_early_drop",
        "Entries dropped to make room in a full table.",
    ),
    (
        "search_restart",
        "node_nf_conntrack_stat_search_restart",
        "Searches that had to begin anew because the table was resized.",
    ),
];

/// Sums over all processors, in the order of [`STATISTICS`]; `None` for a column that this
/// kernel does not have.
fn statistics(text: Text<'_>) -> Result<[Option<u64>; 8], Error> {
    let mut lines = text.lines();
    let header = lines.next().ok_or_else(|| text.missing("header"))?;
    let mut columns = [None; 64];
    for (at, name) in header.fields().enumerate().take(columns.len()) {
        columns[at] = STATISTICS
            .iter()
            .position(|(column, _, _)| column.as_bytes() == name);
    }
    let mut sums = [None; 8];
    for line in lines {
        for (at, word) in line.fields().enumerate().take(columns.len()) {
            if let Some(statistic) = columns[at] {
                let count = hexadecimal(word).ok_or_else(|| line.malformed("count"))?;
                let sum = sums[statistic].get_or_insert(0_u64);
                *sum = sum.wrapping_add(count);
            }
        }
    }
    Ok(sums)
}

pub(crate) struct ConntrackCollector {
    count: File,
    limit: File,
    statistics: File,
}

impl ConntrackCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let attribute = |name| File::attribute(&host.root, host.root.proc(name));
        Box::new(Self {
            count: attribute(COUNT),
            limit: attribute(LIMIT),
            statistics: File::listing(&host.root, host.root.net("stat/nf_conntrack")),
        })
    }
}

impl Collector for ConntrackCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut value = |file: &mut File| {
            file.read(scrape.buffer)
                .map_err(|error| error.or_no_data(NOT_LOADED))?
                .number("connections")
        };
        let (count, limit) = (value(&mut self.count)?, value(&mut self.limit)?);
        scrape
            .page
            .gauge("node_nf_conntrack_entries", "Connections that are tracked.")
            .value(count);
        scrape
            .page
            .gauge(
                "node_nf_conntrack_entries_limit",
                "How many connections can be tracked.",
            )
            .value(limit);
        let sums = self.statistics.read(scrape.buffer).and_then(statistics);
        let sums = scrape.part(sums).unwrap_or_default();
        for (sum, (_, name, help)) in sums.into_iter().zip(STATISTICS) {
            if let Some(sum) = sum {
                scrape.page.gauge(name, help).value(sum);
            }
        }
        Ok(())
    }
}

//! Neighbours in the ARP table: `/proc/net/arp`.

use std::collections::BTreeMap;

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::File;
use crate::text::printable;

pub(crate) struct ArpCollector(File);

impl ArpCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(File::listing(&host.root, host.root.net("arp"))))
    }
}

impl Collector for ArpCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self
            .0
            .read(scrape.buffer)
            .map_err(|error| error.or_no_data("ARP table"))?;
        let mut neighbours: BTreeMap<&[u8], u64> = BTreeMap::new();
        for line in text.table("HW address", "table of neighbours")? {
            let device = line.fields().nth(5);
            let device = device.ok_or_else(|| line.malformed("device of a neighbour"))?;
            *neighbours.entry(device).or_default() += 1;
        }
        let mut family = scrape
            .page
            .gauge("node_arp_entries", "Neighbours in the ARP table.");
        for (device, count) in neighbours {
            family.sample(&[("device", &printable(device))], count);
        }
        Ok(())
    }
}

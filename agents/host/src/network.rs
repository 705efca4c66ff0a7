//! Traffic of network interfaces: `/proc/net/dev`, and `rx_nohandler` from sysfs.

use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::filters::Filters;
use crate::root::Root;
use crate::text::{Text, decimal, printable};

/// Counters of one interface since it was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Interface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub rx_fifo: u64,
    pub rx_frame: u64,
    pub rx_compressed: u64,
    pub rx_multicast: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
    pub tx_fifo: u64,
    pub tx_collisions: u64,
    pub tx_carrier: u64,
    pub tx_compressed: u64,
}

impl Interface {
    fn cells(&mut self) -> [&mut u64; 16] {
        [
            &mut self.rx_bytes,
            &mut self.rx_packets,
            &mut self.rx_errors,
            &mut self.rx_dropped,
            &mut self.rx_fifo,
            &mut self.rx_frame,
            &mut self.rx_compressed,
            &mut self.rx_multicast,
            &mut self.tx_bytes,
            &mut self.tx_packets,
            &mut self.tx_errors,
            &mut self.tx_dropped,
            &mut self.tx_fifo,
            &mut self.tx_collisions,
            &mut self.tx_carrier,
            &mut self.tx_compressed,
        ]
    }
}

/// Reads the counters of every interface that the filters keep. They are those of PID 1's
/// network (see [`Root::new`]).
pub fn read(host: &Host) -> Result<Vec<Interface>, Error> {
    read_once(&host.root.net("dev"), |text| {
        let mut interfaces = Vec::new();
        parse(text, &host.filters, &mut interfaces)?;
        Ok(interfaces)
    })
}

/// Fills `interfaces`, whose strings are used again.
fn parse(text: Text<'_>, filters: &Filters, interfaces: &mut Vec<Interface>) -> Result<(), Error> {
    let mut n = 0;
    for line in text.table("Receive", "table of interfaces")?.skip(1) {
        // The name itself may hold a colon (an alias); the counters never do.
        let colon = memchr::memrchr(b':', line.bytes())
            .ok_or_else(|| line.malformed("network interface"))?;
        let name = printable(line.bytes()[..colon].trim_ascii());
        if name.is_empty() {
            return Err(line.malformed("name of a network interface"));
        }
        if !filters.keeps_interface(&name) {
            continue;
        }
        if n == interfaces.len() {
            interfaces.push(Interface::default());
        }
        let interface = &mut interfaces[n];
        let mut words = line.bytes()[colon + 1..]
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        for cell in interface.cells() {
            *cell = words
                .next()
                .and_then(decimal)
                .ok_or_else(|| line.malformed("network counter"))?;
        }
        interface.name.clear();
        interface.name.push_str(&name);
        n += 1;
    }
    interfaces.truncate(n);
    Ok(())
}

type Family = (&'static str, &'static str, fn(&Interface) -> u64);

const FAMILIES: [Family; 16] = [
    ("node_network_receive_bytes_total", "Bytes received.", |i| {
        i.rx_bytes
    }),
    (
        "node_network_receive_packets_total",
        "Packets received.",
        |i| i.rx_packets,
    ),
    (
        "node_network_receive_errs_total",
        "Packets received with an error.",
        |i| i.rx_errors,
    ),
    (
        "node_network_receive_drop_total",
        "Received packets that were dropped.",
        |i| i.rx_dropped,
    ),
    (
        "node_network_receive_fifo_total",
        "Overruns of the receive queue.",
        |i| i.rx_fifo,
    ),
    (
        "node_network_receive_frame_total",
        "Packets received with a broken frame.",
        |i| i.rx_frame,
    ),
    (
        "node_network_receive_compressed_total",
        "Compressed packets received.",
        |i| i.rx_compressed,
    ),
    (
        "node_network_receive_multicast_total",
        "Multicast packets received.",
        |i| i.rx_multicast,
    ),
    ("node_network_transmit_bytes_total", "Bytes sent.", |i| {
        i.tx_bytes
    }),
    (
        "node_network_transmit_packets_total",
        "Packets sent.",
        |i| i.tx_packets,
    ),
    (
        "node_network_transmit_errs_total",
        "Packets that could not be sent.",
        |i| i.tx_errors,
    ),
    (
        "node_network_transmit_drop_total",
        "Packets dropped before they were sent.",
        |i| i.tx_dropped,
    ),
    (
        "node_network_transmit_fifo_total",
        "Overruns of the send queue.",
        |i| i.tx_fifo,
    ),
    (
        "node_network_transmit_colls_total",
        "Collisions while sending.",
        |i| i.tx_collisions,
    ),
    (
        "node_network_transmit_carrier_total",
        "Losses of the carrier while sending.",
        |i| i.tx_carrier,
    ),
    (
        "node_network_transmit_compressed_total",
        "Compressed packets sent.",
        |i| i.tx_compressed,
    ),
];

pub(crate) struct NetworkCollector {
    root: Root,
    file: File,
    filters: Filters,
    interfaces: Vec<Interface>,
    /// `rx_nohandler` of each interface, by name; `/proc/net/dev` lacks it.
    unhandled: Vec<(String, File)>,
}

impl NetworkCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            file: File::listing(&host.root, host.root.net("dev")),
            filters: host.filters.clone(),
            interfaces: Vec::new(),
            unhandled: Vec::new(),
        })
    }

    /// One file per interface, in the same order.
    fn follow_interfaces(&mut self) {
        let same = self.unhandled.len() == self.interfaces.len()
            && self
                .unhandled
                .iter()
                .zip(&self.interfaces)
                .all(|((name, _), interface)| *name == interface.name);
        if same {
            return;
        }
        let directory = self.root.sys("class/net");
        self.unhandled = self
            .interfaces
            .iter()
            .map(|interface| {
                let path = directory
                    .join(&interface.name)
                    .join("statistics/rx_nohandler");
                (interface.name.clone(), File::attribute(&self.root, path))
            })
            .collect();
    }
}

impl Collector for NetworkCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.file.read(scrape.buffer)?;
        parse(text, &self.filters, &mut self.interfaces)?;
        self.follow_interfaces();
        for (name, help, value) in FAMILIES {
            let mut family = scrape.page.counter(name, help);
            for interface in &self.interfaces {
                family.sample(&[("device", &*interface.name)], value(interface));
            }
        }
        let mut family = scrape.page.counter(
            "node_network_receive_nohandler_total",
            "Received packets that nothing on this host handles.",
        );
        let mut failed = Vec::new();
        for (name, file) in &mut self.unhandled {
            let read = file.offered(scrape.buffer);
            match read.and_then(|text| text.map(|t| t.number("unhandled packets")).transpose()) {
                Ok(Some(count)) => family.sample(&[("device", name)], count),
                Ok(None) => {}
                Err(error) => failed.push(error),
            }
        }
        for error in failed {
            scrape.failed(error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HEAD: &str = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n";

    fn parsed(lines: &str) -> Result<Vec<Interface>, Error> {
        let text = format!("{HEAD}{lines}");
        let mut interfaces = vec![Interface::default(); 3];
        parse(
            Text::new(Path::new("/proc/net/dev"), text.as_bytes()),
            &Filters::default(),
            &mut interfaces,
        )?;
        Ok(interfaces)
    }

    #[test]
    fn aliases_and_names_without_a_blank_behind_are_read() {
        let found = parsed(
            "eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  lo:21 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
        )
        .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].rx_bytes), ("eth0:1", 1));
        assert_eq!((found[1].name.as_str(), found[1].rx_bytes), ("lo", 21));
        assert_eq!(found[1].tx_compressed, 16);
    }

    #[test]
    fn a_short_line_is_an_error() {
        assert!(parsed("lo: 1 2 3\n").is_err());
        assert!(parsed("lo\n").is_err());
        assert!(parsed("").unwrap().is_empty());
    }
}

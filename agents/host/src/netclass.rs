//! Properties of network interfaces: `/sys/class/net`.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::exposition::{Kind, Value};
use crate::file::{Buffer, File};
use crate::filters::Filters;
use crate::root::Root;
use crate::text::{Text, decimal, hexadecimal, signed_decimal};

/// File, family, type, help.
const ATTRIBUTES: [(&str, &str, Kind, &str); 16] = [
    (
        "addr_assign_type",
        "node_network_address_assign_type",
        Kind::Gauge,
        "How the hardware address was assigned.",
    ),
    (
        "carrier",
        "node_network_carrier",
        Kind::Gauge,
        "Whether the link is there: 1 yes, 0 no.",
    ),
    (
        "carrier_changes",
        "node_network_carrier_changes_total",
        Kind::Counter,
        "How often the link came or went.",
    ),
    (
        "carrier_up_count",
        "node_network_carrier_up_changes_total",
        Kind::Counter,
        "How often the link came.",
    ),
    (
        "carrier_down_count",
        "node_network_carrier_down_changes_total",
        Kind::Counter,
        "How often the link went.",
    ),
    (
        "dev_id",
        "node_network_device_id",
        Kind::Gauge,
        "Number of the interface among those that share an address.",
    ),
    (
        "dormant",
        "node_network_dormant",
        Kind::Gauge,
        "Whether the interface waits for something, such as authentication.",
    ),
    (
        "flags",
        "node_network_flags",
        Kind::Gauge,
        "Flags of the interface (IFF_*).",
    ),
    (
        "ifindex",
        "node_network_iface_id",
        Kind::Gauge,
        "Number of the interface.",
    ),
    (
        "iflink",
        "node_network_iface_link",
        Kind::Gauge,
        "Number of the interface below this one.",
    ),
    (
        "link_mode",
        "node_network_iface_link_mode",
        Kind::Gauge,
        "How the state of the link is managed.",
    ),
    (
        "mtu",
        "node_network_mtu_bytes",
        Kind::Gauge,
        "Largest packet, in bytes.",
    ),
    (
        "name_assign_type",
        "node_network_name_assign_type",
        Kind::Gauge,
        "How the name was assigned.",
    ),
    (
        "netdev_group",
        "node_network_net_dev_group",
        Kind::Gauge,
        "Group of the interface.",
    ),
    (
        "tx_queue_len",
        "node_network_transmit_queue_length",
        Kind::Gauge,
        "Packets that the send queue holds at most.",
    ),
    (
        "type",
        "node_network_protocol_type",
        Kind::Gauge,
        "Kind of the interface (ARPHRD_*).",
    ),
];

/// Attributes that are shown as labels of `node_network_info`, in its order.
const WORDS: [&str; 5] = ["address", "broadcast", "duplex", "operstate", "ifalias"];
const OPERSTATE: usize = 3;

/// `IFF_UP`.
const FLAG_UP: u64 = 1;

struct Interface {
    name: String,
    attributes: [File; ATTRIBUTES.len()],
    speed: File,
    words: [(File, String); WORDS.len()],
    flags: Option<u64>,
}

impl Interface {
    fn new(root: &Root, directory: &Directory, name: &str) -> Self {
        let file =
            |attribute: &str| File::attribute(root, directory.path().join(name).join(attribute));
        Self {
            name: name.to_owned(),
            attributes: ATTRIBUTES.map(|(attribute, ..)| file(attribute)),
            speed: file("speed"),
            words: WORDS.map(|attribute| (file(attribute), String::new())),
            flags: None,
        }
    }

    fn refresh_words(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        for (file, word) in &mut self.words {
            word.clear();
            if let Some(text) = file.offered(buffer)? {
                word.push_str(&text.word());
            }
        }
        Ok(())
    }

    fn admin_state(&self) -> &'static str {
        match self.flags {
            None => "unknown",
            Some(flags) if flags & FLAG_UP != 0 => "up",
            Some(_) => "down",
        }
    }
}

pub(crate) struct NetClassCollector {
    root: Root,
    filters: Filters,
    directory: Directory,
    interfaces: Vec<Interface>,
}

impl NetClassCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            filters: host.filters.clone(),
            directory: Directory::new(host.root.sys("class/net")),
            interfaces: Vec::new(),
        })
    }

    fn follow_interfaces(&mut self) -> Result<(), Error> {
        let changed = self.directory.refresh();
        if changed.map_err(|error| error.or_no_data("network interface"))? {
            // The directory also holds `bonding_masters`, a file.
            let directory = &self.directory;
            let shown = |name: &&String| {
                self.filters.keeps_interface(name) && directory.path().join(name).is_dir()
            };
            self.interfaces = directory
                .names()
                .iter()
                .filter(shown)
                .map(|name| Interface::new(&self.root, directory, name))
                .collect();
        }
        Ok(())
    }

    fn write_attributes(&mut self, scrape: &mut Scrape<'_>) {
        let mut failed = Vec::new();
        for (at, (attribute, name, kind, help)) in ATTRIBUTES.into_iter().enumerate() {
            let mut family = scrape.page.family(kind, name, help);
            for interface in &mut self.interfaces {
                let read = interface.attributes[at].offered(scrape.buffer);
                match read.and_then(|text| text.map(integer).transpose()) {
                    Ok(Some(value)) => {
                        if attribute == "flags" {
                            interface.flags = u64::try_from(value).ok();
                        }
                        family.sample(&[("device", &*interface.name)], value);
                    }
                    Ok(None) => {}
                    Err(error) => failed.push(error),
                }
            }
        }
        let mut family = scrape.page.gauge(
            "node_network_speed_bytes",
            "Speed of the link, in bytes per second; absent where it is not known.",
        );
        for interface in &mut self.interfaces {
            let read = interface.speed.offered(scrape.buffer);
            match read.and_then(|text| text.map(|text| text.signed("speed")).transpose()) {
                // -1 stands for unknown.
                Ok(Some(mbits)) => {
                    if let Ok(mbits) = u64::try_from(mbits) {
                        let speed = mbits.saturating_mul(1_000_000 / 8);
                        family.sample(&[("device", &*interface.name)], speed);
                    }
                }
                Ok(None) => {}
                Err(error) => failed.push(error),
            }
        }
        for error in failed {
            scrape.failed(error);
        }
    }

    fn write_words(&mut self, scrape: &mut Scrape<'_>) {
        let mut family = scrape.page.gauge(
            "node_network_up",
            "Whether the interface is in the state \"up\": 1 yes, 0 no.",
        );
        for interface in &self.interfaces {
            let state = &*interface.words[OPERSTATE].1;
            if !state.is_empty() {
                family.sample(&[("device", &*interface.name)], state == "up");
            }
        }
        let mut family = scrape.page.gauge(
            "node_network_info",
            "Properties of the interface; always 1.",
        );
        for interface in &self.interfaces {
            let [address, broadcast, duplex, operstate, ifalias] = &interface.words;
            let labels = [
                ("device", &*interface.name),
                ("address", &address.1),
                ("broadcast", &broadcast.1),
                ("duplex", &duplex.1),
                ("operstate", &operstate.1),
                ("adminstate", interface.admin_state()),
                ("ifalias", &ifalias.1),
            ];
            family.sample(&labels, Value::Whole(1));
        }
    }
}

/// Attributes are decimal, some of them signed, or hexadecimal with `0x`.
fn integer(text: Text<'_>) -> Result<i64, Error> {
    let word = text.trimmed();
    let value = if word.starts_with(b"0x") {
        hexadecimal(word).and_then(|value| i64::try_from(value).ok())
    } else {
        decimal(word)
            .and_then(|value| i64::try_from(value).ok())
            .or_else(|| signed_decimal(word))
    };
    value.ok_or_else(|| text.first().malformed("property of a network interface"))
}

impl Collector for NetClassCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.follow_interfaces()?;
        for interface in &mut self.interfaces {
            let read = interface.refresh_words(scrape.buffer);
            scrape.part(read);
        }
        self.write_attributes(scrape);
        self.write_words(scrape);
        Ok(())
    }
}

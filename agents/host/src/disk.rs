//! Input and output of block devices: `/proc/diskstats`.

use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::{Kind, Value};
use crate::file::{File, read_once};
use crate::filters::Filters;
use crate::root::Root;
use crate::text::{Text, printable};

mod identity;

use identity::Identity;

/// Sectors of `/proc/diskstats` have 512 bytes whatever those of the device have.
const SECTOR_BYTES: u64 = 512;

/// Counters of one device since boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its major number.
    pub major: u64,
    /// Its minor number.
    pub minor: u64,
    /// Reads that ended.
    pub reads: u64,
    /// Reads that were joined with a neighbour.
    pub reads_merged: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time of all reads, milliseconds.
    pub read_millis: u64,
    /// Writes that ended.
    pub writes: u64,
    /// Writes that were joined with a neighbour.
    pub writes_merged: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Time of all writes, milliseconds.
    pub write_millis: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// Time in which any request was under way, milliseconds.
    pub busy_millis: u64,
    /// The same, times the number of requests under way.
    pub weighted_millis: u64,
    /// Discards (Linux 4.18).
    pub discards: Option<Discards>,
    /// Flushes (Linux 5.5).
    pub flushes: Option<Flushes>,
}

/// Discards of one device since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Discards {
    pub completed: u64,
    pub merged: u64,
    pub sectors: u64,
    pub millis: u64,
}

/// Flushes of one device since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Flushes {
    pub completed: u64,
    pub millis: u64,
}

/// Reads the counters of every device that the filters keep.
pub fn read(host: &Host) -> Result<Vec<Device>, Error> {
    read_once(&host.root.proc("diskstats"), |text| {
        let mut devices = Vec::new();
        parse(text, &host.filters, &mut devices)?;
        Ok(devices)
    })
}

/// Fills `devices`, whose strings are used again.
fn parse(text: Text<'_>, filters: &Filters, devices: &mut Vec<Device>) -> Result<(), Error> {
    let mut n = 0;
    for line in text.lines() {
        let mut fields = line.fields();
        let major = fields.number("major number")?;
        let minor = fields.number("minor number")?;
        let name = printable(fields.word("name of a disk")?);
        if !filters.keeps_disk(&name) {
            continue;
        }
        let mut row = [0; 17];
        let width = fields.numbers("disk counter", &mut row)?;
        if width < 11 {
            return Err(line.malformed("disk counters"));
        }
        if n == devices.len() {
            devices.push(Device::default());
        }
        let device = &mut devices[n];
        device.name.clear();
        device.name.push_str(&name);
        (device.major, device.minor) = (major, minor);
        fill(device, &row, width);
        n += 1;
    }
    devices.truncate(n);
    Ok(())
}

fn fill(device: &mut Device, row: &[u64; 17], width: usize) {
    let [reads, reads_merged, read_sectors, read_millis, rest @ ..] = *row;
    let [
        writes,
        writes_merged,
        written_sectors,
        write_millis,
        rest @ ..,
    ] = rest;
    let [in_flight, busy, weighted, rest @ ..] = rest;
    let [completed, merged, sectors, millis, flushes, flush_millis] = rest;
    device.reads = reads;
    device.reads_merged = reads_merged;
    device.read_bytes = read_sectors.saturating_mul(SECTOR_BYTES);
    device.read_millis = read_millis;
    device.writes = writes;
    device.writes_merged = writes_merged;
    device.written_bytes = written_sectors.saturating_mul(SECTOR_BYTES);
    device.write_millis = write_millis;
    device.in_flight = in_flight;
    device.busy_millis = busy;
    device.weighted_millis = weighted;
    device.discards = (width >= 15).then_some(Discards {
        completed,
        merged,
        sectors,
        millis,
    });
    device.flushes = (width >= 17).then_some(Flushes {
        completed: flushes,
        millis: flush_millis,
    });
}

type Family = (
    &'static str,
    Kind,
    &'static str,
    fn(&Device) -> Option<Value>,
);

#[rustfmt::skip]
const FAMILIES: [Family; 17] = [
    ("node_disk_reads_completed_total", Kind::Counter, "Reads that ended.",
        |d| Some(d.reads.into())),
    ("node_disk_reads_merged_total", Kind::Counter, "Reads that were joined with a neighbour.",
        |d| Some(d.reads_merged.into())),
    ("node_disk_read_bytes_total", Kind::Counter, "Bytes read.",
        |d| Some(d.read_bytes.into())),
    ("node_disk_read_time_seconds_total", Kind::Counter, "Time of all reads, in seconds.",
        |d| Some(Value::thousandths(d.read_millis))),
    ("node_disk_writes_completed_total", Kind::Counter, "Writes that ended.",
        |d| Some(d.writes.into())),
    ("node_disk_writes_merged_total", Kind::Counter, "Writes that were joined with a neighbour.",
        |d| Some(d.writes_merged.into())),
    ("node_disk_written_bytes_total", Kind::Counter, "Bytes written.",
        |d| Some(d.written_bytes.into())),
    ("node_disk_write_time_seconds_total", Kind::Counter, "Time of all writes, in seconds.",
        |d| Some(Value::thousandths(d.write_millis))),
    ("node_disk_io_now", Kind::Gauge, "Requests under way.",
        |d| Some(d.in_flight.into())),
    ("node_disk_io_time_seconds_total", Kind::Counter,
        "Time in which any request was under way, in seconds.",
        |d| Some(Value::thousandths(d.busy_millis))),
    ("node_disk_io_time_weighted_seconds_total", Kind::Counter,
        "Time in which requests were under way, times their number, in seconds.",
        |d| Some(Value::thousandths(d.weighted_millis))),
    ("node_disk_discards_completed_total", Kind::Counter, "Discards that ended.",
        |d| Some(d.discards?.completed.into())),
    ("node_disk_discards_merged_total", Kind::Counter, "Discards that were joined with a neighbour.",
        |d| Some(d.discards?.merged.into())),
    ("node_disk_discarded_sectors_total", Kind::Counter, "Sectors discarded, of 512 bytes.",
        |d| Some(d.discards?.sectors.into())),
    ("node_disk_discard_time_seconds_total", Kind::Counter, "Time of all discards, in seconds.",
        |d| Some(Value::thousandths(d.discards?.millis))),
    ("node_disk_flush_requests_total", Kind::Counter, "Flushes that ended.",
        |d| Some(d.flushes?.completed.into())),
    ("node_disk_flush_requests_time_seconds_total", Kind::Counter,
        "Time of all flushes, in seconds.",
        |d| Some(Value::thousandths(d.flushes?.millis))),
];

pub(crate) struct DiskCollector {
    root: Root,
    file: File,
    filters: Filters,
    devices: Vec<Device>,
    identities: Vec<Identity>,
}

impl DiskCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            file: File::listing(&host.root, host.root.proc("diskstats")),
            filters: host.filters.clone(),
            devices: Vec::new(),
            identities: Vec::new(),
        })
    }

    /// One identity per device, in the same order.
    fn follow_devices(&mut self) {
        let same = self.identities.len() == self.devices.len()
            && self
                .identities
                .iter()
                .zip(&self.devices)
                .all(|(identity, device)| identity.is_of(device));
        if !same {
            let devices = self.devices.iter();
            self.identities = devices.map(|d| Identity::new(&self.root, d)).collect();
        }
    }
}

impl Collector for DiskCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.file.read(scrape.buffer)?;
        parse(text, &self.filters, &mut self.devices)?;
        for (name, kind, help, value) in FAMILIES {
            let mut family = scrape.page.family(kind, name, help);
            for device in &self.devices {
                if let Some(value) = value(device) {
                    family.sample(&[("device", &*device.name)], value);
                }
            }
        }
        self.follow_devices();
        for identity in &mut self.identities {
            let read = identity.refresh(scrape.buffer);
            scrape.part(read);
        }
        identity::write(&self.identities, scrape.page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(text: &str) -> Result<Vec<Device>, Error> {
        let mut devices = Vec::new();
        let text = Text::new(Path::new("/proc/diskstats"), text.as_bytes());
        parse(text, &Filters::default(), &mut devices)?;
        Ok(devices)
    }

    #[test]
    fn older_kernels_have_fewer_columns() {
        let devices = parsed(
            " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n 8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n \
             8 32 sdc 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n 8 1 sda1 1\n",
        )
        .unwrap();
        assert_eq!(devices.len(), 3);
        assert_eq!(devices[0].read_bytes, 3 * 512);
        assert_eq!(devices[0].discards, None);
        assert_eq!(devices[1].discards.unwrap().millis, 15);
        assert_eq!(devices[1].flushes, None);
        assert_eq!(devices[2].flushes.unwrap().millis, 17);
        assert!(parsed("8 0 sda 1 2 3\n").is_err());
        assert!(parsed("8 x sda 1 2 3 4 5 6 7 8 9 10 11\n").is_err());
    }
}

//! Software RAID: `/proc/mdstat`, and `/sys/block/md*/md`.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::names_once;
use crate::error::Error;
use crate::exposition::Page;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::{Line, Text, decimal, printable};

/// What an array is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In use.
    Active,
    /// Put together but not started.
    Inactive,
    /// Filling a new disk.
    Recovering,
    /// Making the disks equal again.
    Resync,
    /// Comparing the disks.
    Check,
    /// Something else, such as changing its shape.
    Other,
}

/// One array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// Its device.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Disks that work.
    pub active: u64,
    /// Disks that failed.
    pub failed: u64,
    /// Disks that wait to be used.
    pub spare: u64,
    /// Disks that it should have.
    pub required: u64,
    /// Its size, blocks of 1 KiB.
    pub blocks: u64,
    /// How much of it is in order.
    pub synced: u64,
}

/// Reads all arrays; [`Error::NoData`] where the driver is not loaded.
pub fn read(root: &Root) -> Result<Vec<Array>, Error> {
    read_once(&root.proc("mdstat"), parse).map_err(|error| error.or_no_data("software RAID"))
}

fn parse(text: Text<'_>) -> Result<Vec<Array>, Error> {
    let mut arrays: Vec<Array> = Vec::new();
    let mut sizes_follow = false;
    for line in text.lines() {
        let bytes = line.bytes();
        if bytes.starts_with(b"Personalities") || bytes.starts_with(b"unused") {
            sizes_follow = false;
        } else if !bytes[0].is_ascii_whitespace() {
            arrays.push(head(line)?);
            sizes_follow = true;
        } else if let Some(array) = arrays.last_mut() {
            if sizes_follow {
                sizes(line, array)?;
                sizes_follow = false;
            } else {
                progress(line, array)?;
            }
        }
    }
    Ok(arrays)
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`
fn head(line: Line<'_>) -> Result<Array, Error> {
    let (name, mut fields) = line.split(b':', "RAID array")?;
    let state = match fields.word("state of the array")? {
        b"active" => State::Active,
        b"inactive" => State::Inactive,
        _ => State::Other,
    };
    let mut array = Array {
        name: printable(name.trim_ascii()).into_owned(),
        state,
        active: 0,
        failed: 0,
        spare: 0,
        required: 0,
        blocks: 0,
        synced: 0,
    };
    let mut all_are_needed = false;
    for field in fields {
        all_are_needed |= matches!(field, b"raid0" | b"linear");
        if memchr::memchr(b'[', field).is_none() {
            continue;
        }
        let marked = |mark: &[u8]| u64::from(memchr::memmem::find(field, mark).is_some());
        array.failed += marked(b"(F)");
        array.spare += marked(b"(S)");
        array.required += 1;
    }
    if all_are_needed {
        array.active = array.required;
    } else {
        array.required = 0;
    }
    Ok(array)
}

/// `      1953382464 blocks super 1.2 [2/1] [U_]`
fn sizes(line: Line<'_>, array: &mut Array) -> Result<(), Error> {
    let mut fields = line.fields();
    array.blocks = fields.number("blocks of the array")?;
    array.synced = array.blocks;
    if array.state == State::Inactive {
        array.required = 0;
        array.active = 0;
        return Ok(());
    }
    for field in fields {
        let inner = field.strip_prefix(b"[").and_then(|f| f.strip_suffix(b"]"));
        let Some((required, active)) = inner.and_then(halves) else {
            continue;
        };
        array.required = required;
        array.active = active;
        return Ok(());
    }
    if array.required == 0 {
        return Err(line.malformed("disks of the array"));
    }
    Ok(())
}

/// `[==>......]  recovery = 12.6% (37043392/292945152) finish=127.5min`, or `resync=PENDING`.
fn progress(line: Line<'_>, array: &mut Array) -> Result<(), Error> {
    let has = |word: &[u8]| memchr::memmem::find(line.bytes(), word).is_some();
    array.state = if has(b"recovery") {
        State::Recovering
    } else if has(b"reshape") {
        State::Other
    } else if has(b"check") {
        State::Check
    } else if has(b"resync") {
        State::Resync
    } else {
        return Ok(());
    };
    if has(b"PENDING") || has(b"DELAYED") {
        array.synced = 0;
        return Ok(());
    }
    let done = line.fields().find_map(|field| {
        let inner = field.strip_prefix(b"(")?.strip_suffix(b")")?;
        halves(inner)
    });
    array.synced = done
        .ok_or_else(|| line.malformed("progress of the array"))?
        .0;
    Ok(())
}

fn halves(text: &[u8]) -> Option<(u64, u64)> {
    let slash = memchr::memchr(b'/', text)?;
    Some((decimal(&text[..slash])?, decimal(&text[slash + 1..])?))
}

pub(crate) struct MdCollector {
    root: Root,
    file: File,
}

impl MdCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            file: File::listing(&host.root, host.root.proc("mdstat")),
        })
    }

    /// What sysfs adds for one array: disks it should have, and disks it lacks.
    fn extra(&self, array: &str, file: &str, scrape: &mut Scrape<'_>) -> Option<u64> {
        let path = self.root.sys("block").join(array).join("md").join(file);
        let mut file = File::replaced(&self.root, path);
        let read = file
            .offered(scrape.buffer)
            .and_then(|text| text.map(|text| text.number("count of disks")).transpose());
        scrape.part(read).flatten()
    }
}

impl Collector for MdCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.file.read(scrape.buffer);
        let arrays = parse(text.map_err(|error| error.or_no_data("software RAID"))?)?;
        write(&arrays, scrape.page);
        let blocks = names_once(&self.root.sys("block"));
        let disks = scrape.part(blocks).unwrap_or_default();
        let disks: Vec<_> = disks.iter().filter(|name| name.starts_with("md")).collect();
        let families = [
            (
                "raid_disks",
                "node_md_raid_disks",
                "Disks that the array should have.",
            ),
            (
                "degraded",
                "node_md_degraded",
                "Disks that the array lacks.",
            ),
        ];
        for (file, name, help) in families {
            let found: Vec<_> = disks
                .iter()
                .map(|disk| (disk, self.extra(disk, file, scrape)))
                .collect();
            let mut family = scrape.page.gauge(name, help);
            for (disk, value) in found {
                if let Some(value) = value {
                    family.sample(&[("device", disk)], value);
                }
            }
        }
        Ok(())
    }
}

fn write(arrays: &[Array], page: &mut Page) {
    let mut family = page.gauge(
        "node_md_state",
        "Whether the array is in the state: 1 yes, 0 no.",
    );
    let states = [
        ("active", State::Active),
        ("inactive", State::Inactive),
        ("recovering", State::Recovering),
        ("resync", State::Resync),
        ("check", State::Check),
    ];
    for array in arrays {
        for (name, state) in states {
            let labels = [("device", &*array.name), ("state", name)];
            family.sample(&labels, array.state == state);
        }
    }
    let mut family = page.gauge(
        "node_md_disks",
        "Disks of the array that work, failed, or wait to be used.",
    );
    for array in arrays {
        let counts = [
            ("active", array.active),
            ("failed", array.failed),
            ("spare", array.spare),
        ];
        for (state, count) in counts {
            family.sample(&[("device", &*array.name), ("state", state)], count);
        }
    }
    type Field = (&'static str, &'static str, fn(&Array) -> u64);
    let families: [Field; 3] = [
        (
            "node_md_disks_required",
            "Disks that the array should have.",
            |array| array.required,
        ),
        ("node_md_blocks", "Size of the array, in blocks.", |array| {
            array.blocks
        }),
        (
            "node_md_blocks_synced",
            "How much of the array is in order, in blocks.",
            |array| array.synced,
        ),
    ];
    for (name, help, value) in families {
        let mut family = page.gauge(name, help);
        for array in arrays {
            family.sample(&[("device", &*array.name)], value(array));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(text: &str) -> Result<Vec<Array>, Error> {
        parse(Text::new(Path::new("/proc/mdstat"), text.as_bytes()))
    }

    #[test]
    fn states_and_disks_are_told_apart() {
        let arrays = parsed(
            "Personalities : [raid1] [raid6] [raid0]\n\
             md0 : active raid1 sdb1[2](S) sda1[0] sdc1[1](F)\n      100 blocks super 1.2 [2/1] [U_]\n      bitmap: 1/1 pages [4KB], 65536KB chunk\n\n\
             md1 : active (auto-read-only) raid6 sda2[0] sdb2[1]\n      200 blocks level 6, 64k chunk, algorithm 2 [4/4] [UUUU]\n      [==>..]  recovery = 12.6% (25/200) finish=1.5min speed=33440K/sec\n\n\
             md2 : active raid0 sda3[0] sdb3[1]\n      300 blocks 512k chunks\n\n\
             md3 : inactive sda4[0](S)\n      400 blocks super 1.2\n\n\
             md4 : active raid1 sda5[0] sdb5[1]\n      500 blocks [2/2] [UU]\n      \tresync=PENDING\n\n\
             unused devices: <none>\n",
        )
        .unwrap();
        let shape: Vec<_> = arrays
            .iter()
            .map(|a| (a.state, a.active, a.failed, a.spare, a.required, a.synced))
            .collect();
        assert_eq!(
            shape,
            [
                (State::Active, 1, 1, 1, 2, 100),
                (State::Recovering, 4, 0, 0, 4, 25),
                (State::Active, 2, 0, 0, 2, 300),
                (State::Inactive, 0, 0, 1, 0, 400),
                (State::Resync, 2, 0, 0, 2, 0),
            ]
        );
    }

    #[test]
    fn an_array_without_its_disks_is_an_error() {
        for wrong in [
            "md0 : active raid1 sda[0]\n      x blocks [2/2] [UU]\n",
            "md0 : active raid1 sda[0]\n      100 blocks super 1.2\n",
            "md0\n",
            "md0 : active raid1 sda[0]\n   10 blocks [2/2] [UU]\n   [=>] resync = 1% finish\n",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(
            parsed("Personalities :\nunused devices: <none>\n")
                .unwrap()
                .is_empty()
        );
    }
}

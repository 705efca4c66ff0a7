//! Which device a name stands for: model, serial number and names of the device mapper, from
//! udev's database.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Device;
use crate::error::Error;
use crate::exposition::Page;
use crate::file::{Buffer, File, read_once};
use crate::root::Root;
use crate::text::{Text, printable};

/// The properties that are shown.
#[derive(Debug, Default)]
struct Properties {
    path: String,
    wwn: String,
    model: String,
    revision: String,
    scsi_serial: String,
    short_serial: String,
    serial: String,
    fs_type: String,
    fs_usage: String,
    fs_uuid: String,
    fs_version: String,
    dm_name: String,
    dm_uuid: String,
    dm_vg_name: String,
    dm_lv_name: String,
    dm_lv_layer: String,
}

impl Properties {
    /// The number printed on the disk, or what comes next to it.
    fn best_serial(&self) -> &str {
        [&self.scsi_serial, &self.short_serial]
            .into_iter()
            .find(|serial| !serial.is_empty())
            .unwrap_or(&self.serial)
    }
}

fn parse(text: Text<'_>) -> Properties {
    let mut found = Properties::default();
    for line in text.lines() {
        let line = printable(line.bytes());
        let Some((key, value)) = line.strip_prefix("E:").and_then(|p| p.split_once('=')) else {
            continue;
        };
        let property = match key {
            "ID_PATH" => &mut found.path,
            "ID_WWN" => &mut found.wwn,
            "ID_MODEL" => &mut found.model,
            "ID_REVISION" => &mut found.revision,
            "SCSI_IDENT_SERIAL" => &mut found.scsi_serial,
            "ID_SERIAL_SHORT" => &mut found.short_serial,
            "ID_SERIAL" => &mut found.serial,
            "ID_FS_TYPE" => &mut found.fs_type,
            "ID_FS_USAGE" => &mut found.fs_usage,
            "ID_FS_UUID" => &mut found.fs_uuid,
            "ID_FS_VERSION" => &mut found.fs_version,
            "DM_NAME" => &mut found.dm_name,
            "DM_UUID" => &mut found.dm_uuid,
            "DM_VG_NAME" => &mut found.dm_vg_name,
            "DM_LV_NAME" => &mut found.dm_lv_name,
            "DM_LV_LAYER" => &mut found.dm_lv_layer,
            _ => continue,
        };
        value.clone_into(property);
    }
    found
}

/// What one device is.
pub(super) struct Identity {
    name: String,
    numbers: (u64, u64),
    major: String,
    minor: String,
    database: PathBuf,
    /// Time of change and inode of the database file when it was read.
    stamp: Option<(i64, i64, u64)>,
    properties: Properties,
    rotational_file: File,
    /// `1` for a disk that turns, `0` for one that does not, empty where it is not known.
    rotational: &'static str,
}

impl Identity {
    pub(super) fn new(root: &Root, device: &Device) -> Self {
        let numbers = format!("run/udev/data/b{}:{}", device.major, device.minor);
        let queue = root
            .sys("block")
            .join(&device.name)
            .join("queue/rotational");
        Self {
            name: device.name.clone(),
            numbers: (device.major, device.minor),
            major: device.major.to_string(),
            minor: device.minor.to_string(),
            database: root.at(numbers),
            stamp: None,
            properties: Properties::default(),
            rotational_file: File::attribute(root, queue),
            rotational: "",
        }
    }

    pub(super) fn is_of(&self, device: &Device) -> bool {
        self.numbers == (device.major, device.minor) && self.name == device.name
    }

    /// Reads what may have changed. Without udev, as in a container, there is only the name.
    pub(super) fn refresh(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        let stamp = stamp(&self.database);
        if stamp != self.stamp {
            self.properties = match stamp {
                Some(_) => read_once(&self.database, |text| Ok(parse(text)))?,
                None => Properties::default(),
            };
            self.stamp = stamp;
        }
        let rotational = self.rotational_file.offered(buffer)?;
        self.rotational = match rotational.map(|text| text.trimmed()) {
            Some(b"1") => "1",
            Some(b"0") => "0",
            _ => "",
        };
        Ok(())
    }
}

fn stamp(path: &Path) -> Option<(i64, i64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.ino()))
}

/// Writes the families that describe devices.
pub(super) fn write(identities: &[Identity], page: &mut Page) {
    let mut family = page.gauge("node_disk_info", "What the device is; always 1.");
    for identity in identities {
        let found = &identity.properties;
        let labels = [
            ("device", &*identity.name),
            ("major", &identity.major),
            ("minor", &identity.minor),
            ("path", &found.path),
            ("wwn", &found.wwn),
            ("model", &found.model),
            ("serial", found.best_serial()),
            ("revision", &found.revision),
            ("rotational", identity.rotational),
        ];
        family.sample(&labels, 1_u64);
    }
    let mut family = page.gauge(
        "node_disk_filesystem_info",
        "The file system on the device; always 1.",
    );
    for identity in identities {
        let found = &identity.properties;
        if !found.fs_type.is_empty() {
            let labels = [
                ("device", &*identity.name),
                ("type", &found.fs_type),
                ("usage", &found.fs_usage),
                ("uuid", &found.fs_uuid),
                ("version", &found.fs_version),
            ];
            family.sample(&labels, 1_u64);
        }
    }
    let mut family = page.gauge(
        "node_disk_device_mapper_info",
        "What the device mapper calls the device; always 1.",
    );
    for identity in identities {
        let found = &identity.properties;
        if !found.dm_name.is_empty() {
            let labels = [
                ("device", &*identity.name),
                ("name", &found.dm_name),
                ("uuid", &found.dm_uuid),
                ("vg_name", &found.dm_vg_name),
                ("lv_name", &found.dm_lv_name),
                ("lv_layer", &found.dm_lv_layer),
            ];
            family.sample(&labels, 1_u64);
        }
    }
}

//! How long the host has been up, and which boot this is.

use std::time::Duration;

use crate::error::Error;
use crate::file::read_once;
use crate::root::Root;
use crate::stat;

/// Time since the host was started: `/proc/uptime`.
pub fn read(root: &Root) -> Result<Duration, Error> {
    read_once(&root.proc("uptime"), |text| {
        let line = text.first();
        let seconds = line.fields().float("uptime")?;
        Duration::try_from_secs_f64(seconds).map_err(|_| line.malformed("uptime"))
    })
}

/// The identity of this boot, a UUID: `/proc/sys/kernel/random/boot_id`.
pub fn boot_id(root: &Root) -> Result<String, Error> {
    read_once(&root.proc("sys/kernel/random/boot_id"), |text| {
        let word = text.word();
        let plain = word.len() == 36 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !plain {
            return Err(text.first().malformed("boot id"));
        }
        Ok(word.into_owned())
    })
}

/// When the host was started, seconds since 1970: `btime` of `/proc/stat`.
pub fn boot_time(root: &Root) -> Result<u64, Error> {
    stat::read(root).map(|stat| stat.boot_time)
}

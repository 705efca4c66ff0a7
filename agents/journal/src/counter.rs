//! journald's counter, which systemd 254 and later shows in a file that everybody may read: the id
//! and the number given last. One small read tells whether any file of that journald has news.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::Id;
use crate::bytes::{id_at, u64_at};

const LENGTH: usize = 24;

pub(crate) struct Counter {
    path: PathBuf,
    file: Option<File>,
}

impl Counter {
    pub fn new(path: PathBuf) -> Self {
        let mut counter = Self { path, file: None };
        counter.open();
        counter
    }

    /// Opens it anew, if it is another one or was not there. Asked whenever files come or go.
    pub fn open(&mut self) {
        let is_gone = |file: &File| {
            file.metadata()
                .map_or(true, |metadata| metadata.nlink() == 0)
        };
        if self.file.as_ref().is_none_or(is_gone) {
            self.file = File::open(&self.path).ok();
        }
    }

    /// The counter's id and the last number. None: there is no such file.
    pub fn read(&self) -> Option<(Id, u64)> {
        let mut bytes = [0; LENGTH];
        self.file.as_ref()?.read_exact_at(&mut bytes, 0).ok()?;
        Some((id_at(&bytes, 0)?, u64_at(&bytes, 16)?))
    }
}

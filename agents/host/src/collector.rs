//! What a collector is, and what it is given.

use std::time::{Duration, Instant};

use crate::calls::Calls;
use crate::error::Error;
use crate::exposition::Page;
use crate::file::{Buffer, File};
use crate::filters::Filters;
use crate::root::Root;
use crate::text::Text;

/// The host whose figures are read.
#[derive(Debug, Clone)]
pub struct Host {
    /// Where its `/proc` and `/sys` lie.
    pub root: Root,
    /// Its system calls.
    pub calls: Calls,
    /// Which of its mounts, disks and interfaces are shown.
    pub filters: Filters,
    /// How long a scrape waits for mounts that may hang (network, FUSE), in all.
    pub mount_deadline: Duration,
}

impl Host {
    /// The host below `root`, with the real system calls and the default filters.
    pub fn new(root: Root) -> Self {
        Self {
            root,
            calls: Calls::default(),
            filters: Filters::default(),
            mount_deadline: Duration::from_secs(1),
        }
    }
}

/// One subject: reads its files and writes its families.
///
/// An error means that nothing of what was written since the start of the call is shown. What
/// concerns one file or one line of several is noted by [`Scrape::failed`] or
/// [`Scrape::skipped`], and the rest is shown.
pub trait Collector: Send {
    /// Adds the figures of this moment to the page.
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error>;
}

/// What a collector works with during one scrape.
pub struct Scrape<'a> {
    pub(crate) page: &'a mut Page,
    pub(crate) buffer: &'a mut Buffer,
    /// `/proc/stat`, which two collectors read: it is dear on hosts with many interrupts.
    pub(crate) stat: &'a mut Shared,
    /// When whoever scrapes will have lost patience.
    pub(crate) ends: Option<Instant>,
    pub(crate) faults: Faults,
}

impl Scrape<'_> {
    /// Notes that a part of the subject could not be read, which makes the collector's success 0.
    pub(crate) fn failed(&mut self, error: Error) {
        self.faults.failed += 1;
        self.faults.first.get_or_insert(error);
    }

    /// Notes a single sensor or mount that could not be read, which is usual for some hardware.
    pub(crate) fn skipped(&mut self, error: Error) {
        self.faults.skipped += 1;
        self.faults.first.get_or_insert(error);
    }

    /// The value, or nothing and a note of the failed part. A part that the host does not have
    /// is no failure.
    pub(crate) fn part<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) if error.is_missing_file() || error.is_no_data() => None,
            Err(error) => {
                self.failed(error);
                None
            }
        }
    }
}

/// What did not work during one run of a collector.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
    pub(crate) first: Option<Error>,
}

/// A file that is read at most once per scrape.
#[derive(Debug)]
pub(crate) struct Shared {
    file: File,
    buffer: Buffer,
    length: Option<usize>,
}

impl Shared {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            buffer: Buffer::new(),
            length: None,
        }
    }

    /// Begins a new scrape.
    pub(crate) fn forget(&mut self) {
        self.length = None;
    }

    /// What the file held when it was first asked for in this scrape.
    pub(crate) fn read(&mut self) -> Result<Text<'_>, Error> {
        if let Some(length) = self.length {
            return Ok(self.buffer.text(self.file.path(), length));
        }
        let text = self.file.read(&mut self.buffer)?;
        self.length = Some(text.bytes().len());
        Ok(text)
    }
}

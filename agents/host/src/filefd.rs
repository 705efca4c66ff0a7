//! Open files of the whole system: `/proc/sys/fs/file-nr`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::Text;

/// Open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileHandles {
    /// In use.
    pub allocated: u64,
    /// How many there may be.
    pub maximum: u64,
}

/// Reads the counts now.
pub fn read(root: &Root) -> Result<FileHandles, Error> {
    read_once(&root.proc("sys/fs/file-nr"), parse)
}

fn parse(text: Text<'_>) -> Result<FileHandles, Error> {
    let mut fields = text.first().fields();
    let allocated = fields.number("allocated files")?;
    fields.number("free files")?;
    Ok(FileHandles {
        allocated,
        maximum: fields.number("maximum of files")?,
    })
}

pub(crate) struct FileHandlesCollector(File);

impl FileHandlesCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let path = host.root.proc("sys/fs/file-nr");
        Box::new(Self(File::attribute(&host.root, path)))
    }
}

impl Collector for FileHandlesCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let files = parse(self.0.read(scrape.buffer)?)?;
        let page = &mut *scrape.page;
        page.gauge("node_filefd_allocated", "Open files of the whole system.")
            .value(files.allocated);
        page.gauge(
            "node_filefd_maximum",
            "How many files the whole system may have open.",
        )
        .value(files.maximum);
        Ok(())
    }
}

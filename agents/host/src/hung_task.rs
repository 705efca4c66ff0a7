//! Tasks that the kernel found hung: `/proc/sys/kernel/hung_task_detect_count` (Linux 6.15).

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::File;

pub(crate) struct HungTaskCollector(File);

impl HungTaskCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let path = host.root.proc("sys/kernel/hung_task_detect_count");
        Box::new(Self(File::attribute(&host.root, path)))
    }
}

impl Collector for HungTaskCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self
            .0
            .read(scrape.buffer)
            .map_err(|error| error.or_no_data("count of hung tasks"))?;
        let count = text.number("hung tasks")?;
        scrape
            .page
            .counter(
                "node_kernel_hung_tasks_total",
                "Tasks that the kernel found hung since boot.",
            )
            .value(count);
        Ok(())
    }
}

//! What the kernel calls itself: `uname(2)`.

use crate::calls::Uname;
use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;

/// Name, release and host name of the kernel.
pub fn read(host: &Host) -> Uname {
    (host.calls.uname)()
}

pub(crate) struct UnameCollector(fn() -> Uname);

impl UnameCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(host.calls.uname))
    }
}

impl Collector for UnameCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let uname = (self.0)();
        let labels = [
            ("sysname", &*uname.system),
            ("release", &uname.release),
            ("version", &uname.version),
            ("machine", &uname.machine),
            ("nodename", &uname.node),
            ("domainname", &uname.domain),
        ];
        scrape
            .page
            .gauge(
                "node_uname_info",
                "What the kernel calls itself and the host; always 1.",
            )
            .sample(&labels, 1_u64);
        Ok(())
    }
}

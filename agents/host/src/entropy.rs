//! The kernel's pool of entropy: `/proc/sys/kernel/random`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;

/// Entropy in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entropy {
    /// In the pool.
    pub available: u64,
    /// What the pool holds at most.
    pub pool_size: u64,
}

const AVAILABLE: &str = "sys/kernel/random/entropy_avail";
const POOL_SIZE: &str = "sys/kernel/random/poolsize";

/// Reads the pool now.
pub fn read(root: &Root) -> Result<Entropy, Error> {
    Ok(Entropy {
        available: read_once(&root.proc(AVAILABLE), |text| text.number("entropy"))?,
        pool_size: read_once(&root.proc(POOL_SIZE), |text| text.number("pool size"))?,
    })
}

pub(crate) struct EntropyCollector {
    available: File,
    pool_size: File,
}

impl EntropyCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let file = |name| File::attribute(&host.root, host.root.proc(name));
        Box::new(Self {
            available: file(AVAILABLE),
            pool_size: file(POOL_SIZE),
        })
    }
}

impl Collector for EntropyCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let available = self.available.read(scrape.buffer)?.number("entropy")?;
        let pool_size = self.pool_size.read(scrape.buffer)?.number("pool size")?;
        let page = &mut *scrape.page;
        page.gauge(
            "node_entropy_available_bits",
            "Entropy in the kernel's pool, in bits.",
        )
        .value(available);
        page.gauge(
            "node_entropy_pool_size_bits",
            "What the kernel's pool of entropy holds at most, in bits.",
        )
        .value(pool_size);
        Ok(())
    }
}

//! Bonded network interfaces: `/sys/class/net/bonding_masters`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{Buffer, File};
use crate::root::Root;

struct Bond {
    name: String,
    slaves: u64,
    active: u64,
}

pub(crate) struct BondingCollector {
    root: Root,
    masters: File,
}

impl BondingCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let path = host.root.sys("class/net/bonding_masters");
        Box::new(Self {
            root: host.root.clone(),
            masters: File::attribute(&host.root, path),
        })
    }

    fn bond(&self, name: &str, buffer: &mut Buffer) -> Result<Bond, Error> {
        let directory = self.root.sys("class/net").join(name);
        let mut file = File::replaced(&self.root, directory.join("bonding/slaves"));
        let slaves = file.read(buffer)?.word().into_owned();
        let mut bond = Bond {
            name: name.to_owned(),
            slaves: 0,
            active: 0,
        };
        for slave in slaves.split_ascii_whitespace() {
            // Old kernels name the link `slave_` instead.
            let state = |prefix: &str| {
                let link = directory.join(format!("{prefix}_{slave}"));
                File::replaced(&self.root, link.join("bonding_slave/mii_status"))
            };
            let (mut file, mut old) = (state("lower"), state("slave"));
            let up = match file.offered(buffer)? {
                Some(text) => text.trimmed() == b"up",
                None => old.read(buffer)?.trimmed() == b"up",
            };
            bond.slaves += 1;
            bond.active += u64::from(up);
        }
        Ok(bond)
    }
}

impl Collector for BondingCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let names = self
            .masters
            .read(scrape.buffer)
            .map_err(|error| error.or_no_data("bonded interface"))?
            .word()
            .into_owned();
        let mut bonds = Vec::new();
        for name in names.split_ascii_whitespace() {
            match self.bond(name, scrape.buffer) {
                Ok(bond) => bonds.push(bond),
                Err(error) => scrape.failed(error),
            }
        }
        let mut family = scrape
            .page
            .gauge("node_bonding_slaves", "Interfaces that belong to the bond.");
        for bond in &bonds {
            family.sample(&[("master", &*bond.name)], bond.slaves);
        }
        let mut family = scrape.page.gauge(
            "node_bonding_active",
            "Interfaces of the bond whose link is up.",
        );
        for bond in &bonds {
            family.sample(&[("master", &*bond.name)], bond.active);
        }
        Ok(())
    }
}

//! How often processors were slowed down by heat:
//! `/sys/devices/system/cpu/cpu*/thermal_throttle`.

use std::collections::BTreeMap;

use crate::collector::Scrape;
use crate::directory::Directory;
use crate::error::Error;
use crate::file::{Buffer, File};
use crate::root::Root;

/// The throttling counters, a part of the collector `cpu`.
pub(crate) struct Throttles {
    root: Root,
    directory: Directory,
    cores: Vec<(Label, File)>,
    packages: Vec<(Label, File)>,
}

/// Package and core, as labels.
struct Label {
    package: String,
    core: String,
}

impl Throttles {
    pub(crate) fn new(root: &Root) -> Self {
        Self {
            root: root.clone(),
            directory: Directory::new(root.sys("devices/system/cpu")),
            cores: Vec::new(),
            packages: Vec::new(),
        }
    }

    /// Writes the counters where the hardware has them.
    pub(crate) fn collect(&mut self, scrape: &mut Scrape<'_>) {
        let changed = self.directory.refresh();
        match scrape.part(changed) {
            None => return,
            Some(true) => {
                let found = self.find(scrape.buffer);
                scrape.part(found);
            }
            Some(false) => {}
        }
        write(
            &mut self.cores,
            scrape,
            "node_cpu_core_throttles_total",
            "How often each core was slowed down by heat.",
            true,
        );
        write(
            &mut self.packages,
            scrape,
            "node_cpu_package_throttles_total",
            "How often each processor package was slowed down by heat.",
            false,
        );
    }

    /// One counter per core and one per package, whatever the number of hardware threads.
    fn find(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        let mut cores = BTreeMap::new();
        let mut packages = BTreeMap::new();
        for name in self.directory.names() {
            let digits = name.strip_prefix("cpu").unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let cpu = self.directory.path().join(name);
            let mut number = |file: &str| -> Result<Option<u64>, Error> {
                let mut file = File::attribute(&self.root, cpu.join("topology").join(file));
                file.offered(buffer)?
                    .map(|text| text.number("topology"))
                    .transpose()
            };
            let (Some(package), Some(core)) = (number("physical_package_id")?, number("core_id")?)
            else {
                continue;
            };
            let throttle = cpu.join("thermal_throttle");
            for (counters, key, file) in [
                (&mut cores, (package, core), "core_throttle_count"),
                (&mut packages, (package, 0), "package_throttle_count"),
            ] {
                let path = throttle.join(file);
                if !counters.contains_key(&key) && path.is_file() {
                    counters.insert(key, File::attribute(&self.root, path));
                }
            }
        }
        let labelled = |map: BTreeMap<(u64, u64), File>| {
            map.into_iter()
                .map(|((package, core), file)| {
                    let label = Label {
                        package: package.to_string(),
                        core: core.to_string(),
                    };
                    (label, file)
                })
                .collect()
        };
        self.cores = labelled(cores);
        self.packages = labelled(packages);
        Ok(())
    }
}

fn write(
    counters: &mut [(Label, File)],
    scrape: &mut Scrape<'_>,
    name: &str,
    help: &str,
    by_core: bool,
) {
    let mut failed = Vec::new();
    let mut family = scrape.page.counter(name, help);
    for (label, file) in counters {
        let read = file
            .offered(scrape.buffer)
            .and_then(|text| text.map(|text| text.number("throttle count")).transpose());
        let labels = [("package", &*label.package), ("core", &*label.core)];
        match read {
            Ok(Some(count)) if by_core => family.sample(&labels, count),
            Ok(Some(count)) => family.sample(&labels[..1], count),
            Ok(None) => {}
            Err(error) => failed.push(error),
        }
    }
    for error in failed {
        scrape.failed(error);
    }
}

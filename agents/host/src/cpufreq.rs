//! Clock frequencies of the processors: `/sys/devices/system/cpu/cpu*/cpufreq`.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::file::File;
use crate::root::Root;

/// File, family, help; the files give kHz.
const FREQUENCIES: [(&str, &str, &str); 7] = [
    (
        "cpuinfo_cur_freq",
        "node_cpu_frequency_hertz",
        "Frequency of the processor as the hardware says.",
    ),
    (
        "cpuinfo_avg_freq",
        "node_cpu_frequency_avg_hertz",
        "Average frequency of the processor as the hardware says.",
    ),
    (
        "cpuinfo_min_freq",
        "node_cpu_frequency_min_hertz",
        "Lowest frequency that the hardware allows.",
    ),
    (
        "cpuinfo_max_freq",
        "node_cpu_frequency_max_hertz",
        "Highest frequency that the hardware allows.",
    ),
    (
        "scaling_cur_freq",
        "node_cpu_scaling_frequency_hertz",
        "Frequency of the processor as the governor set it.",
    ),
    (
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Lowest frequency that the governor may set.",
    ),
    (
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Highest frequency that the governor may set.",
    ),
];

struct Cpu {
    number: String,
    frequencies: [File; FREQUENCIES.len()],
    governor: File,
    governors: File,
}

pub(crate) struct CpuFreqCollector {
    root: Root,
    directory: Directory,
    cpus: Vec<Cpu>,
}

impl CpuFreqCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            directory: Directory::new(host.root.sys("devices/system/cpu")),
            cpus: Vec::new(),
        })
    }

    fn follow_cpus(&mut self) -> Result<(), Error> {
        let changed = self.directory.refresh();
        if !changed.map_err(|error| error.or_no_data("processor frequency"))? {
            return Ok(());
        }
        self.cpus.clear();
        for name in self.directory.names() {
            let path = self.directory.path().join(name).join("cpufreq");
            let number = match name.strip_prefix("cpu") {
                Some(number) if path.is_dir() => number,
                _ => continue,
            };
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let file = |name: &str| File::attribute(&self.root, path.join(name));
            self.cpus.push(Cpu {
                number: number.to_owned(),
                frequencies: FREQUENCIES.map(|(name, ..)| file(name)),
                governor: file("scaling_governor"),
                governors: file("scaling_available_governors"),
            });
        }
        Ok(())
    }

    fn write_governors(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut family = scrape.page.gauge(
            "node_cpu_scaling_governor",
            "Whether the governor is the one in use: 1 yes, 0 no.",
        );
        for cpu in &mut self.cpus {
            let used = match cpu.governor.offered(scrape.buffer)? {
                Some(text) => text.word().into_owned(),
                None => continue,
            };
            let Some(text) = cpu.governors.offered(scrape.buffer)? else {
                continue;
            };
            for governor in text.word().split_ascii_whitespace() {
                let labels = [("cpu", &*cpu.number), ("governor", governor)];
                family.sample(&labels, governor == used);
            }
        }
        Ok(())
    }
}

impl Collector for CpuFreqCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.follow_cpus()?;
        // As with node_exporter, a machine without frequencies is no failure.
        if self.cpus.is_empty() {
            return Ok(());
        }
        let mut failed = Vec::new();
        for (at, (_, name, help)) in FREQUENCIES.into_iter().enumerate() {
            let mut family = scrape.page.gauge(name, help);
            for cpu in &mut self.cpus {
                let read = cpu.frequencies[at].offered(scrape.buffer);
                match read.and_then(|text| text.map(|text| text.number("frequency")).transpose()) {
                    Ok(Some(khz)) => {
                        family.sample(&[("cpu", &*cpu.number)], khz.saturating_mul(1000));
                    }
                    Ok(None) => {}
                    Err(error) => failed.push(error),
                }
            }
        }
        let governors = self.write_governors(scrape);
        failed.extend(governors.err());
        for error in failed {
            scrape.failed(error);
        }
        Ok(())
    }
}

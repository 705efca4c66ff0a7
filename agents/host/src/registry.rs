//! The list of all collectors, and a set of them that makes pages.

use std::time::{Duration, Instant};

use crate::collector::{Collector, Faults, Host, Scrape, Shared};
use crate::error::Error;
use crate::exposition::Page;
use crate::file::{Buffer, File};

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
pub struct Registration {
    /// The name, as node_exporter calls it where it has the same.
    pub name: &'static str,
    /// What is read.
    pub about: &'static str,
    /// It runs unless it is switched off; the others cost more than the rest of a page.
    pub default_enabled: bool,
    build: fn(&Host) -> Box<dyn Collector>,
}

const fn on(
    name: &'static str,
    about: &'static str,
    build: fn(&Host) -> Box<dyn Collector>,
) -> Registration {
    Registration {
        name,
        about,
        default_enabled: true,
        build,
    }
}

const fn off(
    name: &'static str,
    about: &'static str,
    build: fn(&Host) -> Box<dyn Collector>,
) -> Registration {
    Registration {
        default_enabled: false,
        ..on(name, about, build)
    }
}

/// Every collector there is, in the order of the page.
#[rustfmt::skip]
pub const REGISTRY: &[Registration] = &[
    on("arp", "neighbours in the ARP table", crate::arp::ArpCollector::boxed),
    on("bonding", "bonded network interfaces", crate::bonding::BondingCollector::boxed),
    on("conntrack", "tracked connections", crate::conntrack::ConntrackCollector::boxed),
    on("cpu", "time of the processors by mode", crate::cpu::CpuCollector::boxed),
    on("cpufreq", "clock frequencies of the processors", crate::cpufreq::CpuFreqCollector::boxed),
    on("diskstats", "input and output of block devices", crate::disk::DiskCollector::boxed),
    on("entropy", "the kernel's pool of entropy", crate::entropy::EntropyCollector::boxed),
    on("filefd", "open files of the whole system", crate::filefd::FileHandlesCollector::boxed),
    on("filesystem", "space and flags of mounted file systems", crate::filesystem::FilesystemCollector::boxed),
    on("hwmon", "temperatures, fans and voltages of all chips", crate::hwmon::HwmonCollector::boxed),
    off("interrupts", "interrupts by source and processor", crate::interrupts::InterruptsCollector::boxed),
    on("kernel_hung", "tasks that the kernel found hung", crate::hung_task::HungTaskCollector::boxed),
    on("loadavg", "load averages", crate::load::LoadCollector::boxed),
    on("mdadm", "software RAID", crate::md::MdCollector::boxed),
    on("meminfo", "memory and swap", crate::memory::MemoryCollector::boxed),
    on("netclass", "properties of network interfaces", crate::netclass::NetClassCollector::boxed),
    on("netdev", "traffic of network interfaces", crate::network::NetworkCollector::boxed),
    on("netstat", "counters of the network protocols", crate::netstat::NetstatCollector::boxed),
    on("os", "the operating system", crate::os_release::OsReleaseCollector::boxed),
    on("powersupplyclass", "batteries and mains adapters", crate::power_supply::PowerSupplyCollector::boxed),
    on("pressure", "pressure stall information", crate::pressure::PressureCollector::boxed),
    on("processes", "counts and limits of processes and threads", crate::processes::ProcessesCollector::boxed),
    off("process_states", "processes by state", crate::processes::ProcessStatesCollector::boxed),
    on("schedstat", "time that tasks ran and waited", crate::schedstat::SchedstatCollector::boxed),
    on("sockstat", "sockets in use", crate::sockstat::SockstatCollector::boxed),
    on("softnet", "packets that each processor handled", crate::softnet::SoftnetCollector::boxed),
    on("stat", "interrupts, context switches, forks, boot time", crate::stat::StatCollector::boxed),
    off("tcpstat", "TCP connections by state", crate::tcp::TcpCollector::boxed),
    on("thermal_zone", "thermal zones and cooling devices", crate::thermal::ThermalCollector::boxed),
    on("time", "the time of day and the clock's source", crate::time::TimeCollector::boxed),
    on("timex", "the kernel's clock discipline", crate::timex::TimexCollector::boxed),
    on("udp_queues", "bytes that wait in UDP sockets", crate::udp::UdpCollector::boxed),
    on("uname", "what the kernel calls itself", crate::kernel::UnameCollector::boxed),
    on("vmstat", "paging, swapping, out-of-memory kills", crate::vmstat::VmstatCollector::boxed),
];

/// How a collector fared in one scrape.
#[derive(Debug)]
pub struct Report {
    /// The collector's name.
    pub name: &'static str,
    /// How long it took.
    pub duration: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// Single sensors or mounts that were left out, which is usual for some hardware.
    pub skipped: u32,
    /// The first thing that did not work, for the log.
    pub fault: Option<Error>,
}

/// What came of a collector's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that the host has is on the page.
    Complete,
    /// Some files or lines could not be read; the rest is on the page.
    Partial,
    /// This host has nothing of the kind.
    NoData,
    /// Nothing could be read; nothing is on the page.
    Failed,
}

impl Report {
    /// The value of `node_scrape_collector_success`.
    pub fn success(&self) -> bool {
        self.outcome == Outcome::Complete
    }
}

/// A name that [`REGISTRY`] does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no collector {0:?}")]
pub struct UnknownCollector(pub String);

/// A set of collectors, which keeps their files open from scrape to scrape.
pub struct Collectors {
    members: Vec<(&'static str, Box<dyn Collector>)>,
    buffer: Buffer,
    stat: Shared,
    reports: Vec<Report>,
}

impl Collectors {
    /// The collectors that are on by default.
    pub fn new(host: &Host) -> Self {
        Self::chosen(host, |entry| entry.default_enabled)
    }

    /// The default ones with those in `enable` and without those in `disable`.
    pub fn select<S: AsRef<str>>(
        host: &Host,
        enable: &[S],
        disable: &[S],
    ) -> Result<Self, UnknownCollector> {
        for name in enable.iter().chain(disable) {
            if !REGISTRY.iter().any(|entry| entry.name == name.as_ref()) {
                return Err(UnknownCollector(name.as_ref().to_owned()));
            }
        }
        let named = |names: &[S], entry: &Registration| {
            names.iter().any(|name| name.as_ref() == entry.name)
        };
        Ok(Self::chosen(host, |entry| {
            !named(disable, entry) && (entry.default_enabled || named(enable, entry))
        }))
    }

    fn chosen(host: &Host, wanted: impl Fn(&Registration) -> bool) -> Self {
        let members = REGISTRY
            .iter()
            .filter(|entry| wanted(entry))
            .map(|entry| (entry.name, (entry.build)(host)))
            .collect();
        Self {
            members,
            buffer: Buffer::new(),
            stat: Shared::new(File::listing(&host.root, host.root.proc("stat"))),
            reports: Vec::new(),
        }
    }

    /// The names of the set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|(name, _)| *name)
    }

    /// Adds the figures of this moment to the page, and says how each collector fared. Nothing
    /// that may hang is waited for beyond `ends`.
    pub fn collect(&mut self, page: &mut Page, ends: Option<Instant>) -> &[Report] {
        self.stat.forget();
        self.reports.clear();
        for (name, collector) in &mut self.members {
            let started = Instant::now();
            let mark = page.mark();
            let mut scrape = Scrape {
                page: &mut *page,
                buffer: &mut self.buffer,
                stat: &mut self.stat,
                ends,
                faults: Faults::default(),
            };
            let result = collector.collect(&mut scrape);
            let Faults {
                failed,
                skipped,
                first,
            } = scrape.faults;
            let outcome = match &result {
                Ok(()) if failed == 0 => Outcome::Complete,
                Ok(()) => Outcome::Partial,
                Err(error) if error.is_no_data() => Outcome::NoData,
                Err(_) => Outcome::Failed,
            };
            if result.is_err() {
                page.rewind(mark);
            }
            self.reports.push(Report {
                name,
                duration: started.elapsed(),
                outcome,
                skipped,
                fault: result.err().or(first),
            });
        }
        &self.reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Format;
    use crate::root::Root;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = REGISTRY.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REGISTRY.len());
    }

    #[test]
    fn a_set_can_be_moved_to_a_thread_of_its_own() {
        let host = Host::new(Root::new("/nonexistent"));
        let mut collectors = Collectors::new(&host);
        let failed = std::thread::spawn(move || {
            let mut page = Page::new(Format::Text);
            let reports = collectors.collect(&mut page, None).iter();
            reports.filter(|report| !report.success()).count()
        });
        assert!(failed.join().unwrap() > 20);
    }

    #[test]
    fn collectors_are_chosen_by_name() {
        let host = Host::new(Root::new("/nonexistent"));
        let chosen = Collectors::select(&host, &["tcpstat"], &["arp"]).unwrap();
        assert!(chosen.names().any(|name| name == "tcpstat"));
        assert!(!chosen.names().any(|name| name == "arp"));
        let error = Collectors::select(&host, &["nope"], &[]).err().unwrap();
        assert_eq!(error.to_string(), "there is no collector \"nope\"");
    }

    #[test]
    fn an_empty_host_gives_no_figure_that_is_read_from_files() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(Root::new(tree.path()));
        let mut collectors = Collectors::chosen(&host, |_| true);
        let mut page = Page::new(Format::Text);
        for report in collectors.collect(&mut page, None) {
            let by_call = matches!(report.name, "time" | "timex" | "uname");
            assert_eq!(report.success(), by_call, "{report:?}");
        }
        let text = String::from_utf8(page.finish().to_vec()).unwrap();
        let other = text.lines().find(|line| {
            !["# ", "node_time", "node_uname_info"]
                .iter()
                .any(|start| line.starts_with(start))
        });
        assert_eq!(other, None);
    }
}

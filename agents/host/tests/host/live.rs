//! Our page beside that of a real node_exporter: of the fixture hosts, where every value must be
//! the same, and of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use roundsman_host::exposition::parse::{Limits, parse};
use roundsman_host::exposition::{Format, Kind, Page};
use roundsman_host::{Host, Root};
use roundsman_tests::{Process, skipped};

use crate::fixture::{NAMES, all_collectors, labels, page, tree};

const PROGRAM: &str = "prometheus-node-exporter";

/// What node_exporter 1.12 does by default, for an older or a patched one.
const AS_UPSTREAM: [&str; 5] = [
    "--collector.netdev.device-exclude=",
    r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "--collector.processes",
    "--collector.interrupts",
];

/// Families of its that we leave to others or leave out, by their start.
const NOT_SERVED: [&str; 12] = [
    "node_exporter_build_info", // the exporter's
    "node_scrape_",             // the exporter's
    "node_textfile_",           // the exporter's
    "node_systemd_",            // the exporter's
    "node_processes_threads_state",
    "node_selinux_",
    "node_dmi_",
    "node_nvme_",
    "node_edac_",
    "node_time_zone_offset_seconds",
    "node_disk_ata_",
    "node_xfs_",
];

/// Families that version 1.5 did not have yet, by their start; node_exporter 1.12 has all but
/// the first, which the dashboard "Node Exporter Full" asks for.
const NEWER: [&str; 14] = [
    "node_netstat_Tcp_MaxConn",
    "node_netstat_TcpExt_TCPOFOQueue",
    "node_netstat_TcpExt_TCPRcvQDrop",
    "node_cpu_frequency_avg_hertz",
    "node_cpu_scaling_governor",
    "node_filesystem_mount_info",
    "node_hwmon_freq_freq_mhz",
    "node_kernel_hung_tasks_total",
    "node_md_degraded",
    "node_md_raid_disks",
    "node_network_receive_nohandler_total",
    "node_os_support_end_timestamp_seconds",
    "node_pressure_irq_stalled_seconds_total",
    "node_softnet_",
];

/// Labels that version 1.5 did not have, or filled from elsewhere.
const NEWER_LABELS: [&str; 4] = ["adminstate", "device_error", "rotational", "serial"];

type Labels = Vec<(String, String)>;

#[derive(Default)]
struct Seen {
    kinds: BTreeMap<String, Kind>,
    samples: BTreeMap<(String, Labels), f64>,
}

fn seen(text: &str) -> Seen {
    let mut seen = Seen::default();
    for family in parse(text.as_bytes(), &Limits::default()).unwrap() {
        if !family.name.starts_with("node_") {
            continue;
        }
        for sample in &family.samples {
            // A link of unknown speed is -125000 bytes per second fast to it, and absent to us.
            if family.name == "node_network_speed_bytes" && sample.value.starts_with('-') {
                continue;
            }
            seen.kinds.insert(family.name.to_owned(), family.kind);
            let mut labels = labels(&sample.labels);
            labels.retain(|(name, _)| !NEWER_LABELS.contains(&&**name));
            labels.sort_unstable();
            let key = (sample.name.to_owned(), labels);
            seen.samples.insert(key, sample.value.parse().unwrap());
        }
    }
    seen
}

/// A running node_exporter. Its socket listens before it starts, so nothing waits for it.
struct Peer {
    address: SocketAddr,
    _process: Process,
}

impl Peer {
    /// `None`, and a recorded skip, where it is not installed.
    fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        if Command::new(PROGRAM).arg("--version").output().is_err() {
            skipped::test(test, &format!("{PROGRAM} is not installed"));
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"",
                "sh",
            ])
            .args([PROGRAM, "--web.systemd-socket"])
            .args(AS_UPSTREAM)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(listener)));
        Some(Self {
            address,
            _process: Process::spawn(&mut command, None).unwrap(),
        })
    }

    fn scrape(&self) -> Seen {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        seen(body)
    }
}

fn starts_with_any(name: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| name.starts_with(start))
}

/// Families and series that only one of both has, and types that differ.
fn differences(ours: &Seen, theirs: &Seen, known: fn(&str, &Labels) -> bool) -> String {
    let mut found = String::new();
    let names: BTreeSet<_> = ours.kinds.keys().chain(theirs.kinds.keys()).collect();
    for name in names {
        match (ours.kinds.get(name), theirs.kinds.get(name)) {
            (Some(a), Some(b)) if a != b => writeln!(found, "{name}: {a:?}, theirs {b:?}"),
            (None, _) if !starts_with_any(name, &NOT_SERVED) => writeln!(found, "lacks {name}"),
            (_, None) if !starts_with_any(name, &NEWER) => writeln!(found, "only ours: {name}"),
            _ => Ok(()),
        }
        .unwrap();
    }
    let keys: BTreeSet<_> = ours.samples.keys().chain(theirs.samples.keys()).collect();
    for key @ (name, labels) in keys {
        let in_both = ours.kinds.contains_key(name) && theirs.kinds.contains_key(name);
        if in_both && !known(name, labels) {
            match (ours.samples.get(key), theirs.samples.get(key)) {
                (None, Some(value)) => writeln!(found, "lacks {key:?} {value}").unwrap(),
                (Some(value), None) => writeln!(found, "only ours: {key:?} {value}").unwrap(),
                _ => {}
            }
        }
    }
    found
}

/// States in which nothing is are shown by us only.
fn is_state_count(name: &str) -> bool {
    matches!(name, "node_processes_state" | "node_tcp_connection_states")
}

#[test]
fn node_exporter_says_the_same_of_the_fixture_hosts() {
    for host in NAMES {
        let tree = tree(host);
        let below =
            |option: &str, path: &str| format!("--path.{option}={}", tree.join(path).display());
        let paths = [
            below("procfs", "proc"),
            below("sysfs", "sys"),
            below("rootfs", ""),
            below("udev.data", "run/udev/data"),
        ];
        let mut arguments: Vec<_> = paths.iter().map(String::as_str).collect();
        arguments.extend([
            "--no-collector.netdev.netlink",
            // These ask the machine and not the tree.
            "--no-collector.filesystem",
            "--no-collector.uname",
        ]);
        let Some(peer) = Peer::start("host: node_exporter on fixtures", &arguments) else {
            return;
        };
        let theirs = peer.scrape();
        let mut ours = seen(&page(&tree, Format::Text).0);
        let of_the_machine = ["node_filesystem_", "node_tcp_", "node_uname_"];
        ours.kinds
            .retain(|name, _| !starts_with_any(name, &of_the_machine));
        let found = differences(&ours, &theirs, |name, labels| {
            // Chips of one device have different labels since 1.12, frequencies are sensors.
            let newer = |(_, value): &(String, String)| {
                value.starts_with("platform_asus_nb_wmi") || value == "freq1"
            };
            is_state_count(name) || labels.iter().any(newer)
        });
        assert!(found.is_empty(), "{host}:\n{found}");
        let mut compared = 0;
        for (key, value) in &ours.samples {
            // The clock is the machine's; threads are counted over all, not over the visible.
            let other = ["node_timex_", "node_time_seconds", "node_processes_threads"];
            let Some(theirs) = theirs.samples.get(key) else {
                continue;
            };
            if !starts_with_any(&key.0, &other) {
                let off = (value - theirs).abs();
                assert!(
                    off <= 1e-9 * value.abs(),
                    "{host}: {key:?} {value}, theirs {theirs}"
                );
                compared += 1;
            }
        }
        println!("{host}: {compared} values are the same");
        assert!(
            compared > 300,
            "{host}: only {compared} values were compared"
        );
    }
}

fn our_page() -> Seen {
    let mut page = Page::new(Format::Text);
    all_collectors(&Host::new(Root::new(Path::new("/")))).collect(&mut page, None);
    seen(std::str::from_utf8(page.finish()).unwrap())
}

/// Figures that move to and fro between two looks.
const RESTLESS: [&str; 19] = [
    "node_arp_",
    "node_cpu_scaling_frequency_hertz",
    "node_disk_io_now",
    "node_entropy_",
    "node_filefd_allocated",
    "node_hwmon_",
    "node_load",
    "node_memory_",
    "node_netstat_Tcp_CurrEstab",
    "node_nf_conntrack_",
    "node_power_supply_",
    "node_processes_",
    "node_procs_",
    "node_sockstat_",
    "node_softnet_backlog_len",
    "node_tcp_",
    "node_thermal_",
    "node_timex_",
    "node_udp_",
];

/// Each value of theirs lies between ours before and ours after.
#[test]
fn node_exporter_says_the_same_of_this_machine() {
    let Some(peer) = Peer::start("host: node_exporter", &["--collector.tcpstat"]) else {
        return;
    };
    let before = our_page();
    let theirs = peer.scrape();
    let after = our_page();
    let found = differences(&after, &theirs, |name, labels| {
        let comes_and_goes = ["node_arp_", "node_interrupts_"];
        // Processes of this test's neighbours may mount and unmount.
        let foreign_mount = name.starts_with("node_filesystem_")
            && labels.iter().any(|(_, value)| value.contains("/.tmp"));
        is_state_count(name) || starts_with_any(name, &comes_and_goes) || foreign_mount
    });
    assert!(found.is_empty(), "{found}");
    let mut compared = 0;
    for (key, first) in &before.samples {
        let (Some(last), Some(theirs)) = (after.samples.get(key), theirs.samples.get(key)) else {
            continue;
        };
        if starts_with_any(&key.0, &RESTLESS) {
            continue;
        }
        // Free space and inodes can go down and up again in between.
        let slack = 1e-3 * first.abs().max(last.abs());
        let range = first.min(*last) - slack..=first.max(*last) + slack;
        assert!(
            range.contains(theirs),
            "{key:?} {first} {last}, theirs {theirs}"
        );
        compared += 1;
    }
    println!("{compared} values agree");
    assert!(compared > 150, "only {compared} values were compared");
}

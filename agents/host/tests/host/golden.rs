//! The pages of the fixture hosts, line by line, and the typed readings of the same files.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use roundsman_host::exposition::parse::{Limits, parse};
use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Root, cpu, disk, filesystem, hwmon, md, memory, network, pressure};
use roundsman_host::{conntrack, entropy, filefd, load, os_release, uptime, vmstat};
use roundsman_tests::{Process, skipped};

use crate::fixture::{NAMES, all_collectors, compare, host, page, tree};

#[test]
fn the_pages_are_as_expected() {
    for name in NAMES {
        let tree = tree(name);
        let (text, reports) = page(&tree, Format::Text);
        compare(&tree.join("page.txt"), &text);
        compare(&tree.join("reports.txt"), &reports);
        let (openmetrics, _) = page(&tree, Format::OpenMetrics);
        compare(&tree.join("page.openmetrics.txt"), &openmetrics);
    }
}

#[test]
fn a_page_holds_each_family_and_each_series_once() {
    for name in NAMES {
        let (text, _) = page(&tree(name), Format::Text);
        let families = parse(text.as_bytes(), &Limits::default()).unwrap();
        let mut heads = HashSet::new();
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            assert!(heads.insert(line.split(' ').nth(2)), "{name}: {line}");
        }
        assert_eq!(heads.len(), families.len());
        for family in &families {
            assert!(
                !family.help.is_empty(),
                "{name}: {} has no help",
                family.name
            );
        }
    }
}

/// Names that are asked for and that the program which serves the page adds itself, and one that
/// the dashboard misspells: node_exporter's has `_total` too.
const OF_OTHERS: [&str; 6] = [
    "node_exporter_build_info",
    "node_kernel_hung_tasks",
    "node_scrape_collector_",
    "node_systemd_",
    "node_textfile_",
    "process_",
];

#[test]
fn every_name_that_dashboards_and_alerts_ask_for_is_there() {
    let asked = fs::read_to_string(tree("names.txt")).unwrap();
    let mut there = HashSet::new();
    for name in NAMES {
        let (text, _) = page(&tree(name), Format::Text);
        let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        there.extend(heads.filter_map(|head| Some(head.split_once(' ')?.0.to_owned())));
    }
    let missing: Vec<_> = asked
        .lines()
        .filter(|name| !name.starts_with('#') && !there.contains(*name))
        .filter(|name| !OF_OTHERS.iter().any(|start| name.starts_with(start)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// OpenMetrics forbids what text 0.0.4 allows: `x_total` of one family and `x` of another.
#[test]
fn no_two_families_clash_in_openmetrics() {
    for name in NAMES {
        let (text, _) = page(&tree(name), Format::OpenMetrics);
        let heads: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|head| head.split_once(' ').unwrap())
            .collect();
        let names: HashSet<_> = heads.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), heads.len());
        for (name, kind) in &heads {
            assert!(*kind != "counter" || !name.ends_with("_total"), "{name}");
            for suffix in ["_total", "_created", "_count", "_sum", "_bucket"] {
                assert!(
                    !names.contains(&*format!("{name}{suffix}")),
                    "{name}{suffix}"
                );
            }
        }
        assert!(text.ends_with("\n# EOF\n"));
    }
}

#[test]
fn a_second_scrape_of_the_same_host_gives_the_same_page() {
    for name in NAMES {
        let host = host(&tree(name));
        let mut collectors = all_collectors(&host);
        let mut page = Page::new(Format::Text);
        collectors.collect(&mut page, None);
        let first = page.finish().to_vec();
        for _ in 0..2 {
            page.start(Format::Text);
            collectors.collect(&mut page, None);
            assert!(page.finish() == first, "{name}");
        }
    }
}

/// Every complaint of promtool is about a name that is node_exporter's own.
#[test]
fn promtool_finds_nothing_that_node_exporter_does_not_have_too() {
    let version = Command::new("promtool").arg("--version").output();
    if version.is_err() {
        return skipped::test("host: promtool", "promtool is not installed");
    }
    for name in NAMES {
        let (text, _) = page(&tree(name), Format::Text);
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        let process = Process::spawn(&mut promtool, Some(text.into_bytes())).unwrap();
        let output = process.wait(Duration::from_secs(60));
        for line in output.stderr.lines().chain(output.stdout.lines()) {
            let node_exporters = line.contains("snake_case")
                && ["node_memory_", "node_netstat_", "node_sockstat_"]
                    .iter()
                    .any(|start| line.starts_with(start));
            let bits = line.starts_with("node_entropy_") && line.ends_with("instead of \"bits\"");
            assert!(node_exporters || bits, "{name}: {line}");
        }
    }
}

#[test]
fn temperatures_of_every_chip_are_read() {
    let amd = hwmon::read(&Root::new(tree("amd-server"))).unwrap();
    let shown: Vec<_> = amd
        .iter()
        .map(|s| {
            let label = s.label.as_deref().unwrap();
            (&*s.chip_name, label, s.celsius.unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("nvme", "Composite", 38.85),
            ("nvme", "Composite", 39.85),
            ("k10temp", "Tctl", 61.25),
            ("k10temp", "Tccd1", 58.5),
            ("k10temp", "Tccd2", 59.75),
            ("amdgpu", "edge", 44.0),
        ]
    );
    assert_eq!(amd[0].critical, Some(84.85));
    let intel = hwmon::read(&Root::new(tree("intel-desktop"))).unwrap();
    let package = intel
        .iter()
        .find(|s| s.label.as_deref() == Some("Package id 0"))
        .unwrap();
    assert_eq!(
        (&*package.chip, package.max),
        ("platform_coretemp_0", Some(86.0))
    );
    let silent: Vec<_> = intel.iter().filter(|s| s.celsius.is_none()).collect();
    assert_eq!(silent.len(), 1);
    assert_eq!(silent[0].sensor, "temp7", "its file holds no number");
}

#[test]
fn mounts_are_those_of_the_host() {
    let mounts = filesystem::read(&host(&tree("amd-server"))).unwrap();
    assert_eq!(mounts.view, filesystem::View::Host);
    let shown: Vec<_> = mounts
        .list
        .iter()
        .map(|m| (&*m.mount_point, m.read_only, m.status.why()))
        .collect();
    assert_eq!(
        shown,
        [
            ("/", false, ""),
            ("/srv/data", true, ""),
            ("/srv/archive", true, ""),
            ("/srv/nfs", false, ""),
            ("/home", true, "not visible to this process"),
            ("/gone", false, "input/output error"),
        ]
    );
}

#[test]
fn the_typed_readings_agree_with_the_files() {
    let tree = tree("intel-desktop");
    let root = Root::new(&tree);
    let host = host(&tree);
    let cpu = cpu::read(&root).unwrap();
    assert_eq!((cpu.cores.len(), cpu.total.iowait), (4, 20111));
    let memory = memory::read(&root).unwrap();
    assert_eq!(memory.total(), Some(16_284_936 << 10));
    assert_eq!(memory.swap_used(), Some((2_097_148 - 1_998_848) << 10));
    let load = load::read(&root).unwrap();
    assert_eq!((load.one, load.threads), (0.74, 913));
    let pressure = pressure::read(&root).unwrap();
    assert_eq!(pressure.irq, None);
    assert_eq!(pressure.cpu.unwrap().some.unwrap().avg10, 1.2);
    let network = network::read(&host).unwrap();
    let names: Vec<_> = network.iter().map(|interface| &*interface.name).collect();
    assert_eq!(names, ["lo", "enp3s0", "wlp2s0", "tun0"]);
    assert_eq!(network[1].tx_bytes, 1_234_567_890);
    let disks = disk::read(&host).unwrap();
    let names: Vec<_> = disks.iter().map(|disk| &*disk.name).collect();
    assert_eq!(names, ["sda", "nvme0n1"]);
    assert_eq!(
        uptime::read(&root).unwrap(),
        Duration::from_millis(160_300_250)
    );
    assert_eq!(uptime::boot_time(&root).unwrap(), 1_761_000_000);
    let boot = uptime::boot_id(&root).unwrap();
    assert_eq!(boot, "0f3a2c1e-7b66-4d0e-9a51-3f2f0a9c8d77");
    assert_eq!(filefd::read(&root).unwrap().allocated, 10912);
    assert_eq!(entropy::read(&root).unwrap().available, 256);
    assert_eq!(vmstat::read(&root).unwrap().major_faults, Some(12345));
    assert_eq!(os_release::read(&root).unwrap().id, "debian");
    assert!(conntrack::read(&root).unwrap_err().is_no_data());
    assert!(md::read(&root).unwrap_err().is_no_data());
}

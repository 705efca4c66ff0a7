//! What stands on the page, and in which form.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Command, Stdio};

use roundsman_tests::{layout, skipped};

use crate::support::{Page, sound_root, start};

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n";

/// What the exporter adds to the figures of a host when everything is in order and no unit, no
/// daemon and no textfile is there.
const OWN: [&str; 36] = [
    "node_exporter_build_info",
    "node_scrape_collector_duration_seconds",
    "node_scrape_collector_success",
    "node_textfile_scrape_error",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "roundsman_build_info",
    "roundsman_cycle_consecutive_failures",
    "roundsman_cycle_duration_seconds",
    "roundsman_cycle_failures_total",
    "roundsman_cycle_finished_timestamp_seconds",
    "roundsman_cycle_last_success_timestamp_seconds",
    "roundsman_cycle_outcome",
    "roundsman_cycle_runs_total",
    "roundsman_cycle_started_timestamp_seconds",
    "roundsman_exporter_http_accept_failures_total",
    "roundsman_exporter_http_connections_total",
    "roundsman_exporter_http_open_connections",
    "roundsman_exporter_http_refusals_total",
    "roundsman_exporter_http_requests_in_flight",
    "roundsman_exporter_http_responses_total",
    "roundsman_exporter_refused_families",
    "roundsman_exporter_scrape_collector_current_timestamp_seconds",
    "roundsman_exporter_scrape_collector_duration_seconds",
    "roundsman_exporter_scrape_collector_success",
    "roundsman_exporter_scrape_duration_seconds",
    "roundsman_exporter_scrapes_total",
    "roundsman_store_free_pages",
    "roundsman_store_pages",
    "roundsman_store_schema",
    "roundsman_store_size_bytes",
    "roundsman_store_wal_bytes",
];

#[test]
fn a_page_has_the_families_of_the_host_and_its_own() {
    let fixture = layout::project().join("tests/fixtures/host/intel-desktop");
    let root = sound_root("[collectors]\nenable = ['interrupts', 'process_states', 'tcpstat']");
    for link in ["/proc", "/sys"] {
        std::fs::remove_file(root.at(link)).unwrap();
        root.link(link, fixture.join(&link[1..]));
    }
    root.link("/etc/os-release", fixture.join("etc/os-release"));
    root.link("/run/udev", fixture.join("run/udev"));
    let exporter = start(root);
    let page = exporter.page();
    let host = std::fs::read_to_string(fixture.join("page.txt")).unwrap();
    let host = Page(host);
    let wanted: BTreeSet<&str> = host.families().chain(OWN).collect();
    let shown: BTreeSet<&str> = page.families().collect();
    let missing: Vec<_> = wanted.difference(&shown).collect();
    let unexpected: Vec<_> = shown.difference(&wanted).collect();
    assert!(
        missing.is_empty() && unexpected.is_empty(),
        "{missing:?} {unexpected:?}"
    );
    // The text of the host's golden page, where it is not of the moment or of this machine.
    let mut same = 0;
    let shown: BTreeSet<&str> = page.0.lines().collect();
    for line in host
        .0
        .lines()
        .filter(|line| line.starts_with("node_cpu_seconds_total"))
    {
        assert!(shown.contains(line), "{line}");
        same += 1;
    }
    assert!(same > 10);
    exporter.stop();
}

#[test]
fn all_families_of_its_own_are_documented() {
    let docs = std::fs::read_to_string(layout::project().join("docs/exporter.md")).unwrap();
    let exporter = start(sound_root(""));
    let page = exporter.page();
    let own = page.families().filter(|name| {
        let prefixes = [
            "roundsman_",
            "process_",
            "node_scrape_",
            "node_textfile_",
            "node_exporter_",
        ];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    });
    let undocumented: Vec<&str> = own
        .filter(|name| !docs.contains(&format!("`{name}`")))
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    exporter.stop();
}

#[test]
fn a_page_says_how_each_source_fared_and_counts_scrapes() {
    let exporter = start(sound_root(""));
    let page = exporter.page();
    for collector in ["host", "store", "textfiles"] {
        assert!(page.success(collector), "{collector}\n{}", page.0);
    }
    assert!(!page.has("node_systemd_units"), "units are switched off");
    let again = exporter.page();
    let scrapes = "roundsman_exporter_scrapes_total";
    assert_eq!(again.expect(scrapes), page.expect(scrapes) + 1.0);
    exporter.stop();
}

#[test]
fn each_family_stands_once_and_in_one_piece() {
    let exporter = start(sound_root(""));
    let page = exporter.page();
    let mut heads: Vec<&str> = page
        .0
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let all = heads.len();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), all);
    exporter.stop();
}

#[test]
fn openmetrics_is_served_when_it_is_liked_best() {
    let exporter = start(sound_root(""));
    let reply = exporter.get("/metrics", OPENMETRICS);
    let kind = reply.field("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = reply.text();
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    assert!(text.contains("# TYPE node_cpu_seconds counter\nnode_cpu_seconds_total{"));

    let reply = exporter.get("/metrics", "Accept: image/png\r\n");
    let kind = reply.field("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(!reply.text().contains("# EOF"));
    exporter.stop();
}

#[test]
fn a_page_is_packed_for_those_who_accept_it() {
    let exporter = start(sound_root(""));
    let reply = exporter.get("/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(reply.field("content-encoding"), Some("gzip"));
    assert_eq!(reply.field("vary"), Some("Accept, Accept-Encoding"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&reply.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("\nnode_load1 "), "{text}");
    assert!(reply.body.len() * 3 < text.len());
    let plain = exporter.get("/metrics", "Accept-Encoding: gzip;q=0, identity\r\n");
    assert_eq!(plain.field("content-encoding"), None);
    exporter.stop();
}

#[test]
fn promtool_finds_nothing_but_the_names_that_node_exporter_has() {
    if !std::path::Path::new("/usr/bin/promtool").exists() {
        skipped::test(
            "promtool check metrics",
            "/usr/bin/promtool is not installed",
        );
        return;
    }
    let exporter = start(sound_root(""));
    let page = exporter.page();
    let mut promtool = Command::new("/usr/bin/promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, page.0.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    // node_exporter's own names, which dashboards and alerts ask for, are not all in its style.
    let inherited = |line: &&str| {
        let camel = line.starts_with("node_") && line.ends_with("not 'camelCase'");
        camel || (line.starts_with("node_entropy_") && line.contains("base unit"))
    };
    let ours: Vec<&str> = told.lines().filter(|line| !inherited(line)).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    exporter.stop();
}

#[test]
fn one_cycle_prints_the_page() {
    let root = sound_root("");
    let output = root.agent("exporter").arg("--once").run().expect_code(0);
    assert!(output.stdout.contains("\nnode_load1 "), "{}", output.stdout);
    assert_eq!(output.stderr, "");
}

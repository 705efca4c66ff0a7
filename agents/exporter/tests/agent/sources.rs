//! Each source by itself: what is broken costs its own families.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use roundsman_tests::Root;

use crate::support::{Page, registry, root, say, sound_root, start};

const HERALD: &str = "# HELP roundsman_build_info The version of a running agent; always 1.\n\
    # TYPE roundsman_build_info gauge\n\
    roundsman_build_info{agent=\"herald\",unit=\"herald\",version=\"1\"} 1\n\
    # TYPE roundsman_herald_deliveries_total counter\nroundsman_herald_deliveries_total 5\n";

#[test]
fn registries_and_textfiles_come_together_on_one_page() {
    let root = sound_root("");
    registry(&root, "herald", say(HERALD));
    root.write(
        "/run/roundsman/metrics/hostmetrics.prom",
        "# TYPE roundsman_build_info gauge\n\
         roundsman_build_info{agent=\"hostmetrics\",unit=\"hostmetrics\",version=\"1\"} 1\n\
         # TYPE roundsman_hostmetrics_rows_total counter\nroundsman_hostmetrics_rows_total 9\n\
         # TYPE node_load1 gauge\nnode_load1{of=\"another host\"} 7\n",
    );
    let exporter = start(root);
    let page = exporter.page();
    for agent in ["exporter", "herald"] {
        let version = if agent == "herald" {
            "1"
        } else {
            env!("CARGO_PKG_VERSION")
        };
        page.expect(&format!(
            "roundsman_build_info{{agent=\"{agent}\",unit=\"{agent}\",version=\"{version}\"}}"
        ));
    }
    assert_eq!(page.0.matches("# TYPE roundsman_build_info ").count(), 1);
    assert_eq!(page.expect("roundsman_herald_deliveries_total"), 5.0);
    assert_eq!(page.expect("roundsman_hostmetrics_rows_total"), 9.0);
    let file = "/run/roundsman/metrics/hostmetrics.prom";
    page.expect(&format!("node_textfile_mtime_seconds{{file=\"{file}\"}}"));
    // A sample that joins a family of the host stands directly behind it.
    assert!(
        page.0.contains("node_load1{of=\"another host\"} 7\n# "),
        "{}",
        page.0
    );
    assert!(page.success("registry:herald") && page.success("textfiles"));
    exporter.stop();
}

#[test]
fn a_broken_registry_costs_only_its_own_families() {
    let root = sound_root("[registries]\ndeadline = '200ms'\nsize = '1KiB'");
    registry(&root, "good", say("good 1\n"));
    registry(&root, "garbles", say("good 2\nthis is\nnot a page\n"));
    registry(&root, "hangs", |mut stream| {
        let mut question = [0; 512];
        // Reads on until the exporter gives up.
        while stream.read(&mut question).is_ok_and(|length| length > 0) {}
    });
    registry(&root, "floods", |mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while stream.write_all(b"flood 1\n").is_ok() {}
    });
    let exporter = start(root);
    let page = exporter.page();
    assert_eq!(page.expect("good"), 1.0);
    assert!(page.success("registry:good"));
    for broken in ["garbles", "hangs", "floods"] {
        assert!(!page.success(&format!("registry:{broken}")), "{broken}");
    }
    assert!(page.success("host") && page.has("node_load1"));
    assert!(!page.has("flood"));
    let (_, output) = exporter.stop();
    for line in [
        "registry:garbles: line 2: ",
        "registry:hangs: has not answered within 200ms",
        "registry:floods: the answer is larger than 1024 bytes",
    ] {
        let times = output.stderr.matches(line).count();
        assert_eq!(times, 1, "said once: {line}\n{}", output.stderr);
    }
}

#[test]
fn textfiles_that_are_stale_broken_or_contradict_are_reported() {
    let root = sound_root("[textfiles]\nmax_age = '1h'\nsize = '1KiB'");
    let dir = "/run/roundsman/metrics";
    root.write(format!("{dir}/a.prom"), "# TYPE a gauge\na 1\n");
    root.write(
        format!("{dir}/b.prom"),
        "# TYPE a counter\na{b=\"1\"} 1\nb 1\n",
    );
    root.write(format!("{dir}/old.prom"), "old 1\n");
    age(&root, "old", Duration::from_secs(7200));
    let exporter = start(root);
    let page = exporter.page();
    assert!(page.has("a") && page.has("b") && !page.has("old"));
    assert_eq!(page.value("a{b=\"1\"}"), None, "refused: another type");
    let stale = |page: &Page, name: &str| {
        page.expect(&format!(
            "roundsman_exporter_textfile_stale{{file=\"{dir}/{name}.prom\"}}"
        ))
    };
    assert_eq!((stale(&page, "a"), stale(&page, "old")), (0.0, 1.0));
    page.expect(&format!(
        "node_textfile_mtime_seconds{{file=\"{dir}/old.prom\"}}"
    ));
    assert_eq!(page.expect("node_textfile_scrape_error"), 1.0);
    assert!(!page.success("textfiles"));
    let refused = "roundsman_exporter_refused_families{collector=\"textfiles\"}";
    assert_eq!(page.expect(refused), 1.0);

    exporter
        .root
        .write(format!("{dir}/b.prom"), "b 2 1795197600000\n");
    let page = exporter.page();
    assert!(!page.has("b"), "a timestamp");
    assert_eq!(page.expect("node_textfile_scrape_error"), 1.0);

    exporter.root.write(format!("{dir}/b.prom"), "b 3\n");
    age(&exporter.root, "old", Duration::ZERO);
    let page = exporter.page();
    assert_eq!((page.expect("b"), page.expect("old")), (3.0, 1.0));
    assert_eq!(page.expect("node_textfile_scrape_error"), 0.0);
    assert!(page.success("textfiles"));
    let (_, output) = exporter.stop();
    assert!(
        output.stderr.contains("textfiles: can be read again"),
        "{}",
        output.stderr
    );
}

fn age(root: &Root, name: &str, by: Duration) {
    let path = root.at(format!("/run/roundsman/metrics/{name}.prom"));
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

#[test]
fn a_store_and_a_bus_that_are_not_there_cost_only_their_families() {
    let exporter = start(root());
    let page = exporter.page();
    assert!(!page.success("store") && !page.success("units"));
    assert!(page.success("host") && page.has("node_load1"));
    for family in [
        "roundsman_cycle_outcome",
        "node_systemd_units",
        "roundsman_store_size_bytes",
    ] {
        assert!(!page.has(family), "{family}");
    }
    let systemd = "node_scrape_collector_success{collector=\"systemd\"}";
    assert_eq!(page.expect(systemd), 0.0);
    let (_, output) = exporter.stop();
    for line in [
        "warn: units: connecting to the system bus",
        "warn: store: the store ",
    ] {
        assert_eq!(
            output.stderr.matches(line).count(),
            1,
            "{line}\n{}",
            output.stderr
        );
    }
}

#[test]
fn a_garbled_file_of_the_kernel_costs_its_collector() {
    let root = sound_root("");
    fs::remove_file(root.at("/proc")).unwrap();
    root.write("/proc/loadavg", "0.50 0.25 0.10 1/100 4242\n");
    root.write("/proc/meminfo", "MemTotal: many kB\n");
    let exporter = start(root);
    let page = exporter.page();
    assert_eq!(page.expect("node_load1"), 0.5);
    assert!(!page.has("node_memory_MemTotal_bytes"));
    let success = |name: &str| {
        page.expect(&format!(
            "node_scrape_collector_success{{collector=\"{name}\"}}"
        ))
    };
    assert_eq!((success("loadavg"), success("meminfo")), (1.0, 0.0));
    assert!(!page.success("host"));
    exporter.stop();
}

#[test]
fn it_leaves_its_own_cycle_in_the_store() {
    let exporter = start(sound_root(""));
    let page = exporter.page();
    assert_eq!(
        page.expect("roundsman_cycle_outcome{unit=\"exporter\",outcome=\"ok\"}"),
        1.0
    );
    exporter.stop();
}

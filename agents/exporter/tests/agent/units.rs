//! Units over a real bus, from a stand-in for systemd.

use std::time::Instant;

use roundsman_tests::{BusDaemon, PATIENCE, Root, layout};

use crate::bus::{Property, Systemd, stranger};
use crate::support::{Exporter, Page, make_store, root, start};

fn failed(name: &str) -> String {
    format!("node_systemd_unit_state{{name=\"{name}\",state=\"failed\",type=\"simple\"}}")
}

/// A tree with a bus on which systemd has a service, a timer, a socket and a device.
fn place(toml: &str, test: &str) -> Option<(Root, BusDaemon, Systemd)> {
    let root = root();
    make_store(&root);
    root.config("exporter", toml);
    let bus = BusDaemon::start(&root, test)?;
    let systemd = Systemd::on(&bus);
    let service = [("Type", "simple".into()), ("NRestarts", Property::Count(2))];
    systemd.put("ssh.service", "active", &service);
    let timer = [("LastTriggerUSec", Property::Time(1_795_197_600_500_000))];
    systemd.put("daily.timer", "active", &timer);
    let socket = [
        ("NAccepted", Property::Count(7)),
        ("NConnections", Property::Count(1)),
    ];
    systemd.put("api.socket", "active", &socket);
    systemd.put("disk.device", "active", &[]);
    Some((root, bus, systemd))
}

/// The first page on which `wanted` is true.
#[track_caller]
fn page_when(exporter: &Exporter, wanted: impl Fn(&Page) -> bool) -> Page {
    let begun = Instant::now();
    loop {
        let page = exporter.page();
        if wanted(&page) {
            return page;
        }
        assert!(begun.elapsed() < PATIENCE, "never came true:\n{}", page.0);
    }
}

#[test]
fn the_first_page_has_all_units_and_a_quiet_host_costs_no_call() {
    let Some((root, _bus, systemd)) = place("", "units on the first page") else {
        return;
    };
    let exporter = start(root);
    let page = exporter.page();
    assert!(page.success("units"));
    assert_eq!(page.expect(&failed("ssh.service")), 0.0);
    for (series, value) in [
        ("node_systemd_units{state=\"active\"}", 4.0),
        (
            "node_systemd_service_restart_total{name=\"ssh.service\"}",
            2.0,
        ),
        (
            "node_systemd_timer_last_trigger_seconds{name=\"daily.timer\"}",
            1_795_197_600.5,
        ),
        (
            "node_systemd_socket_accepted_connections_total{name=\"api.socket\"}",
            7.0,
        ),
        ("node_systemd_system_running", 1.0),
        ("node_systemd_version{version=\"252.39-1~deb12u1\"}", 252.39),
        ("node_scrape_collector_success{collector=\"systemd\"}", 1.0),
        (
            "systemd_unit_state{name=\"ssh.service\",type=\"service\",state=\"active\"}",
            1.0,
        ),
        (
            "systemd_unit_start_time_seconds{name=\"ssh.service\",type=\"service\"}",
            1_795_197_600.0,
        ),
        ("systemd_boot_monotonic_seconds{stage=\"Userspace\"}", 3.0),
        (
            "roundsman_unit_result{name=\"ssh.service\",result=\"success\"}",
            1.0,
        ),
    ] {
        assert_eq!(page.expect(series), value, "{series}");
    }
    let docs = std::fs::read_to_string(layout::project().join("docs/exporter.md")).unwrap();
    let undocumented: Vec<&str> = page
        .families()
        .filter(|name| name.contains("systemd_") || name.contains("_unit_"))
        .filter(|name| !docs.contains(&format!("`{name}`")))
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    assert!(!page.0.contains("disk.device"), "excluded by default");
    assert!(!systemd.calls().is_empty());
    for _ in 0..20 {
        exporter.page();
    }
    assert_eq!(systemd.calls(), Vec::<String>::new());
    exporter.stop();
}

#[test]
fn signals_change_the_page_without_a_call_where_they_tell_the_value() {
    let Some((root, _bus, systemd)) = place("", "unit signals") else {
        return;
    };
    let exporter = start(root);
    exporter.page();
    systemd.calls();
    systemd.change("ssh.service", &[("NRestarts", Property::Count(3))]);
    let restarts = "node_systemd_service_restart_total{name=\"ssh.service\"}";
    page_when(&exporter, |page| page.expect(restarts) == 3.0);
    assert_eq!(systemd.calls(), Vec::<String>::new());

    // A failure concerns the whole system, whose state no signal tells.
    systemd.system_state("degraded");
    systemd.change(
        "ssh.service",
        &[
            ("ActiveState", "failed".into()),
            ("Result", "exit-code".into()),
        ],
    );
    let page = page_when(&exporter, |page| {
        page.expect("node_systemd_system_running") == 0.0
    });
    assert_eq!(page.expect(&failed("ssh.service")), 1.0);
    assert_eq!(
        page.expect("roundsman_unit_result{name=\"ssh.service\",result=\"exit-code\"}"),
        1.0
    );
    assert_eq!(systemd.calls(), ["Get"]);

    let service = [("Type", "simple".into()), ("NRestarts", Property::Count(0))];
    systemd.load("new.service", "active", &service);
    let page = page_when(&exporter, |page| {
        page.value(&failed("new.service")).is_some()
    });
    assert_eq!(page.expect("node_systemd_units{state=\"active\"}"), 4.0);
    systemd.forget("new.service");
    page_when(&exporter, |page| {
        page.value(&failed("new.service")).is_none()
    });
    exporter.stop();
}

#[test]
fn an_accepted_connection_counts_for_its_socket() {
    let Some((root, _bus, systemd)) = place("", "connections of sockets") else {
        return;
    };
    let exporter = start(root);
    let socket = [
        ("NAccepted", Property::Count(8)),
        ("NConnections", Property::Count(2)),
    ];
    systemd.put("api.socket", "active", &socket);
    systemd.load(
        "api@1-10.0.0.1:22.service",
        "active",
        &[("Type", "simple".into())],
    );
    let accepted = "node_systemd_socket_accepted_connections_total{name=\"api.socket\"}";
    page_when(&exporter, |page| page.expect(accepted) == 8.0);
    exporter.stop();
}

#[test]
fn reloaded_units_are_listed_anew() {
    let Some((root, _bus, systemd)) = place("", "reloaded units") else {
        return;
    };
    let exporter = start(root);
    systemd.put("silent.service", "active", &[("Type", "simple".into())]);
    systemd.reloaded();
    page_when(&exporter, |page| {
        page.value(&failed("silent.service")).is_some()
    });
    exporter.stop();
}

#[test]
fn nobody_but_systemd_is_believed() {
    let Some((root, bus, systemd)) = place("", "forged unit signals") else {
        return;
    };
    let forger = stranger(&bus);
    let exporter = start(root);
    systemd.say_changed(&forger, "ssh.service", &[("ActiveState", "failed".into())]);
    // The bus keeps the order: what systemd says after it arrives after it.
    systemd.change("ssh.service", &[("NRestarts", Property::Count(9))]);
    let restarts = "node_systemd_service_restart_total{name=\"ssh.service\"}";
    let page = page_when(&exporter, |page| page.expect(restarts) == 9.0);
    assert_eq!(page.expect(&failed("ssh.service")), 0.0);
    exporter.stop();
}

#[test]
fn a_lost_bus_leaves_the_last_state_with_its_time_and_comes_back() {
    let Some((root, bus, systemd)) = place("", "a lost bus") else {
        return;
    };
    let exporter = start(root);
    let current =
        "roundsman_exporter_scrape_collector_current_timestamp_seconds{collector=\"units\"}";
    let before = exporter.page().expect(current);
    drop(systemd);
    drop(bus);
    let page = page_when(&exporter, |page| !page.success("units"));
    let lost = page.expect(current);
    assert!(lost >= before);
    assert_eq!(
        page.expect(&failed("ssh.service")),
        0.0,
        "the last state is shown"
    );
    assert_eq!(
        page.expect("node_scrape_collector_success{collector=\"systemd\"}"),
        0.0
    );
    assert_eq!(
        exporter.page().expect(current),
        lost,
        "and does not look current"
    );

    let bus = BusDaemon::start(&exporter.root, "a lost bus").unwrap();
    let systemd = Systemd::on(&bus);
    systemd.put("other.service", "active", &[("Type", "simple".into())]);
    let page = page_when(&exporter, |page| page.success("units"));
    assert!(page.value(&failed("ssh.service")).is_none());
    assert_eq!(page.expect(&failed("other.service")), 0.0);
    assert!(page.expect(current) > lost);
    let (_, output) = exporter.stop();
    assert!(
        output.stderr.contains("units: can be read again"),
        "{}",
        output.stderr
    );
    drop((bus, systemd));
}

#[test]
fn another_systemd_under_the_name_is_listed_anew() {
    let Some((root, bus, systemd)) = place("", "a restarted systemd") else {
        return;
    };
    let exporter = start(root);
    systemd.leave();
    let successor = Systemd::on(&bus);
    successor.put("other.service", "active", &[("Type", "simple".into())]);
    page_when(&exporter, |page| {
        page.value(&failed("other.service")).is_some()
    });
    exporter.stop();
}

#[test]
fn a_reload_brings_another_filter_and_other_names() {
    let Some((root, _bus, _systemd)) = place("[units]\nnames = ['node']", "unit filters") else {
        return;
    };
    let exporter = start(root);
    let page = exporter.page();
    assert!(page.has("node_systemd_unit_state") && !page.has("systemd_unit_state"));
    exporter.root.config(
        "exporter",
        "[units]\ninclude = ['daily\\.timer', '.*\\.device']\nexclude = []\nnames = ['systemd']",
    );
    exporter
        .process
        .signal(rustix::process::Signal::HUP)
        .unwrap();
    exporter
        .manager
        .wait_for("the reload", |n| n.is("RELOADING", "1"));
    exporter.manager.wait_ready();
    let device = "systemd_unit_state{name=\"disk.device\",type=\"device\",state=\"active\"}";
    let page = page_when(&exporter, |page| page.value(device).is_some());
    assert!(!page.has("node_systemd_unit_state") && !page.0.contains("ssh.service"));
    page.expect("systemd_timer_last_trigger_seconds{name=\"daily.timer\"}");
    exporter.stop();
}

#[test]
fn many_signals_at_once_end_in_the_right_state() {
    let Some((root, _bus, systemd)) = place("", "many unit signals") else {
        return;
    };
    let exporter = start(root);
    for number in 0..500 {
        let name = format!("job-{number}.service");
        systemd.load(&name, "activating", &[("Type", "simple".into())]);
        systemd.change(&name, &[("ActiveState", "failed".into())]);
    }
    let page = page_when(&exporter, |page| {
        page.expect("node_systemd_units{state=\"failed\"}") == 500.0
            && page.value(&failed("job-499.service")) == Some(1.0)
    });
    assert_eq!(page.expect(&failed("job-0.service")), 1.0);
    exporter.stop();
}

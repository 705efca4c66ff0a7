//! The units as shipped: what systemd says of them, and the rules that it does not know.

use std::collections::BTreeSet;

use roundsman_tests::skipped;
use serde_json::Value;

use crate::agents::{agents, names, text};
use crate::stage::{Stage, has, run};
use crate::unit_file::UnitFile;

/// The highest exposure of each agent's units, in tenths, as `systemd-analyze security` counts.
/// An agent that is not here may have what one with clients on the network may.
const EXPOSURE: [(&str, u64); 7] = [
    ("exporter", 16),
    ("failure", 8),
    ("herald", 11),
    ("hook", 5),
    ("hostmetrics", 16),
    ("janitor", 8),
    ("migrate", 8),
];
const EXPOSURE_OF_OTHERS: u64 = 15;

/// Keys that systemd 252 does not know: a shipped unit has none, so that it means the same on
/// every host.
const TOO_NEW: [&str; 10] = [
    "DeferReactivation",
    "FileDescriptorStorePreserve",
    "ImportCredential",
    "MemoryZSwapWriteback",
    "PrivatePIDs",
    "RandomizedOffsetSec",
    "RefreshOnReload",
    "RestartMaxDelaySec",
    "RestartMode",
    "RestartSteps",
];

/// The stage, or `None` with a note when there is no systemd-analyze.
fn analyzed(test: &str) -> Option<Stage> {
    if has("systemd-analyze") {
        return Some(Stage::new());
    }
    skipped::test(test, "systemd-analyze is not installed");
    None
}

/// A unit that can be asked about by name: a template gets an instance.
fn loadable(unit: &UnitFile) -> String {
    unit.name.replace("@.", "@nginx.service.")
}

#[test]
fn systemd_has_nothing_to_say_about_any_unit() {
    let Some(stage) = analyzed("systemd_has_nothing_to_say_about_any_unit") else {
        return;
    };
    let units = UnitFile::all(&["service", "socket", "timer", "target", "slice", "path"]);
    for unit in units {
        let path = stage.at("lib/systemd/system").join(&unit.name);
        let output = run(stage.analyze().args(["verify", "--man=no"]).arg(&path));
        // Unknown keys do not change the exit code, only what is printed.
        assert_eq!(output.stderr, "", "{}", unit.name);
        output.expect_code(0);
    }
    // The check itself can fail.
    let bad = stage.at("lib/systemd/system/bad.service");
    std::fs::write(&bad, "[Service]\nExecStart=/bin/true\nNoSuchKey=1\n").unwrap();
    let output = run(stage.analyze().args(["verify", "--man=no"]).arg(&bad));
    assert!(output.stderr.contains("NoSuchKey"), "{output}");
}

#[test]
fn every_calendar_expression_is_one() {
    let Some(stage) = analyzed("every_calendar_expression_is_one") else {
        return;
    };
    let mut seen = 0;
    for timer in UnitFile::all(&["timer"]) {
        for expression in timer.list("OnCalendar") {
            let output = run(stage.analyze().arg("calendar").arg(expression));
            output.expect_code(0);
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// What `systemd-analyze security` finds missing in a unit's sandbox.
fn weaknesses(stage: &Stage, unit: &str) -> BTreeSet<String> {
    let output = run(stage
        .analyze()
        .args(["security", "--offline=true", "--json=short", unit]));
    let items: Vec<Value> = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{unit}: {error}\n{output}"));
    let weak = items.iter().filter(|item| item["set"] == false);
    weak.filter_map(|item| item["json_field"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The overall exposure of a unit in tenths.
fn exposure(stage: &Stage, unit: &str) -> u64 {
    let output = run(stage
        .analyze()
        .args(["security", "--offline=true", "--no-pager", unit]));
    let figure = output.stdout.lines().find_map(|line| {
        let rest = line.split_once("Overall exposure level for ")?.1;
        rest.split_once(": ")?.1.split_whitespace().next()
    });
    let figure = figure.unwrap_or_else(|| panic!("{unit}: no exposure\n{output}"));
    figure.replace('.', "").parse().unwrap()
}

#[test]
fn no_unit_is_more_exposed_than_it_may_be() {
    let Some(stage) = analyzed("no_unit_is_more_exposed_than_it_may_be") else {
        return;
    };
    let mut seen = BTreeSet::new();
    for unit in UnitFile::all(&["service"]) {
        let agent = unit.agent().unwrap().to_owned();
        let limit = EXPOSURE.iter().find(|(name, _)| *name == agent);
        let limit = limit.map_or(EXPOSURE_OF_OTHERS, |(_, limit)| *limit);
        let found = exposure(&stage, &loadable(&unit));
        assert!(
            found <= limit,
            "{}: {found} tenths, {limit} allowed",
            unit.name
        );
        seen.insert(agent);
    }
    assert_eq!(seen, agents().into_iter().collect());
    // Without the common drop-in an agent would be far above: the figure is a real one.
    std::fs::remove_dir_all(stage.at("lib/systemd/system/roundsman-.service.d")).unwrap();
    assert!(exposure(&stage, "roundsman-migrate.service") > 50);
}

#[test]
fn an_exception_is_needed_for_each_weakness_and_makes_one() {
    let Some(stage) = analyzed("an_exception_is_needed_for_each_weakness_and_makes_one") else {
        return;
    };
    // An agent without exceptions shows what the common sandbox leaves open.
    let common = weaknesses(&stage, "roundsman-migrate.service");
    for unit in UnitFile::all(&["service"]) {
        let directory = format!("units/{}.d", unit.name);
        let excepted: BTreeSet<String> = names(&directory)
            .iter()
            .flat_map(|file| keys(&text(format!("{directory}/{file}"))))
            .collect();
        // `SystemCallFilter_clock` is one of the findings about `SystemCallFilter=`.
        let weak: BTreeSet<String> = weaknesses(&stage, &loadable(&unit))
            .difference(&common)
            .map(|field| field.split('_').next().unwrap_or(field).to_owned())
            .collect();
        assert_eq!(weak, excepted, "{}: left weak, and excepted", unit.name);
    }
}

fn keys(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect()
}

#[test]
fn every_exception_says_why() {
    for directory in names("units")
        .iter()
        .filter(|name| name.ends_with(".service.d"))
    {
        for file in names(format!("units/{directory}")) {
            if file == "10-common.conf" {
                continue;
            }
            let text = text(format!("units/{directory}/{file}"));
            let mut explained = false;
            for line in text.lines() {
                explained = line.starts_with('#') || (explained && !line.starts_with('['));
                let bare = line.contains('=') && !line.starts_with('#') && !explained;
                assert!(!bare, "{directory}/{file}: no reason above {line}");
            }
        }
    }
}

#[test]
fn every_service_is_one_of_ours() {
    for unit in UnitFile::all(&["service"]) {
        let name = &unit.name;
        let agent = unit.agent().unwrap();
        assert_eq!(unit.get("User"), format!("roundsman-{agent}"), "{name}");
        assert_eq!(unit.get("Group"), "roundsman", "{name}");
        assert_eq!(unit.get("UMask"), "0007", "{name}");
        assert_eq!(unit.get("Slice"), "roundsman.slice", "{name}");
        assert!(unit.lists("PartOf", "roundsman.target"), "{name}");
        assert!(
            unit.lists("Documentation", &format!("man:roundsman-{agent}(8)")),
            "{name}"
        );
        for code in ["65", "78"] {
            assert!(unit.lists("RestartPreventExitStatus", code), "{name}");
        }
        for place in ["/var/lib/roundsman", "/run/roundsman"] {
            assert!(unit.lists("ReadWritePaths", place), "{name}");
        }
        assert_eq!(
            unit.get("StateDirectory"),
            "",
            "{name}: it would take the store over"
        );
        let runtime = unit.get("RuntimeDirectory");
        assert!(
            runtime.is_empty() || runtime == format!("roundsman/{agent}"),
            "{name}"
        );
        let program = format!("/usr/libexec/roundsman/roundsman-{agent}");
        // A unit's name may begin with a dash: -.mount.
        let instance = if name.contains('@') { " -- %i" } else { "" };
        assert_eq!(unit.list("ExecStart"), [program + instance], "{name}");
    }
}

#[test]
fn only_the_migration_starts_without_the_migration() {
    for unit in UnitFile::all(&["service"]) {
        let is_migration = unit.name == "roundsman-migrate.service";
        let after = unit.lists("After", "roundsman-migrate.service");
        assert_eq!(after, !is_migration, "{}", unit.name);
        // The sweep says why not: it has nothing to do before the hook has wanted it. And the
        // hook keeps a failure in a file where there is no store.
        let required = unit.lists("Requires", "roundsman-migrate.service");
        let is_exempt = is_migration || unit.name.starts_with("roundsman-failure");
        assert_eq!(required, !is_exempt, "{}", unit.name);
        let hook = unit.name == "roundsman-failure@.service";
        assert_eq!(
            unit.lists("Wants", "roundsman-migrate.service"),
            hook,
            "{}",
            unit.name
        );
    }
}

#[test]
fn a_failure_is_told_by_every_unit_but_those_that_tell_it() {
    for unit in UnitFile::all(&["service"]) {
        let agent = unit.agent().unwrap().to_owned();
        let hook = format!("roundsman-failure@{}.service", unit.name);
        let told = unit.get("OnFailure");
        if ["failure", "migrate"].contains(&agent.as_str()) {
            assert_eq!(told, "", "{}: the hook would start itself", unit.name);
        } else {
            assert_eq!(told, hook, "{}", unit.name);
        }
    }
}

#[test]
fn daemons_are_watched_and_oneshots_end() {
    for unit in UnitFile::all(&["service"]) {
        let name = &unit.name;
        match unit.get("Type").as_str() {
            "notify" => {
                assert!(unit.seconds("WatchdogSec") > 0, "{name}");
                assert_eq!(
                    unit.list("ExecReload"),
                    ["/usr/bin/kill -HUP $MAINPID"],
                    "{name}"
                );
                assert_eq!(unit.get("Restart"), "on-failure", "{name}");
                let burst: u64 = unit.get("StartLimitBurst").parse().unwrap();
                let crashes = burst * (unit.seconds("RestartSec") + 1);
                let interval = unit.seconds("StartLimitIntervalSec");
                assert!(
                    crashes < interval,
                    "{name}: a crash loop would never end as failed"
                );
            }
            "oneshot" => {
                assert!(
                    unit.seconds("TimeoutStartSec") > 0,
                    "{name}: the default is no limit"
                );
                assert_eq!(unit.get("Restart"), "", "{name}");
                assert_eq!(
                    unit.get("WantedBy"),
                    "",
                    "{name}: its timer is enabled instead"
                );
            }
            other => panic!("{name}: Type={other}"),
        }
        // Reports of progress are taken from oneshots, too.
        assert_eq!(unit.get("NotifyAccess"), "main", "{name}");
    }
}

#[test]
fn timers_and_sockets_belong_to_the_target() {
    for unit in UnitFile::all(&["timer", "socket"]) {
        let name = &unit.name;
        assert!(unit.lists("PartOf", "roundsman.target"), "{name}");
        assert_eq!(unit.get("WantedBy"), "roundsman.target", "{name}");
        let service = name
            .replace(".timer", ".service")
            .replace(".socket", ".service");
        let service = UnitFile::load(&service);
        if name.ends_with(".socket") {
            assert!(service.lists("Requires", name), "{name}");
            assert_eq!(unit.get("TriggerLimitIntervalSec"), "0", "{name}");
        } else {
            assert!(
                !unit.get("AccuracySec").is_empty(),
                "{name}: the default is a minute"
            );
        }
    }
    assert_eq!(
        UnitFile::load("roundsman.target").get("WantedBy"),
        "multi-user.target"
    );
}

#[test]
fn no_key_is_newer_than_the_oldest_systemd() {
    let kinds = ["service", "socket", "timer", "target", "slice", "path"];
    for unit in UnitFile::all(&kinds) {
        let new: Vec<&str> = unit.keys().filter(|key| TOO_NEW.contains(key)).collect();
        assert!(new.is_empty(), "{}: {new:?}", unit.name);
        assert_ne!(unit.get("Type"), "notify-reload", "{}", unit.name);
    }
}

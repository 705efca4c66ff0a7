//! The alert rules and the dashboard: each alert fires and clears, and both ask only for figures
//! that there are.

use std::collections::BTreeSet;
use std::process::Command;

use roundsman_tests::skipped;
use serde_json::Value;

use crate::agents::{at, names, text};
use crate::stage::{has, run};

const RULES: &str = "packaging/monitoring/roundsman.rules.yml";
const TESTS: &str = "tests/monitoring/roundsman.test.yml";
const DASHBOARD: &str = "packaging/monitoring/roundsman-dashboard.json";

/// Every expression of the dashboard, with its variables filled in.
fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().replace("$instance", ".+"))
        .collect()
}

/// The names of families in a text: `roundsman_herald_deliveries`.
fn families(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with("roundsman_") || word.starts_with("node_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_alert_fires_and_clears() {
    let alerts: BTreeSet<String> = text(RULES)
        .lines()
        .filter_map(|line| Some(line.split_once("- alert: ")?.1.to_owned()))
        .collect();
    let tested: BTreeSet<String> = text(TESTS)
        .lines()
        .filter_map(|line| Some(line.strip_prefix("- name: ")?.to_owned()))
        .collect();
    assert_eq!(alerts, tested, "alerts, and those with a test");
    if !has("promtool") {
        return skipped::test("each_alert_fires_and_clears", "promtool is not installed");
    }
    run(Command::new("promtool")
        .args(["check", "rules"])
        .arg(at(RULES)))
    .expect_code(0);
    let output = run(Command::new("promtool")
        .args(["test", "rules"])
        .arg(at(TESTS)));
    assert!(output.success(), "{output}");
}

#[test]
fn the_dashboard_asks_what_prometheus_understands() {
    let expressions = dashboard();
    assert!(expressions.len() >= 10);
    if !has("promtool") {
        return skipped::test("the_dashboard_asks", "promtool is not installed");
    }
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(at, expr)| serde_json::json!({"record": format!("panel:{at}"), "expr": expr}))
        .collect();
    // JSON is YAML.
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dashboard.rules.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    run(Command::new("promtool").args(["check", "rules"]).arg(path)).expect_code(0);
}

#[test]
fn every_figure_that_is_asked_for_is_documented() {
    let documents: String = names("docs")
        .iter()
        .map(|name| text(format!("docs/{name}")))
        .collect();
    let known = families(&documents);
    let asked = dashboard().join("\n") + &text(RULES);
    let unknown: Vec<String> = families(&asked).difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

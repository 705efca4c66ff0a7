//! A real Prometheus scrapes the exporter and answers queries over node_exporter's names.

use anyhow::{Context, Result, ensure};
use roundsman_tests::{Machine, PATIENCE};
use serde_json::Value;

use crate::installed::{enable_everyday, installed, measure, scrape};

const PORT: u16 = 9090;

/// One scrape a second, under the job name that the node mixin expects.
const CONFIG: &str = "\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: node
  static_configs: [{targets: ['localhost:9469']}]
";

/// Queries as the mixin's alerts and the dashboards ask them; each has to give a result on any
/// machine.
const QUERIES: [&str; 6] = [
    "up{job='node'} == 1",
    "count without(cpu, mode) (node_cpu_seconds_total{mode='idle'})",
    "1 - avg without(cpu) (sum without(mode) (rate(node_cpu_seconds_total{mode=~'idle|iowait|steal'}[10s])))",
    "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "node_systemd_unit_state{state='active', name='roundsman-exporter.service'} == 1",
    "time() - node_boot_time_seconds > 0",
];

fn query(machine: &Machine, expression: &str) -> Result<Vec<Value>> {
    let encoded: String = expression
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let answer = machine.get(PORT, &format!("/api/v1/query?query={encoded}"), &[])?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    ensure!(answer["status"] == "success", "{expression}: {answer}");
    answer["data"]["result"]
        .as_array()
        .cloned()
        .context("no result")
}

#[test]
fn prometheus_scrapes_and_answers() {
    installed("prometheus::prometheus_scrapes", |machine| {
        enable_everyday(machine)?;
        machine.write_file("/etc/prometheus.yml", CONFIG)?;
        let _prometheus = machine
            .command([
                "/opt/peers/bin/prometheus",
                "--config.file=/etc/prometheus.yml",
                "--storage.tsdb.path=/var/tmp/prometheus",
                &format!("--web.listen-address=127.0.0.1:{PORT}"),
            ])
            .spawn()?;
        for expression in QUERIES {
            machine.wait_for(expression, PATIENCE, || {
                Ok((!query(machine, expression)?.is_empty()).then_some(()))
            })?;
        }
        let lost = query(
            machine,
            "sum(scrape_samples_scraped) - sum(scrape_samples_post_metric_relabeling)",
        )?;
        assert_eq!(lost[0]["value"][1], "0");
        Ok(())
    });
}

#[test]
fn promtool_complains_of_nothing_but_node_exporters_own_names() {
    installed("prometheus::promtool", |machine| {
        enable_everyday(machine)?;
        measure(machine)?;
        let complaints = lint(machine, scrape(machine)?)?;
        // Names of the kernel's fields (camelCase) and of bits are node_exporter's, and stay.
        let ours: Vec<_> = complaints
            .lines()
            .filter(|line| {
                let theirs = line.starts_with("node_")
                    && (line.contains("'camelCase'") || line.contains("\"bits\""));
                !theirs
            })
            .collect();
        ensure!(ours.is_empty(), "{ours:#?}");
        Ok(())
    });
}

fn lint(machine: &Machine, page: String) -> Result<String> {
    let lint = machine
        .command(["/opt/peers/bin/promtool", "check", "metrics"])
        .input(page)
        .run()?;
    // 3: complaints; anything else: the page could not be read.
    ensure!(matches!(lint.code(), Some(0 | 3)), "{lint}");
    Ok(lint.stdout + &lint.stderr)
}

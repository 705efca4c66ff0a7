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
fn promtool_has_nothing_to_say_about_the_page() {
    installed("prometheus::promtool", |machine| {
        enable_everyday(machine)?;
        measure(machine)?;
        let page = scrape(machine)?;
        let lint = machine
            .command(["/opt/peers/bin/promtool", "check", "metrics"])
            .input(page)
            .run()?;
        assert_eq!(
            (lint.code(), lint.stdout.as_str(), lint.stderr.as_str()),
            (Some(0), "", "")
        );
        Ok(())
    });
}

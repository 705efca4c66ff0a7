//! Prints this host's page, or what a page costs.
//!
//! ```text
//! page                     the page
//! page --root DIR          of a tree of files
//! page --openmetrics       the same as OpenMetrics
//! page --all               with the collectors that are off by default
//! page --cost 1000         1,000 pages: processor time of each, and of each collector
//! ```

use std::io::{self, Write as _};
use std::time::Duration;

use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Collectors, Host, REGISTRY, Root};
use rustix::time::{ClockId, clock_gettime};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let after = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let root = after("--root").map_or("/", String::as_str);
    let host = Host::new(Root::new(root));
    let all: Vec<_> = REGISTRY.iter().map(|entry| entry.name).collect();
    let enable: &[&str] = if has("--all") { &all } else { &[] };
    let mut collectors = Collectors::select(&host, enable, &[]).map_err(io::Error::other)?;
    let format = if has("--openmetrics") {
        Format::OpenMetrics
    } else {
        Format::Text
    };
    let mut page = Page::new(format);
    if let Some(rounds) = after("--cost").and_then(|rounds| rounds.parse().ok()) {
        return cost(&host, &mut collectors, &mut page, rounds);
    }
    for report in collectors.collect(&mut page, None) {
        if let Some(fault) = &report.fault {
            eprintln!("{}: {:?}: {fault}", report.name, report.outcome);
        }
    }
    io::stdout().write_all(page.finish())
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The processor time of one page by these collectors, after a first one that opens files.
fn measured(collectors: &mut Collectors, page: &mut Page, rounds: u32) -> [f64; 2] {
    let micros = |from: Duration| (processor_time() - from).as_secs_f64() * 1e6;
    let start = processor_time();
    page.start(page.format());
    collectors.collect(page, None);
    let first = micros(start);
    let start = processor_time();
    for _ in 0..rounds {
        page.start(page.format());
        collectors.collect(page, None);
        page.finish();
    }
    [first, micros(start) / f64::from(rounds)]
}

fn cost(host: &Host, collectors: &mut Collectors, page: &mut Page, rounds: u32) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let [first, later] = measured(collectors, page, rounds);
    writeln!(out, "first page      {first:8.1} us of processor time")?;
    writeln!(
        out,
        "later pages     {later:8.1} us each, {} samples, {} bytes",
        page.samples(),
        page.as_bytes().len()
    )?;
    let names: Vec<_> = collectors.names().collect();
    let mut each = Vec::new();
    for name in &names {
        let others: Vec<_> = names.iter().filter(|other| *other != name).collect();
        let others: Vec<&str> = others.into_iter().copied().collect();
        let mut alone = Collectors::select(host, &[*name], &others).map_err(io::Error::other)?;
        each.push((measured(&mut alone, page, rounds)[1], *name));
    }
    each.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (micros, name) in each {
        writeln!(out, "  {name:<16}{micros:6.1} us")?;
    }
    Ok(())
}

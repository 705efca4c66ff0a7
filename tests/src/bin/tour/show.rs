//! The stops of the tour: each does one thing, shows it, and fails when it is not as it should
//! be.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roundsman_tests::{Machine, layout};

/// The port of the exporter.
const PORT: u16 = 9469;
/// The families that the page of any Linux host has.
const FAMILIES: [&str; 4] = [
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_load1",
    "node_uname_info",
];
/// A unit that can only fail, and that is none of ours.
const BROKEN: &str =
    "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo the disk is on fire >&2; exit 3'\n";

/// Announces what comes next.
pub fn step(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m==> {text}\x1b[0m");
    } else {
        println!("\n==> {text}");
    }
}

/// What `roundsman status` says. Its exit code is not looked at: 3 tells that something is not
/// well, and on a host that has run for seconds some agents have not run yet.
pub fn status(machine: &Machine) -> Result<()> {
    step("roundsman status");
    let output = machine.run(["roundsman", "status"])?;
    print!("{}{}", output.stdout, output.stderr);
    ensure!(
        output.stdout.contains("hostmetrics"),
        "`roundsman status` does not show hostmetrics"
    );
    Ok(())
}

/// One scrape, through the port that this machine's browser uses.
pub fn scrape(machine: &Machine) -> Result<()> {
    step("a scrape");
    let address = machine.forward(PORT)?;
    let stream = std::net::TcpStream::connect(address)?;
    let page = roundsman_tests::machine::http::get(stream, "/metrics", &[])
        .with_context(|| format!("http://{address}/metrics"))?;
    ensure!(page.status == 200, "the exporter answers {}", page.status);
    let text = page.text();
    let families: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let missing: Vec<_> = FAMILIES
        .iter()
        .filter(|name| !families.contains(name))
        .collect();
    ensure!(missing.is_empty(), "the page lacks {missing:?}");
    for family in FAMILIES {
        let of_family = |line: &&str| line.starts_with(family);
        text.lines()
            .filter(of_family)
            .take(3)
            .for_each(|line| println!("{line}"));
    }
    println!("… {} families in all", families.len());
    println!("\nin this machine's browser: http://{address}/metrics");
    Ok(())
}

/// A unit that fails becomes one event.
pub fn failed_unit(machine: &Machine) -> Result<()> {
    step("a unit that fails: one event, with its last lines");
    machine.write_file("/etc/systemd/system/demo.service", BROKEN)?;
    machine.succeed(["roundsman", "watch-unit", "demo.service"])?;
    machine.succeed(["systemctl", "daemon-reload"])?;
    let output = machine.run(["systemctl", "start", "demo.service"])?;
    ensure!(!output.success(), "demo.service did not fail");
    let events = machine.wait_for("the event", Duration::from_secs(30), || {
        let events = machine.succeed(["roundsman", "events", "--kind", "failure.unit"])?;
        Ok(events.contains("demo.service").then_some(events))
    })?;
    println!("{events}");
    Ok(())
}

/// The timer fires by the clock.
pub fn timer(machine: &Machine) -> Result<()> {
    step("the timer of hostmetrics fires every minute (waiting for the next one)");
    let last = || machine.property("roundsman-hostmetrics.timer", "LastTriggerUSec");
    let before = last()?;
    machine.wait_for("the timer", Duration::from_secs(75), || {
        Ok((last()? != before).then_some(()))
    })?;
    let timers = machine.succeed(["systemctl", "list-timers", "--no-pager", "roundsman-*"])?;
    println!("{timers}");
    Ok(())
}

/// What is in the store now. The CPU's share needs two samples.
pub fn store(machine: &Machine) -> Result<()> {
    step("rows in the store (roundsman samples)");
    let show = ["roundsman", "samples", "--kind=cpu", "--kind=memory"];
    let samples = machine.wait_for("a second sample", Duration::from_secs(30), || {
        let rows = machine.succeed(show)?;
        Ok((rows.contains(" cpu ") && rows.contains(" memory ")).then_some(rows))
    })?;
    println!("{samples}");
    Ok(())
}

/// How to go on by hand.
pub fn ways_to_look(machine: &Machine) {
    step("how to look further, from another terminal (make shell opens a host of its own)");
    let leader = machine.leader();
    for command in [
        "roundsman status",
        "roundsman check",
        "roundsman samples",
        "systemctl list-timers 'roundsman-*'",
        "journalctl -u 'roundsman-*'",
    ] {
        println!("  sudo nsenter -t {leader} -a {command}");
    }
    step("following events; Ctrl-C takes the host down");
}

/// What is left on purpose.
pub fn what_stays() {
    step("gone: processes, mounts, cgroups, interfaces of the host. What stays");
    let programs = layout::programs();
    println!("  {}: the build", programs.display());
    println!(
        "  {}: the root tree, made once per release",
        layout::cache().display()
    );
    println!("  the Debian packages that were installed, if any were");
}

//! Memory, pressure, the kernel's limits, and the host as a whole.

use roundsman_host::{
    Error, conntrack, cpu, entropy, filefd, kernel, load, memory as mem, pressure as psi, uptime,
};
use serde_json::{Map, Value};

use super::{Gathering, percent, put};

pub(super) fn memory(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let memory = mem::read(&gathering.host.root)?;
    gathering.reading("memory", "", memory.used_percent());
    gathering.reading("swap", "", memory.swap_used_percent());
    // A host without swap has no swap condition; one that lost its swap has it no longer.
    gathering.complete(&["memory", "swap"]);
    let sample = gathering.sample("memory");
    for (key, bytes) in [
        ("total", memory.total()),
        ("available", memory.available()),
        ("used", memory.used()),
        ("swap_total", memory.swap_total()),
        ("swap_used", memory.swap_used()),
    ] {
        if let Some(bytes) = bytes {
            sample.insert(key.into(), bytes.into());
        }
    }
    put(sample, "used_percent", memory.used_percent());
    put(sample, "swap_used_percent", memory.swap_used_percent());
    Ok(())
}

/// PSI is absent on kernels that were built or booted without it.
pub(super) fn pressure(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let read = psi::read(&gathering.host.root);
    let Some(pressure) = gathering.optional("pressure", read) else {
        return Ok(());
    };
    for (name, threshold, resource) in [
        ("cpu", "pressure_cpu", &pressure.cpu),
        ("memory", "pressure_memory", &pressure.memory),
        ("io", "pressure_io", &pressure.io),
    ] {
        let Some(resource) = resource else { continue };
        let mut payload = Map::new();
        for (kind, stall) in [("some", &resource.some), ("full", &resource.full)] {
            let Some(stall) = stall else { continue };
            put(&mut payload, &format!("{kind}_avg10"), Some(stall.avg10));
            put(&mut payload, &format!("{kind}_avg60"), Some(stall.avg60));
            put(&mut payload, &format!("{kind}_avg300"), Some(stall.avg300));
        }
        gathering
            .sample("pressure")
            .insert(name.into(), payload.into());
        gathering.reading(
            threshold,
            "",
            resource.some.as_ref().map(|some| some.avg300),
        );
    }
    Ok(())
}

/// File handles, tracked connections, entropy: what the kernel has only so many of.
pub(super) fn limits(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let root = &gathering.host.root;
    let (handles, tracked, pool) = (
        filefd::read(root),
        conntrack::read(root),
        entropy::read(root),
    );
    if let Some(handles) = gathering.optional("limits", handles) {
        let sample = gathering.sample("system");
        sample.insert("descriptors".into(), handles.allocated.into());
        sample.insert("descriptors_limit".into(), handles.maximum.into());
        let used = percent(handles.allocated, handles.maximum);
        gathering.reading("descriptors", "", used);
    }
    if let Some(tracked) = gathering.optional("limits", tracked) {
        let sample = gathering.sample("system");
        sample.insert("conntrack".into(), tracked.entries.into());
        sample.insert("conntrack_limit".into(), tracked.limit.into());
        gathering.reading("conntrack", "", percent(tracked.entries, tracked.limit));
    }
    if let Some(pool) = gathering.optional("limits", pool) {
        gathering
            .sample("system")
            .insert("entropy".into(), pool.available.into());
    }
    if !gathering.round.failed.contains_key("limits") {
        gathering.complete(&["descriptors", "conntrack"]);
    }
    Ok(())
}

pub(super) fn system(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let host = gathering.host;
    let cpus = cpu::read(&host.root).map(|cpu| cpu.cores.len() as u64).ok();
    let boot_time = uptime::boot_time(&host.root).ok();
    let whole: [(&str, Option<Value>); 4] = [
        ("cpus", cpus.map(Value::from)),
        ("boot_time", boot_time.map(Value::from)),
        ("boot_id", uptime::boot_id(&host.root).ok().map(Value::from)),
        ("kernel", Some(kernel::read(host).release.into())),
    ];
    let sample = gathering.sample("system");
    for (key, value) in whole {
        if let Some(value) = value {
            sample.insert(key.into(), value);
        }
    }
    put(
        sample,
        "uptime",
        Some(uptime::read(&host.root)?.as_secs_f64()),
    );
    let load = load::read(&host.root)?;
    for (key, value) in [
        ("load1", load.one),
        ("load5", load.five),
        ("load15", load.fifteen),
    ] {
        put(sample, key, Some(value));
    }
    let per_cpu = cpus
        .filter(|cpus| *cpus > 0)
        .map(|cpus| load.fifteen / cpus as f64);
    gathering.reading("load", "", per_cpu);
    Ok(())
}

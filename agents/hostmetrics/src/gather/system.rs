//! Memory, pressure, the kernel's limits, and the host as a whole.

use roundsman_host::pressure::{self as psi, Pressure};
use roundsman_host::{Error, conntrack, entropy, filefd, kernel, load, memory as mem, uptime};
use serde_json::{Map, Value};

use super::{Gathering, percent, put};

pub(super) fn memory(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let memory = mem::read(&gathering.host.root)?;
    gathering.reading("memory", "", memory.used_percent());
    if memory.used_percent().is_none() {
        gathering.lacks("memory", "no sound MemAvailable in /proc/meminfo");
    }
    gathering.reading("swap", "", memory.swap_used_percent());
    if memory.swap_total() == Some(0) {
        gathering.list(&["swap"]);
    } else if memory.swap_used_percent().is_none() {
        gathering.lacks("memory", "no sound SwapTotal and SwapFree in /proc/meminfo");
    }
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
    let pressure = match psi::read(&gathering.host.root) {
        Err(error) if error.is_no_data() => Pressure::default(),
        read => read?,
    };
    for (name, threshold, resource) in [
        ("cpu", "pressure_cpu", &pressure.cpu),
        ("memory", "pressure_memory", &pressure.memory),
        ("io", "pressure_io", &pressure.io),
    ] {
        let Some(resource) = resource else {
            gathering.list(&[threshold]);
            continue;
        };
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
        let some = resource.some.as_ref();
        gathering.reading(threshold, "", some.map(|some| some.avg300));
        if some.is_none() {
            gathering.lacks("pressure", &format!("no `some` in /proc/pressure/{name}"));
        }
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
    if let Some(handles) = gathering.counted("limits", handles) {
        let sample = gathering.sample("system");
        sample.insert("descriptors".into(), handles.allocated.into());
        sample.insert("descriptors_limit".into(), handles.maximum.into());
        let used = percent(handles.allocated, handles.maximum);
        gathering.reading("descriptors", "", used);
    }
    if tracked.as_ref().is_err_and(Error::is_no_data) {
        gathering.list(&["conntrack"]);
    } else if let Some(tracked) = gathering.counted("limits", tracked) {
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
    Ok(())
}

/// Each figure by itself: one that cannot be read costs no other. The boot's identity and the
/// uptime are read before all collectors.
pub(super) fn system(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let root = &gathering.host.root;
    let (boot_time, load) = (uptime::boot_time(root), load::read(root));
    let boot_time = gathering.counted("system", boot_time);
    let load = gathering.counted("system", load);
    // Where they could not be read, the collector `cpu` has said so.
    let cpus = gathering.counters.cpu.as_ref().map(|cpu| cpu.cores.len());
    let whole: [(&str, Option<Value>); 4] = [
        ("cpus", cpus.map(Value::from)),
        ("boot_time", boot_time.map(Value::from)),
        ("boot_id", gathering.boot_id.clone().map(Value::from)),
        ("kernel", Some(kernel::read(gathering.host).release.into())),
    ];
    let uptime = gathering.uptime.map(|uptime| uptime.as_secs_f64());
    let sample = gathering.sample("system");
    for (key, value) in whole {
        if let Some(value) = value {
            sample.insert(key.into(), value);
        }
    }
    put(sample, "uptime", uptime);
    let Some(load) = load else { return Ok(()) };
    for (key, value) in [
        ("load1", load.one),
        ("load5", load.five),
        ("load15", load.fifteen),
    ] {
        put(sample, key, Some(value));
    }
    let per_cpu = cpus.map(|cpus| load.fifteen / cpus as f64);
    gathering.reading("load", "", per_cpu);
    Ok(())
}

//! CPU usage.

use roundsman_host::Error;
use roundsman_host::cpu::{self, Times, Usage, usage_between};
use serde_json::{Map, Value};

use super::{Gathering, put};

pub(super) fn cpu(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let now = cpu::read(&gathering.host.root)?;
    let before = gathering.before.and_then(|(before, _)| before.cpu.as_ref());
    let total = before.and_then(|before| usage_between(&before.total, &now.total));
    let mut cores = Map::new();
    for core in &now.cores {
        let earlier = before.and_then(|before| times_of(&before.cores, core.number));
        let usage = earlier.and_then(|earlier| usage_between(earlier, &core.times));
        put(
            &mut cores,
            &core.number.to_string(),
            usage.map(|usage| usage.busy),
        );
    }
    if let Some(usage) = total {
        gathering.round.cpu_busy = Some(usage.busy / 100.0);
        let sample = gathering.sample("cpu");
        put(sample, "usage", Some(usage.busy));
        sample.insert("modes".into(), modes(&usage).into());
        sample.insert("cores".into(), cores.into());
    }
    gathering.counters.cpu = Some(now);
    Ok(())
}

fn times_of(cores: &[cpu::Core], number: u64) -> Option<&Times> {
    cores
        .iter()
        .find(|core| core.number == number)
        .map(|core| &core.times)
}

fn modes(usage: &Usage) -> Map<String, Value> {
    let mut modes = Map::new();
    for (name, percent) in [
        ("user", usage.user),
        ("nice", usage.nice),
        ("system", usage.system),
        ("idle", usage.idle),
        ("iowait", usage.iowait),
        ("irq", usage.irq),
        ("softirq", usage.softirq),
        ("steal", usage.steal),
    ] {
        put(&mut modes, name, Some(percent));
    }
    modes
}

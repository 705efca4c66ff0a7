//! Time of the processors by mode: `/proc/stat`.

use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Host, Scrape};
use crate::cpu_throttle::Throttles;
use crate::error::Error;
use crate::exposition::{Page, Value};
use crate::file::read_once;
use crate::root::Root;
use crate::text::{Text, decimal};

/// Ticks of `/proc/stat` in a second (`USER_HZ`), the same on every Linux that Rust runs on.
pub const TICKS_PER_SECOND: u64 = 100;

/// Idle time that goes back by more than this (3 s) means that the processor was taken out and
/// put back; less is the kernel's own jitter.
const REPLUGGED_TICKS: u64 = 3 * TICKS_PER_SECOND;

/// Time spent in each mode since boot, in ticks. Guest time is contained in user and nice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Times {
    pub user: u64,
    pub nice: u64,
    pub system: u64,
    pub idle: u64,
    pub iowait: u64,
    pub irq: u64,
    pub softirq: u64,
    pub steal: u64,
    pub guest: u64,
    pub guest_nice: u64,
}

impl Times {
    /// Ticks in all modes; guest time is counted once.
    pub fn total(&self) -> u64 {
        self.modes()
            .iter()
            .fold(0, |sum, (_, ticks)| sum.saturating_add(*ticks))
    }

    fn modes(&self) -> [(&'static str, u64); 8] {
        [
            ("user", self.user),
            ("nice", self.nice),
            ("system", self.system),
            ("idle", self.idle),
            ("iowait", self.iowait),
            ("irq", self.irq),
            ("softirq", self.softirq),
            ("steal", self.steal),
        ]
    }

    fn cells(&mut self) -> [&mut u64; 10] {
        [
            &mut self.user,
            &mut self.nice,
            &mut self.system,
            &mut self.idle,
            &mut self.iowait,
            &mut self.irq,
            &mut self.softirq,
            &mut self.steal,
            &mut self.guest,
            &mut self.guest_nice,
        ]
    }

    /// Takes over what has grown. Idle and waiting time can go back a little, which a reader of
    /// counters would take for a restart.
    fn advance(&mut self, now: &Self) {
        if self.idle.saturating_sub(now.idle) >= REPLUGGED_TICKS {
            *self = *now;
            return;
        }
        let mut now = *now;
        for (kept, fresh) in self.cells().into_iter().zip(now.cells()) {
            *kept = (*kept).max(*fresh);
        }
    }
}

/// Times of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Core {
    /// Its number.
    pub number: u64,
    /// Its times.
    pub times: Times,
}

/// Times of all processors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// The sum over all processors.
    pub total: Times,
    /// Each processor that is online.
    pub cores: Vec<Core>,
}

/// How the time between two samples was spent, in per cent of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Usage {
    /// Everything but idle and iowait.
    pub busy: f64,
    pub user: f64,
    pub nice: f64,
    pub system: f64,
    pub idle: f64,
    pub iowait: f64,
    pub irq: f64,
    pub softirq: f64,
    pub steal: f64,
}

/// The usage between two samples; `None` when no time passed between them or the host was
/// started anew.
pub fn usage_between(previous: &Times, now: &Times) -> Option<Usage> {
    if now.total() < previous.total() {
        return None;
    }
    let grown = |now: u64, before: u64| now.saturating_sub(before) as f64;
    let shares: Vec<f64> = now
        .modes()
        .iter()
        .zip(previous.modes())
        .map(|((_, now), (_, before))| grown(*now, before))
        .collect();
    let all: f64 = shares.iter().sum();
    if all <= 0.0 {
        return None;
    }
    let percent = |at: usize| shares.get(at).map_or(0.0, |share| 100.0 * share / all);
    Some(Usage {
        busy: 100.0 - percent(3) - percent(4),
        user: percent(0),
        nice: percent(1),
        system: percent(2),
        idle: percent(3),
        iowait: percent(4),
        irq: percent(5),
        softirq: percent(6),
        steal: percent(7),
    })
}

/// Reads the times now.
pub fn read(root: &Root) -> Result<Cpu, Error> {
    read_once(&root.proc("stat"), |text| {
        let mut cpu = Cpu::default();
        parse(text, &mut cpu)?;
        Ok(cpu)
    })
}

fn parse(text: Text<'_>, cpu: &mut Cpu) -> Result<(), Error> {
    cpu.cores.clear();
    let mut total = None;
    for line in text.lines() {
        let Some(number) = line.bytes().strip_prefix(b"cpu") else {
            break;
        };
        let mut fields = line.fields();
        fields.next();
        let mut row = [0; 10];
        if fields.numbers("processor time", &mut row)? < 4 {
            return Err(line.malformed("processor times"));
        }
        let mut times = Times::default();
        for (cell, ticks) in times.cells().into_iter().zip(row) {
            *cell = ticks;
        }
        let digits = number.iter().take_while(|byte| **byte != b' ').count();
        match &number[..digits] {
            [] => total = Some(times),
            digits => cpu.cores.push(Core {
                number: decimal(digits).ok_or_else(|| line.malformed("processor number"))?,
                times,
            }),
        }
    }
    if cpu.cores.is_empty() {
        return Err(text.missing("processor"));
    }
    cpu.total = total.ok_or_else(|| text.missing("sum over all processors"))?;
    Ok(())
}

pub(crate) struct CpuCollector {
    fresh: Cpu,
    shown: Vec<Core>,
    throttles: Throttles,
}

impl CpuCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            fresh: Cpu::default(),
            shown: Vec::new(),
            throttles: Throttles::new(&host.root),
        })
    }

    fn advance(&mut self) {
        let fresh = &self.fresh.cores;
        self.shown
            .retain(|shown| fresh.iter().any(|core| core.number == shown.number));
        for core in fresh {
            match self.shown.iter_mut().find(|s| s.number == core.number) {
                Some(shown) => shown.times.advance(&core.times),
                None => self.shown.push(*core),
            }
        }
        self.shown.sort_unstable_by_key(|core| core.number);
    }
}

impl Collector for CpuCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        parse(scrape.stat.read()?, &mut self.fresh)?;
        self.advance();
        write(&self.shown, scrape.page);
        self.throttles.collect(scrape);
        Ok(())
    }
}

fn write(cores: &[Core], page: &mut Page) {
    let mut digits = itoa::Buffer::new();
    let mut family = page.counter(
        "node_cpu_seconds_total",
        "Time that each processor spent in each mode, in seconds.",
    );
    for core in cores {
        let cpu = digits.format(core.number);
        for (mode, ticks) in core.times.modes() {
            family.sample(&[("cpu", cpu), ("mode", mode)], Value::hundredths(ticks));
        }
    }
    let mut family = page.counter(
        "node_cpu_guest_seconds_total",
        "Time that each processor spent running virtual machines, in seconds; also part of user and nice.",
    );
    for core in cores {
        let cpu = digits.format(core.number);
        let guest = Value::hundredths(core.times.guest);
        let nice = Value::hundredths(core.times.guest_nice);
        family.sample(&[("cpu", cpu), ("mode", "user")], guest);
        family.sample(&[("cpu", cpu), ("mode", "nice")], nice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(text: &str) -> Result<Cpu, Error> {
        let mut cpu = Cpu::default();
        parse(
            Text::new(Path::new("/proc/stat"), text.as_bytes()),
            &mut cpu,
        )?;
        Ok(cpu)
    }

    #[test]
    fn old_kernels_have_fewer_modes() {
        let cpu = parsed("cpu  1 2 3 4\ncpu0 1 2 3 4\nintr 5\n").unwrap();
        assert_eq!(cpu.cores.len(), 1);
        assert_eq!(cpu.total.total(), 10);
        assert_eq!(cpu.cores[0].times.steal, 0);
        for wrong in [
            "cpu  1 2 3\ncpu0 1 2 3\n",
            "cpu0 1 2 3 4\n",
            "cpux 1 2 3 4\n",
            "intr 5\n",
            "",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn usage_comes_from_two_samples() {
        let before = Times {
            user: 100,
            idle: 900,
            ..Times::default()
        };
        let now = Times {
            user: 130,
            system: 10,
            idle: 950,
            iowait: 10,
            guest: 25,
            ..Times::default()
        };
        let usage = usage_between(&before, &now).unwrap();
        assert_eq!(usage.busy, 40.0);
        assert_eq!(usage.user, 30.0);
        assert_eq!(usage.iowait, 10.0);
        assert_eq!(usage_between(&now, &now), None);
        assert_eq!(usage_between(&now, &before), None, "a restart");
    }

    #[test]
    fn small_steps_back_are_hidden_and_a_replugged_processor_starts_anew() {
        let mut shown = Times {
            user: 50,
            idle: 1000,
            ..Times::default()
        };
        shown.advance(&Times {
            user: 51,
            idle: 999,
            ..Times::default()
        });
        assert_eq!((shown.user, shown.idle), (51, 1000));
        shown.advance(&Times {
            user: 2,
            idle: 10,
            ..Times::default()
        });
        assert_eq!((shown.user, shown.idle), (2, 10));
    }
}

//! The kernel's clock discipline: `adjtimex(2)`.

use std::io;

use crate::calls::ClockState;
use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::{Page, Value};

/// 1 / 65536 parts per million.
const PPM_FRACTION: f64 = 65_536.0 * 1e6;

/// The state of the clock discipline; [`Error::NoData`] where a sandbox forbids to ask.
pub fn read(host: &Host) -> Result<ClockState, Error> {
    ask(host.calls.clock_state)
}

fn ask(call: fn() -> io::Result<ClockState>) -> Result<ClockState, Error> {
    call().map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => Error::NoData {
            what: "permission to ask for the clock's state",
        },
        _ => Error::Call {
            call: "adjtimex",
            source,
        },
    })
}

pub(crate) struct TimexCollector(fn() -> io::Result<ClockState>);

impl TimexCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(host.calls.clock_state))
    }
}

impl Collector for TimexCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let state = ask(self.0)?;
        discipline(&state, scrape.page);
        pulse(&state, scrape.page);
        Ok(())
    }
}

/// A signed count of microseconds or nanoseconds in seconds.
fn seconds(count: i64, nanoseconds: bool) -> Value {
    match u64::try_from(count) {
        Ok(count) if nanoseconds => Value::billionths(count),
        Ok(count) => Value::millionths(count),
        Err(_) => Value::Float(count as f64 / if nanoseconds { 1e9 } else { 1e6 }),
    }
}

fn discipline(state: &ClockState, page: &mut Page) {
    page.gauge(
        "node_timex_sync_status",
        "Whether the clock follows a reference: 1 yes, 0 no.",
    )
    .value(state.synchronised);
    page.gauge(
        "node_timex_offset_seconds",
        "Offset between the clock and its reference, in seconds.",
    )
    .value(seconds(state.offset, state.nanoseconds));
    page.gauge(
        "node_timex_frequency_adjustment_ratio",
        "How much faster the clock is made to run.",
    )
    .value(1.0 + state.frequency as f64 / PPM_FRACTION);
    page.gauge(
        "node_timex_maxerror_seconds",
        "Largest possible error of the clock, in seconds.",
    )
    .value(seconds(state.max_error, false));
    page.gauge(
        "node_timex_estimated_error_seconds",
        "Estimated error of the clock, in seconds.",
    )
    .value(seconds(state.estimated_error, false));
    page.gauge("node_timex_status", "Status bits of the clock discipline.")
        .value(state.status);
    page.gauge(
        "node_timex_loop_time_constant",
        "Time constant of the phase-locked loop.",
    )
    .value(state.constant);
    page.gauge("node_timex_tick_seconds", "Time between ticks, in seconds.")
        .value(seconds(state.tick, false));
    page.gauge(
        "node_timex_tai_offset_seconds",
        "Offset to international atomic time, in seconds.",
    )
    .value(state.tai);
}

fn pulse(state: &ClockState, page: &mut Page) {
    page.gauge(
        "node_timex_pps_frequency_hertz",
        "Pulse per second: frequency.",
    )
    .value(state.pps_frequency as f64 / PPM_FRACTION);
    page.gauge("node_timex_pps_jitter_seconds", "Pulse per second: jitter.")
        .value(seconds(state.pps_jitter, state.nanoseconds));
    page.gauge(
        "node_timex_pps_shift_seconds",
        "Pulse per second: length of the interval.",
    )
    .value(state.pps_shift);
    page.gauge(
        "node_timex_pps_stability_hertz",
        "Pulse per second: average of the latest changes of frequency.",
    )
    .value(state.pps_stability as f64 / PPM_FRACTION);
    page.counter(
        "node_timex_pps_jitter_total",
        "Pulse per second: how often the limit of jitter was exceeded.",
    )
    .value(state.pps_jitter_exceeded);
    page.counter(
        "node_timex_pps_calibration_total",
        "Pulse per second: calibration intervals.",
    )
    .value(state.pps_calibrations);
    page.counter(
        "node_timex_pps_error_total",
        "Pulse per second: calibration errors.",
    )
    .value(state.pps_errors);
    page.counter(
        "node_timex_pps_stability_exceeded_total",
        "Pulse per second: how often the limit of stability was exceeded.",
    )
    .value(state.pps_stability_exceeded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_call_is_no_failure() {
        let mut host = Host::new(crate::Root::new("/nonexistent"));
        host.calls.clock_state = || Err(io::Error::from_raw_os_error(libc::EPERM));
        assert!(read(&host).unwrap_err().is_no_data());
        host.calls.clock_state = || Err(io::Error::from_raw_os_error(libc::EFAULT));
        assert!(!read(&host).unwrap_err().is_no_data());
    }
}

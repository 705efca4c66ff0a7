//! `adjtimex(2)` without changing anything. The only unsafe code of the crate.

use std::io;

/// `TIME_ERROR`: the clock is not synchronised.
const NOT_SYNCHRONISED: i32 = 5;

/// `STA_NANO`: offset and jitter are in nanoseconds, not microseconds.
const NANOSECONDS: i32 = 0x2000;

/// The state of the kernel's clock discipline, in the kernel's own units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockState {
    /// The clock follows a reference.
    pub synchronised: bool,
    /// `offset` and `jitter` are in nanoseconds; otherwise in microseconds.
    pub nanoseconds: bool,
    /// Status bits (`STA_*`).
    pub status: i64,
    /// Offset to the reference.
    pub offset: i64,
    /// Frequency adjustment: 1 / 65536 parts per million.
    pub frequency: i64,
    /// Largest possible error, microseconds.
    pub max_error: i64,
    /// Estimated error, microseconds.
    pub estimated_error: i64,
    /// Time constant of the phase-locked loop.
    pub constant: i64,
    /// Microseconds between ticks.
    pub tick: i64,
    /// Offset to international atomic time, seconds.
    pub tai: i64,
    /// Pulse per second: frequency, 1 / 65536 parts per million.
    pub pps_frequency: i64,
    /// Pulse per second: jitter.
    pub pps_jitter: i64,
    /// Pulse per second: interval, power of two of seconds.
    pub pps_shift: i64,
    /// Pulse per second: stability, 1 / 65536 parts per million.
    pub pps_stability: i64,
    /// Pulse per second: times that the jitter limit was exceeded.
    pub pps_jitter_exceeded: i64,
    /// Pulse per second: calibration intervals.
    pub pps_calibrations: i64,
    /// Pulse per second: calibration errors.
    pub pps_errors: i64,
    /// Pulse per second: times that the stability limit was exceeded.
    pub pps_stability_exceeded: i64,
}

/// Asks the kernel.
#[allow(unsafe_code)]
pub(crate) fn read() -> io::Result<ClockState> {
    // SAFETY: `timex` is a plain C structure of integers, for which all zeros is a valid value;
    // `modes` = 0 asks the kernel to change nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid `timex` that lives for the whole call, and the kernel
    // writes nothing but that structure.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ClockState {
        synchronised: state != NOT_SYNCHRONISED,
        nanoseconds: timex.status & NANOSECONDS != 0,
        status: i64::from(timex.status),
        offset: timex.offset,
        frequency: timex.freq,
        max_error: timex.maxerror,
        estimated_error: timex.esterror,
        constant: timex.constant,
        tick: timex.tick,
        tai: i64::from(timex.tai),
        pps_frequency: timex.ppsfreq,
        pps_jitter: timex.jitter,
        pps_shift: i64::from(timex.shift),
        pps_stability: timex.stabil,
        pps_jitter_exceeded: timex.jitcnt,
        pps_calibrations: timex.calcnt,
        pps_errors: timex.errcnt,
        pps_stability_exceeded: timex.stbcnt,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        let state = super::read().unwrap();
        assert!(state.tick > 0, "{state:?}");
    }
}

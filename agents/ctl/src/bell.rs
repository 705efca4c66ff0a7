//! Waiting for what another program writes into the store.

use std::time::Duration;

use roundsman_store::Doorbell;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest pause between two looks, for where nobody rings.
const SWEEP: Duration = Duration::from_millis(500);

/// Waits for the bell, at most for `left` and never long.
///
/// # Errors
/// The doorbell cannot be read.
pub fn hear(doorbell: &mut Doorbell, left: Duration) -> std::io::Result<()> {
    let left = left.min(SWEEP);
    let left = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    // However it ends, the caller looks.
    let _ = poll(&mut [PollFd::new(doorbell, PollFlags::IN)], Some(&left));
    doorbell.drain()?;
    Ok(())
}

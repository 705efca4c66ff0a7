//! The output of another program, with an end: however long it runs and however much it prints.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was killed when the time was up.
    TooSlow,
    /// It was killed because it printed more than was wanted.
    TooMuch,
}

/// What the program printed on its standard output, and how it ended.
///
/// # Errors
/// It cannot be started or waited for.
pub fn capture(command: &mut Command, limit: Duration, most: usize) -> io::Result<(Vec<u8>, End)> {
    let deadline = Instant::now() + limit;
    let mut child = Reaped(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut text = Vec::new();
    if let Some(mut stdout) = child.0.stdout.take() {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if !is_ready(&stdout, deadline)? {
                return Ok((text, End::TooSlow));
            }
            match stdout.read(&mut buffer)? {
                0 => break,
                read => text.extend_from_slice(&buffer[..read]),
            }
            if text.len() > most {
                text.truncate(most);
                return Ok((text, End::TooMuch));
            }
        }
    }
    // Its output has ended; it need not have.
    let process = pidfd_open(Pid::from_child(&child.0), PidfdFlags::empty())?;
    if !is_ready(&process, deadline)? {
        return Ok((text, End::TooSlow));
    }
    Ok((text, End::Exited(child.0.wait()?)))
}

/// A child that does not outlive this value.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only for a child that is gone, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until there is something to read; false when the time was up before.
fn is_ready(source: &impl AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> (String, End) {
        let mut command = Command::new("/bin/sh");
        let (text, end) = capture(command.args(["-c", script]), limit, 8).unwrap();
        (String::from_utf8(text).unwrap(), end)
    }

    #[test]
    fn what_was_read_before_the_cut_is_kept() {
        let patience = roundsman_tests::PATIENCE;
        let (text, end) = sh("echo a; exit 3", patience);
        assert_eq!(text, "a\n");
        assert!(matches!(end, End::Exited(status) if status.code() == Some(3)));
        let (text, end) = sh("while :; do echo ab; done", patience);
        assert_eq!((text.as_str(), end), ("ab\nab\nab", End::TooMuch));
        let short = Duration::from_millis(300);
        // Neither an open pipe nor a process that has closed it is waited for.
        for script in ["exec sleep 1000", "exec sleep 1000 >&-"] {
            assert_eq!(sh(script, short), (String::new(), End::TooSlow), "{script}");
        }
    }
}

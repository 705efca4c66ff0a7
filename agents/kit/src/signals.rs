//! Signals as readable descriptors, so that a loop waits for them beside everything else.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::{Agent, Kind};

/// The stop and reload requests of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: UnixStream,
    reload: UnixStream,
    /// Kept so that the reading ends never see an end of file.
    _writers: [UnixStream; 2],
}

impl Signals {
    /// Installs the handlers of a daemon. A oneshot keeps the default actions: it ends at once,
    /// and its transaction with it.
    pub fn install(agent: &Agent) -> io::Result<Self> {
        let (stop, stop_writer) = UnixStream::pair()?;
        let (reload, reload_writer) = UnixStream::pair()?;
        reload.set_nonblocking(true)?;
        if agent.kind == Kind::Daemon {
            pipe::register(SIGTERM, stop_writer.try_clone()?)?;
            pipe::register(SIGINT, stop_writer.try_clone()?)?;
            pipe::register(SIGHUP, reload_writer.try_clone()?)?;
        }
        Ok(Self {
            stop,
            reload,
            _writers: [stop_writer, reload_writer],
        })
    }

    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.stop.as_fd(), self.reload.as_fd()]
    }

    /// A stop request is never taken back, so its byte is left in the pipe.
    pub fn stop_requested(&self) -> bool {
        let mut fds = [PollFd::new(&self.stop, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Several requests before one reload are one.
    pub fn clear_reload(&self) {
        let mut bytes = [0; 64];
        while (&self.reload)
            .read(&mut bytes)
            .is_ok_and(|read| read == bytes.len())
        {}
    }
}

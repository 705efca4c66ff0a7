//! `roundsman events --follow`: asleep until the bell rings.

use std::io::{self, Write};
use std::os::fd::AsFd;

use roundsman_store::event::{self, EventId, Filter};
use roundsman_store::{Doorbell, Store};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Format, PAGE, line};
use crate::host::Host;
use crate::terminal::{Out, complain};

/// How long to wait for the bell before looking whether a writer did not ring.
const SWEEP: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// Hears of new events.
pub struct Follower {
    doorbell: Doorbell,
}

impl Follower {
    /// Starts to listen.
    pub fn open(host: &Host) -> anyhow::Result<Self> {
        Ok(Self {
            doorbell: Doorbell::open(&host.location()?)?,
        })
    }

    /// Writes what comes after `position` until nobody reads on.
    pub fn run(
        mut self,
        store: &mut Store,
        mut position: EventId,
        filter: &Filter,
        format: Format,
        out: &mut Out,
    ) -> anyhow::Result<()> {
        loop {
            let (page, newest) = store.read(|tx| {
                let page = event::after(tx, filter, position, PAGE)?;
                Ok((page, event::newest_id(tx)?))
            })?;
            position = match page.reached {
                Some(reached) if page.is_full => reached,
                // What does not pass the filter is not looked at again.
                _ => newest,
            };
            complain(page.rows.complaints());
            for event in &page.rows.found {
                line::write(event, format, out)?;
            }
            out.flush()?;
            if !page.is_full && !self.wait(store)? {
                return Ok(());
            }
        }
    }

    /// Waits until there is something to look at; false when nobody reads standard output.
    fn wait(&mut self, store: &mut Store) -> anyhow::Result<bool> {
        loop {
            let stdout = io::stdout();
            let mut fds = [
                PollFd::new(&self.doorbell, PollFlags::IN),
                // Nothing is asked for: the end of the reader is reported all the same.
                PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()),
            ];
            match poll(&mut fds, Some(&SWEEP)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            }
            if fds[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                return Ok(false);
            }
            let has_rung = self.doorbell.drain()?;
            if store.changed()? || has_rung {
                return Ok(true);
            }
        }
    }
}

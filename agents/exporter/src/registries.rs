//! The daemons' own figures, from `/run/roundsman/<unit>/metrics.sock`.
//!
//! All of them are asked at once, before the host is read, and answer meanwhile; one poll(2) loop
//! then gathers the answers. A daemon that is late, garbles its answer or sends too much of it
//! costs its own families.

mod http;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use roundsman_host::exposition::parse::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::family::{self, Family, Unfit};

/// The most daemons that are asked.
const MOST: usize = 64;
/// What is read at once.
const CHUNK: usize = 32 * 1024;

/// Where the sockets are, and what an answer may take.
#[derive(Debug)]
pub struct Registries {
    /// `/run/roundsman`
    pub directory: PathBuf,
    /// The unit that is not asked: this one.
    pub own: String,
    /// How long an answer may take.
    pub deadline: Duration,
    /// How large an answer may be.
    pub size: usize,
}

/// What became of one question.
#[derive(Debug)]
pub struct Answer {
    /// The unit without `roundsman-` and suffix: `herald`, `beacon@prod`.
    pub unit: String,
    /// How long it took.
    pub took: Duration,
    /// What it has.
    pub families: Result<Vec<Family>, Fault>,
}

/// Why a daemon's figures are not shown.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("has not answered within {0:?}")]
    Late(Duration),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer is not HTTP: {0}")]
    NotHttp(&'static str),
    #[error("answers with the status {0}")]
    Status(u16),
    #[error("{0}")]
    Unfit(#[from] Unfit),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Questions that are under way.
#[derive(Debug)]
pub struct Round {
    asked: Vec<Asked>,
    begun: Instant,
    until: Instant,
    size: usize,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Asked {
    unit: String,
    /// `None` once the answer is whole or given up.
    socket: Option<OwnedFd>,
    page: Vec<u8>,
    fault: Option<Fault>,
    took: Duration,
}

impl Registries {
    /// Asks every daemon whose socket is there.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn ask(&self, scrape_ends: Instant) -> io::Result<Round> {
        let begun = Instant::now();
        let mut units: Vec<String> = fs::read_dir(&self.directory)?
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|unit| *unit != self.own)
            .collect();
        units.sort_unstable();
        let asked = units.into_iter().filter_map(|unit| self.ask_one(unit));
        Ok(Round {
            asked: asked.take(MOST).collect(),
            begun,
            until: scrape_ends.min(begun + self.deadline),
            size: self.size,
            buffer: Vec::new(),
        })
    }

    /// Sends the question; `None` where nobody serves a registry.
    fn ask_one(&self, unit: String) -> Option<Asked> {
        let (socket, fault) = match self.send(&unit) {
            Ok(socket) => (Some(socket), None),
            // A directory of something else.
            Err(Errno::NOENT) => return None,
            Err(errno) => (None, Some(errno.into())),
        };
        Some(Asked {
            unit,
            socket,
            page: Vec::new(),
            fault,
            took: Duration::ZERO,
        })
    }

    fn send(&self, unit: &str) -> Result<OwnedFd, Errno> {
        let path = self.directory.join(unit).join("metrics.sock");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(&path)?)?;
        // A new socket's buffer takes so little whole.
        rustix::net::send(&socket, http::QUESTION, SendFlags::NOSIGNAL)?;
        Ok(socket)
    }
}

impl Round {
    /// Reads what has come until every answer is whole or the time is up.
    pub fn gather(mut self) -> Vec<Answer> {
        self.buffer.resize(CHUNK, 0);
        while let Some(ready) = self.wait() {
            for at in ready {
                self.receive(at);
            }
        }
        let late = self.until - self.begun;
        let limits = Limits {
            bytes: self.size,
            ..Limits::default()
        };
        self.asked
            .into_iter()
            .map(|asked| asked.answer(late, &limits))
            .collect()
    }

    /// The questions of which something can be read; `None` when there is nothing to wait for.
    fn wait(&self) -> Option<Vec<usize>> {
        let open = self.asked.iter().enumerate();
        let open = open.filter_map(|(at, asked)| Some((at, asked.socket.as_ref()?)));
        let (places, mut fds): (Vec<usize>, Vec<PollFd<'_>>) = open
            .map(|(at, socket)| (at, PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)))
            .unzip();
        let left = self.until.saturating_duration_since(Instant::now());
        if fds.is_empty() || left.is_zero() {
            return None;
        }
        match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => None,
            Ok(_) => {
                let ready = places.into_iter().zip(&fds);
                let ready = ready.filter(|(_, fd)| !fd.revents().is_empty());
                Some(ready.map(|(at, _)| at).collect())
            }
            Err(Errno::INTR) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    fn receive(&mut self, at: usize) {
        let Self { asked, buffer, .. } = self;
        let asked = &mut asked[at];
        let Some(socket) = &asked.socket else {
            return;
        };
        let outcome = match rustix::io::read(socket, &mut buffer[..]) {
            Ok(0) => Ok(true),
            Ok(length) => {
                asked.page.extend_from_slice(&buffer[..length]);
                http::is_whole(&asked.page, self.size)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        };
        if !matches!(outcome, Ok(false)) {
            asked.socket = None;
            asked.took = self.begun.elapsed();
            asked.fault = outcome.err();
        }
    }
}

impl Asked {
    fn answer(self, late: Duration, limits: &Limits) -> Answer {
        let (families, took) = match (self.fault, self.socket) {
            (Some(fault), _) => (Err(fault), self.took),
            (None, Some(_)) => (Err(Fault::Late(late)), late),
            (None, None) => (read(&self.page, limits), self.took),
        };
        Answer {
            unit: self.unit,
            took,
            families,
        }
    }
}

fn read(page: &[u8], limits: &Limits) -> Result<Vec<Family>, Fault> {
    let body = http::body(page, limits.bytes)?;
    Ok(family::read(body, limits)?)
}

#[cfg(test)]
mod tests;

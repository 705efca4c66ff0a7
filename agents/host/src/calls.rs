//! The few figures that come from system calls instead of files, behind function pointers so
//! that a test can give its own.

use std::io;
use std::path::Path;
use std::time::SystemTime;

pub use crate::adjtimex::ClockState;

/// The system calls that collectors use.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// Space and inodes of the file system mounted at a path; may block without end.
    pub space: fn(&Path) -> io::Result<Space>,
    /// What the kernel calls itself and the host.
    pub uname: fn() -> Uname,
    /// The state of the kernel's clock discipline.
    pub clock_state: fn() -> io::Result<ClockState>,
    /// The time of day.
    pub now: fn() -> SystemTime,
    /// Bytes of a page of memory.
    pub page_size: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            space,
            uname,
            clock_state: crate::adjtimex::read,
            now: SystemTime::now,
            page_size: rustix::param::page_size(),
        }
    }
}

/// Space and inodes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes in all.
    pub size: u64,
    /// Bytes not used.
    pub free: u64,
    /// Bytes not used that anyone may use.
    pub available: u64,
    /// Inodes in all; 0 where the file system makes them as it needs them.
    pub files: u64,
    /// Inodes not used.
    pub files_free: u64,
}

/// What `uname(2)` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uname {
    /// `Linux`.
    pub system: String,
    /// The kernel's release.
    pub release: String,
    /// The kernel's build.
    pub version: String,
    /// The hardware's name.
    pub machine: String,
    /// The host's name.
    pub node: String,
    /// The NIS domain.
    pub domain: String,
}

fn space(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        size: bytes(found.f_blocks),
        free: bytes(found.f_bfree),
        available: bytes(found.f_bavail),
        files: found.f_files,
        files_free: found.f_ffree,
    })
}

fn uname() -> Uname {
    let found = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Uname {
        system: text(found.sysname()),
        release: text(found.release()),
        version: text(found.version()),
        machine: text(found.machine()),
        node: text(found.nodename()),
        domain: text(found.domainname()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_calls_answer_within_reason() {
        let calls = Calls::default();
        let space = (calls.space)(Path::new("/")).unwrap();
        assert!(space.size > 0 && space.free <= space.size && space.available <= space.free);
        assert!((calls.space)(Path::new("/nonexistent")).is_err());
        assert_eq!((calls.uname)().system, "Linux");
        assert!(calls.page_size >= 4096);
    }
}

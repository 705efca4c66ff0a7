//! The turn to write: locks on two bytes of a side file, taken before `BEGIN IMMEDIATE`.
//!
//! SQLite's own lock with pauses starves whoever is unlucky. A kernel lock alone does as well: who
//! has just let go of it is still running, and takes it again before the waiters have woken. So
//! there are two, as at a turnstile: one byte is the place of who is next, held while waiting for
//! the other, the turn. Who comes back finds that place taken and queues behind it.
//!
//! They are open file description locks (`F_OFD_SETLK`, fcntl(2)): the kernel frees them when
//! their holder dies, and two stores of one process exclude each other. They have no timeout, so
//! a thread of its own waits in the kernel on our behalf once there is contention, and we wait
//! for the thread. It is started by the first contention and sleeps between two.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock};

/// The waiting thread takes locks and does nothing else.
const STACK: usize = 64 * 1024;

/// The bytes of the side file. Locks lie on offsets, so the file stays empty.
#[derive(Debug, Clone, Copy)]
enum Byte {
    Next = 0,
    Turn = 1,
}

/// Our entry to the queue; one per store, so that two stores of one process exclude each other.
#[derive(Debug)]
pub(crate) struct Ticket {
    path: PathBuf,
    file: Arc<File>,
    waiter: Option<Waiter>,
}

/// The turn is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t>(&'t File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        release(self.0, Byte::Turn);
    }
}

impl Ticket {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // The standard library opens with O_CLOEXEC.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            file: Arc::new(file),
            waiter: None,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the turn until `deadline`; `None` if somebody else had it all the time.
    pub(crate) fn take(&mut self, deadline: Instant) -> io::Result<Option<Turn<'_>>> {
        self.reopen_if_removed()?;
        let queued = self.waiter.as_ref().is_some_and(Waiter::is_queued);
        if !queued && try_turn(&self.file)? {
            return Ok(Some(Turn(&self.file)));
        }
        let waiter = match self.waiter.take() {
            Some(waiter) => waiter,
            None => Waiter::start(Arc::clone(&self.file))?,
        };
        let granted = self.waiter.insert(waiter).wait(deadline)?;
        Ok(granted.then(|| Turn(&self.file)))
    }

    /// A ticket that was removed and made anew excludes nobody who has the new one. SQLite's
    /// own lock holds in the meantime, so this is about fairness, not about safety.
    fn reopen_if_removed(&mut self) -> io::Result<()> {
        if self.file.metadata()?.nlink() > 0 {
            return Ok(());
        }
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// The turn, if it is free and nobody waits for it. The place of who is next is kept otherwise
/// if it was free: the waiting thread goes on from there, for its lock is the same.
fn try_turn(file: &File) -> io::Result<bool> {
    if !try_lock(file, Byte::Next)? {
        return Ok(false);
    }
    let turn = try_lock(file, Byte::Turn);
    if !matches!(turn, Ok(false)) {
        release(file, Byte::Next);
    }
    turn
}

fn try_lock(file: &File, byte: Byte) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock_of(byte, F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// In the kernel's queue for the place of who is next, then for the turn.
fn wait_for_turn(file: &File) -> nix::Result<()> {
    wait_for(file, Byte::Next)?;
    let turn = wait_for(file, Byte::Turn);
    release(file, Byte::Next);
    turn
}

fn wait_for(file: &File, byte: Byte) -> nix::Result<()> {
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&lock_of(byte, F_WRLCK))) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

fn release(file: &File, byte: Byte) {
    // Unlocking fails only for a bad descriptor, and ours is open.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock_of(byte, F_UNLCK)));
}

fn lock_of(byte: Byte, kind: c_int) -> flock {
    flock {
        l_type: kind as _,
        l_whence: SEEK_SET as _,
        l_start: byte as _,
        l_len: 1,
        l_pid: 0,
    }
}

/// Where the waiting thread and its owner stand.
#[derive(Debug)]
enum Stage {
    /// Nobody waits.
    Idle,
    /// The owner waits for the thread, the thread for the kernel.
    Wanted,
    /// The owner gave up; the thread is still in the kernel's queue.
    GivenUp,
    /// The thread got the lock for the owner.
    Granted,
    /// The thread could not get it.
    Failed(Errno),
    /// The owner is gone.
    Closed,
}

#[derive(Debug)]
struct Shared {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'g>(&self, stage: MutexGuard<'g, Stage>) -> MutexGuard<'g, Stage> {
        self.changed
            .wait(stage)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Waiter(Arc<Shared>);

impl Drop for Waiter {
    fn drop(&mut self) {
        *self.0.stage() = Stage::Closed;
        self.0.changed.notify_all();
    }
}

impl Waiter {
    fn start(file: Arc<File>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            stage: Mutex::new(Stage::Idle),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("write-ticket".into())
            .stack_size(STACK)
            .spawn(move || queue_for(&theirs, &file))?;
        Ok(Self(shared))
    }

    /// Whether the thread is still in the kernel's queue from an earlier attempt. A lock taken
    /// past it on the same descriptor would be handed to both.
    fn is_queued(&self) -> bool {
        matches!(*self.0.stage(), Stage::GivenUp)
    }

    fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let mut stage = self.0.stage();
        *stage = Stage::Wanted;
        self.0.changed.notify_all();
        while matches!(*stage, Stage::Wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *stage = Stage::GivenUp;
                return Ok(false);
            }
            let woken = self.0.changed.wait_timeout(stage, left);
            stage = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        match std::mem::replace(&mut *stage, Stage::Idle) {
            Stage::Failed(errno) => Err(errno.into()),
            _ => Ok(true),
        }
    }
}

/// The thread: takes the lock whenever it is wanted, and gives it back if the owner gave up.
fn queue_for(shared: &Shared, file: &File) {
    let mut stage = shared.stage();
    loop {
        match *stage {
            Stage::Closed => return,
            Stage::Idle | Stage::Granted | Stage::Failed(_) => {
                stage = shared.sleep(stage);
                continue;
            }
            Stage::Wanted | Stage::GivenUp => {}
        }
        drop(stage);
        let outcome = wait_for_turn(file);
        stage = shared.stage();
        match (&*stage, outcome) {
            (Stage::Wanted, Ok(())) => *stage = Stage::Granted,
            (Stage::Wanted, Err(errno)) => *stage = Stage::Failed(errno),
            (Stage::GivenUp, outcome) => {
                *stage = Stage::Idle;
                if outcome.is_ok() {
                    release(file, Byte::Turn);
                }
            }
            // Closing the last copy of the descriptor releases the lock.
            _ => return,
        }
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn two() -> (tempfile::TempDir, Ticket, Ticket) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticket");
        File::create(&path).unwrap();
        let [a, b] = [(); 2].map(|()| Ticket::open(&path).unwrap());
        (dir, a, b)
    }

    #[test]
    fn one_at_a_time_and_the_wait_ends_at_the_deadline() {
        let (_dir, mut a, mut b) = two();
        let turn = a.take(late()).unwrap().unwrap();
        let before = Instant::now();
        assert!(b.take(soon()).unwrap().is_none());
        assert!(before.elapsed() >= Duration::from_millis(20));
        drop(turn);
        assert!(b.take(late()).unwrap().is_some());
    }

    #[test]
    fn a_turn_that_comes_after_giving_up_is_passed_on() {
        let (_dir, mut a, mut b) = two();
        let turn = a.take(late()).unwrap().unwrap();
        assert!(b.take(soon()).unwrap().is_none());
        drop(turn);
        // b's thread may hold the lock for a moment; it must let go of it unasked.
        for _ in 0..100 {
            drop(a.take(late()).unwrap().unwrap());
        }
    }

    #[test]
    fn giving_up_twice_and_asking_again_joins_the_queue_once() {
        let (_dir, mut a, mut b) = two();
        let turn = a.take(late()).unwrap().unwrap();
        assert!(b.take(soon()).unwrap().is_none());
        assert!(b.take(soon()).unwrap().is_none());
        thread::scope(|scope| {
            let asks = scope.spawn(move || b.take(late()).unwrap().is_some());
            drop(turn);
            assert!(asks.join().unwrap());
        });
        assert!(a.take(late()).unwrap().is_some());
    }

    #[test]
    fn dropping_a_ticket_that_is_queued_leaves_the_lock_to_others() {
        let (_dir, mut a, mut b) = two();
        let turn = a.take(late()).unwrap().unwrap();
        assert!(b.take(soon()).unwrap().is_none());
        drop(b);
        drop(turn);
        assert!(a.take(late()).unwrap().is_some());
    }

    #[test]
    fn a_ticket_that_was_made_anew_is_opened_again() {
        let (dir, mut a, _) = two();
        let path = dir.path().join("ticket");
        std::fs::remove_file(&path).unwrap();
        assert!(a.take(soon()).is_err());
        File::create(&path).unwrap();
        let mut fresh = Ticket::open(&path).unwrap();
        let turn = fresh.take(soon()).unwrap().unwrap();
        assert!(a.take(soon()).unwrap().is_none());
        drop(turn);
        assert!(a.take(late()).unwrap().is_some());
    }
}

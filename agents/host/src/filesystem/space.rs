//! Asks file systems for their space without waiting for one that hangs.
//!
//! `statvfs` on a network or FUSE mount whose server is gone can block without end. Such mounts
//! are asked by threads of their own; there is never more than one call under way per mount, and
//! the scrape goes on without the answer after a deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::calls::Space;

type Call = fn(&Path) -> io::Result<Space>;

/// The asking thread does one system call.
const STACK_BYTES: usize = 64 * 1024;

/// How many mounts are asked at once. Where so many hang, the others that may hang wait for them.
const THREADS: usize = 8;

/// A file system to be asked.
pub(super) struct Question<'a> {
    pub(super) path: &'a Path,
    /// It may hang.
    pub(super) slow: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    Space(Space),
    Failed(io::Error),
    /// No answer in time, or a former call is still under way.
    TimedOut,
}

impl From<io::Result<Space>> for Answer {
    fn from(result: io::Result<Space>) -> Self {
        result.map_or_else(Self::Failed, Self::Space)
    }
}

/// Knows how to ask, and which calls are under way.
pub(super) struct Asker {
    call: Call,
    queue: Arc<Mutex<Queue>>,
    answers: Receiver<Answered>,
    answered: Sender<Answered>,
    /// The mounts that wait in the queue or are being asked.
    under_way: HashSet<PathBuf>,
}

type Answered = (PathBuf, io::Result<Space>);

#[derive(Debug, Default)]
struct Queue {
    paths: VecDeque<PathBuf>,
    threads: usize,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asker {
    pub(super) fn new(call: Call) -> Self {
        let (answered, answers) = channel();
        Self {
            call,
            queue: Arc::default(),
            answers,
            answered,
            under_way: HashSet::new(),
        }
    }

    /// Asks all of them, and gives the answers in the same order. Waits until `until` for those
    /// that may hang.
    pub(super) fn ask(&mut self, questions: &[Question<'_>], until: Instant) -> Vec<Answer> {
        // Answers to a former scrape are too old to be shown, but end what was under way.
        while let Ok((path, _)) = self.answers.try_recv() {
            self.under_way.remove(&path);
        }
        let slow = questions.iter().enumerate().filter(|(_, q)| q.slow);
        let waiting: HashMap<&Path, usize> = slow
            .filter(|(_, question)| self.under_way.insert(question.path.to_owned()))
            .map(|(at, question)| (question.path, at))
            .collect();
        let started = self.start(waiting.keys());
        let mut answers: Vec<_> = questions
            .iter()
            .map(|question| match question.slow {
                true => Answer::TimedOut,
                false => (self.call)(question.path).into(),
            })
            .collect();
        match started {
            Ok(()) => self.receive(waiting, until, &mut answers),
            Err(error) => {
                for (path, at) in waiting {
                    self.under_way.remove(path);
                    answers[at] = Answer::Failed(io::Error::from(error.kind()));
                }
            }
        }
        answers
    }

    /// Queues the paths, and sees to it that there are threads for them.
    fn start(&self, paths: impl Iterator<Item = impl AsRef<Path>>) -> io::Result<()> {
        let mut queue = lock(&self.queue);
        queue
            .paths
            .extend(paths.map(|path| path.as_ref().to_owned()));
        for _ in 0..queue.paths.len().min(THREADS - queue.threads) {
            let (call, answered) = (self.call, self.answered.clone());
            let theirs = Arc::clone(&self.queue);
            let spawned = thread::Builder::new()
                .name("mount".into())
                .stack_size(STACK_BYTES)
                .spawn(move || work(call, &theirs, &answered));
            match spawned {
                Ok(_) => queue.threads += 1,
                // Those that there are will come to it.
                Err(_) if queue.threads > 0 => break,
                Err(error) => {
                    queue.paths.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn receive(
        &mut self,
        mut waiting: HashMap<&Path, usize>,
        until: Instant,
        answers: &mut [Answer],
    ) {
        while !waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((path, result)) = self.answers.recv_timeout(left) else {
                return;
            };
            self.under_way.remove(&path);
            if let Some(at) = waiting.remove(&*path) {
                answers[at] = result.into();
            }
        }
    }
}

/// A thread: asks for what is queued, and ends when nothing is.
fn work(call: Call, queue: &Mutex<Queue>, answered: &Sender<Answered>) {
    loop {
        let mut locked = lock(queue);
        let Some(path) = locked.paths.pop_front() else {
            locked.threads -= 1;
            return;
        };
        drop(locked);
        let result = call(&path);
        if answered.send((path, result)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;
    use std::time::Duration;

    const WHOLE: Space = Space {
        size: 5,
        free: 4,
        available: 3,
        files: 2,
        files_free: 1,
    };

    /// How often the hanging mount was asked, and whether it hangs still.
    static HANGING: (Mutex<(u32, bool)>, Condvar) = (Mutex::new((0, true)), Condvar::new());

    fn call(path: &Path) -> io::Result<Space> {
        if path == Path::new("/hangs") {
            let (state, changed) = &HANGING;
            let mut state = state.lock().unwrap();
            state.0 += 1;
            changed.notify_all();
            while state.1 {
                state = changed.wait(state).unwrap();
            }
        }
        if path == Path::new("/fails") {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        Ok(WHOLE)
    }

    fn asked() -> u32 {
        HANGING.0.lock().unwrap().0
    }

    fn question(path: &str, slow: bool) -> Question<'_> {
        Question {
            path: Path::new(path),
            slow,
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_mount_that_hangs_is_asked_once_and_shown_again_when_it_answers() {
        let questions = [question("/hangs", true), question("/", false)];
        let mut asker = Asker::new(call);
        for _ in 0..3 {
            let answers = asker.ask(&questions, soon());
            assert!(matches!(answers[0], Answer::TimedOut), "{answers:?}");
            assert!(matches!(answers[1], Answer::Space(WHOLE)), "{answers:?}");
        }
        assert_eq!(asked(), 1, "one call under way, not one per scrape");

        let (state, changed) = &HANGING;
        state.lock().unwrap().1 = false;
        changed.notify_all();
        let (path, _) = asker.answers.recv_timeout(Duration::from_secs(60)).unwrap();
        asker.answered.send((path, Ok(WHOLE))).unwrap();
        let answers = asker.ask(&questions, late());
        assert!(matches!(answers[0], Answer::Space(WHOLE)), "{answers:?}");
        assert_eq!(asked(), 2);

        let failing = [question("/fails", true), question("/fails", false)];
        let answers = asker.ask(&failing, late());
        assert!(matches!(answers[0], Answer::Failed(_)), "{answers:?}");
        assert!(matches!(answers[1], Answer::Failed(_)), "{answers:?}");
        assert!(asker.under_way.is_empty());
    }

    #[test]
    fn many_mounts_share_a_few_threads() {
        let paths: Vec<_> = (0..100).map(|n| format!("/mount/{n}")).collect();
        let questions: Vec<_> = paths.iter().map(|path| question(path, true)).collect();
        let mut asker = Asker::new(|path| {
            let number = path.file_name().and_then(|name| name.to_str());
            let size = number.and_then(|number| number.parse().ok()).unwrap();
            Ok(Space { size, ..WHOLE })
        });
        for _ in 0..3 {
            let answers = asker.ask(&questions, late());
            assert!(lock(&asker.queue).threads <= THREADS);
            for (number, answer) in answers.iter().enumerate() {
                let size = number as u64;
                let right = Space { size, ..WHOLE };
                assert!(matches!(answer, Answer::Space(space) if *space == right));
            }
        }
    }
}

//! Asks file systems for their space without waiting for one that hangs.
//!
//! `statvfs` on a network or FUSE mount whose server is gone can block without end. Such mounts
//! are asked by a thread of their own each; there is never more than one call under way per
//! mount, and the scrape goes on without the answer after a deadline.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::calls::Space;

type Call = fn(&Path) -> io::Result<Space>;

/// The asking thread does one system call.
const STACK_BYTES: usize = 64 * 1024;

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
    deadline: Duration,
    workers: HashMap<PathBuf, Worker>,
}

struct Worker {
    requests: Sender<()>,
    answers: Receiver<io::Result<Space>>,
    under_way: bool,
}

impl Worker {
    fn start(path: &Path, call: Call) -> io::Result<Self> {
        let (requests, requested) = channel::<()>();
        let (answered, answers) = channel();
        let path = path.to_owned();
        thread::Builder::new()
            .name("mount".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while requested.recv().is_ok() {
                    if answered.send(call(&path)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            requests,
            answers,
            under_way: false,
        })
    }

    /// Starts a call, unless the former one is still under way.
    fn request(&mut self) -> bool {
        // An answer to a former scrape is too old to be shown, but frees the worker.
        if self.under_way && self.answers.try_recv().is_err() {
            return false;
        }
        self.under_way = self.requests.send(()).is_ok();
        self.under_way
    }

    fn wait(&mut self, until: Instant) -> Answer {
        let left = until.saturating_duration_since(Instant::now());
        match self.answers.recv_timeout(left) {
            Ok(result) => {
                self.under_way = false;
                result.into()
            }
            Err(RecvTimeoutError::Timeout) => Answer::TimedOut,
            Err(RecvTimeoutError::Disconnected) => {
                Answer::Failed(io::Error::other("the thread that asks has ended"))
            }
        }
    }
}

impl Asker {
    pub(super) fn new(call: Call, deadline: Duration) -> Self {
        Self {
            call,
            deadline,
            workers: HashMap::new(),
        }
    }

    /// Asks all of them, and gives the answers in the same order.
    pub(super) fn ask(&mut self, questions: &[Question<'_>]) -> Vec<Answer> {
        self.workers
            .retain(|path, _| questions.iter().any(|q| q.slow && q.path == path));
        let started: Vec<_> = questions
            .iter()
            .map(|question| self.start(question))
            .collect();
        let until = Instant::now() + self.deadline;
        questions
            .iter()
            .zip(started)
            .map(|(question, started)| match started {
                Err(error) => Answer::Failed(error),
                Ok(false) => Answer::TimedOut,
                Ok(true) => self.answer(question, until),
            })
            .collect()
    }

    /// Sends a slow mount its question; whether an answer can be waited for.
    fn start(&mut self, question: &Question<'_>) -> io::Result<bool> {
        if !question.slow {
            return Ok(true);
        }
        if let Some(worker) = self.workers.get_mut(question.path) {
            return Ok(worker.request());
        }
        let mut worker = Worker::start(question.path, self.call)?;
        let asked = worker.request();
        self.workers.insert(question.path.to_owned(), worker);
        Ok(asked)
    }

    fn answer(&mut self, question: &Question<'_>, until: Instant) -> Answer {
        match self.workers.get_mut(question.path) {
            Some(worker) if question.slow => worker.wait(until),
            _ => (self.call)(question.path).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

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

    #[test]
    fn a_mount_that_hangs_is_asked_once_and_shown_again_when_it_answers() {
        let question = |path, slow| Question {
            path: Path::new(path),
            slow,
        };
        let questions = [question("/hangs", true), question("/", false)];
        let mut asker = Asker::new(call, Duration::from_millis(50));
        for _ in 0..3 {
            let answers = asker.ask(&questions);
            assert!(matches!(answers[0], Answer::TimedOut), "{answers:?}");
            assert!(matches!(answers[1], Answer::Space(WHOLE)), "{answers:?}");
        }
        assert_eq!(asked(), 1, "one call under way, not one per scrape");

        let (state, changed) = &HANGING;
        state.lock().unwrap().1 = false;
        changed.notify_all();
        asker.deadline = Duration::from_secs(60);
        let worker = asker.workers.get_mut(Path::new("/hangs")).unwrap();
        assert!(matches!(
            worker.wait(Instant::now() + Duration::from_secs(60)),
            Answer::Space(_)
        ));
        let answers = asker.ask(&questions);
        assert!(matches!(answers[0], Answer::Space(WHOLE)), "{answers:?}");
        assert_eq!(asked(), 2);

        let answers = asker.ask(&[question("/fails", true), question("/fails", false)]);
        assert!(matches!(answers[0], Answer::Failed(_)), "{answers:?}");
        assert!(matches!(answers[1], Answer::Failed(_)), "{answers:?}");
        asker.ask(&questions[1..]);
        assert!(asker.workers.is_empty(), "no thread outlives its mount");
    }
}

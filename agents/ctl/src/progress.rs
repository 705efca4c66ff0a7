//! One line on standard error while something takes long, only where a person sees it.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::terminal;

const FIRST: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(200);

/// Shows a line from half a second on until it is dropped, and takes it away then.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// `describe` is asked for the line's text, which says how far the work is.
    pub fn show(describe: impl Fn() -> String + Send + 'static) -> Self {
        if !terminal::shows_progress() {
            return Self {
                stop: None,
                thread: None,
            };
        }
        let (stop, stopped) = channel();
        Self {
            stop: Some(stop),
            thread: Some(std::thread::spawn(move || draw(&stopped, describe))),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A line that could not be drawn is no reason to fail.
            let _ = thread.join();
        }
    }
}

fn draw(stopped: &Receiver<()>, describe: impl Fn() -> String) {
    let started = Instant::now();
    let mut pause = FIRST;
    let mut is_shown = false;
    let mut to = std::io::stderr();
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let secs = started.elapsed().as_secs();
        let line = terminal::escape(&describe()).into_owned();
        let _ = write!(to, "\r\u{1b}[K{line} ({secs}s)");
        let _ = to.flush();
        (pause, is_shown) = (STEP, true);
    }
    if is_shown {
        let _ = write!(to, "\r\u{1b}[K");
        let _ = to.flush();
    }
}

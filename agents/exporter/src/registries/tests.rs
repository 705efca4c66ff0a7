use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;

use super::*;

struct Daemons {
    dir: tempfile::TempDir,
    registries: Registries,
}

impl Daemons {
    fn new(deadline: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registries = Registries {
            directory: dir.path().to_owned(),
            own: "exporter".into(),
            deadline,
            size: 4096,
        };
        Self { dir, registries }
    }

    /// A daemon that reads the question and then does what `answer` does.
    fn serve(&self, unit: &str, answer: impl FnOnce(UnixStream) + Send + 'static) {
        let listener = self.bind(unit);
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; http::QUESTION.len()];
            stream.read_exact(&mut question).unwrap();
            assert_eq!(question, http::QUESTION);
            answer(stream);
        });
    }

    fn bind(&self, unit: &str) -> UnixListener {
        fs::create_dir_all(self.dir.path().join(unit)).unwrap();
        UnixListener::bind(self.dir.path().join(unit).join("metrics.sock")).unwrap()
    }

    fn told(&self) -> Vec<String> {
        let ends = Instant::now() + Duration::from_secs(60);
        let answers = self.registries.ask(ends).unwrap().gather();
        let told = answers.into_iter().map(|answer| match answer.families {
            Ok(families) => {
                let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
                format!("{}: {}", answer.unit, names.join(" "))
            }
            Err(fault) => format!("{}: {fault}", answer.unit),
        });
        told.collect()
    }
}

fn say(text: impl AsRef<[u8]>) -> impl FnOnce(UnixStream) {
    // The exporter may have closed the connection of an answer that it refused.
    move |mut stream| drop(stream.write_all(text.as_ref()))
}

#[test]
fn each_daemon_stands_for_itself() {
    let daemons = Daemons::new(Duration::from_secs(20));
    daemons.serve("beacon@prod", say("HTTP/1.0 200 OK\r\n\r\na 1\nb 2\n"));
    daemons.serve(
        "cut",
        say("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\na 1\n"),
    );
    daemons.serve("garbled", say("HTTP/1.0 200 OK\r\n\r\na one\n"));
    let large = "HTTP/1.0 200 OK\r\n\r\n".to_owned() + &"a 1\n".repeat(50_000);
    daemons.serve("large", say(large));
    daemons.serve("sized", |mut stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nc 1\n")
            .unwrap();
        // Kept open: the announced length is enough.
        let _ = stream.read(&mut [0]);
    });
    drop(daemons.bind("dead"));
    drop(daemons.bind("exporter"));
    fs::create_dir(daemons.dir.path().join("metrics")).unwrap();
    fs::write(daemons.dir.path().join("bell"), "").unwrap();
    assert_eq!(
        daemons.told(),
        [
            "beacon@prod: a b",
            "cut: the answer is not HTTP: it ends before its announced length",
            "dead: Connection refused (os error 111)",
            "garbled: line 1: \"one\" is not a sample value",
            "large: the answer is larger than 4096 bytes",
            "sized: c",
        ]
    );
}

#[test]
fn one_that_hangs_delays_nobody_beyond_the_deadline() {
    let daemons = Daemons::new(Duration::from_millis(50));
    let (hold, held) = mpsc::channel::<()>();
    daemons.serve("hangs", move |stream| {
        let _ = held.recv();
        drop(stream);
    });
    let _deaf = daemons.bind("deaf");
    let before = Instant::now();
    assert_eq!(
        daemons.told(),
        [
            "deaf: has not answered within 50ms",
            "hangs: has not answered within 50ms",
        ]
    );
    assert!(before.elapsed() < Duration::from_secs(10));
    drop(hold);
}

//! A server in a process of its own: this test binary again, in the part of one of its tests.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::Served;

const PART: &str = "ROUNDSMAN_NET_TEST_CHILD";
const READY: &str = "serving on ";

/// Whether this process is the server of `test`.
pub fn is_server_of(test: &str) -> bool {
    std::env::var(PART).is_ok_and(|part| part == test)
}

/// Serves until the parent goes or closes our input.
pub fn serve_until_told(served: &Served) {
    println!("{READY}{}", served.address);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The server's process, as its test sees it.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    pub address: SocketAddr,
}

impl Process {
    /// Runs `test` of this binary as a server.
    pub fn start(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(PART, test)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.unwrap().split_once(READY)?.1.parse().unwrap()))
            .expect("the child serves");
        // It goes on printing what libtest prints; nobody waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            input: child.stdin.take(),
            child,
            address,
        }
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let figure = line.unwrap().split_whitespace().nth(1);
        figure.unwrap().parse().unwrap()
    }

    /// Ends the server in good order; fails if it has died before.
    pub fn stop(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // For a test that failed; after `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A message bus of the test's own.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Root, skipped};

const PROGRAM: &str = "/usr/bin/dbus-daemon";

/// A dbus-daemon on which everybody may do everything. It ends when this is dropped.
#[derive(Debug)]
pub struct BusDaemon {
    child: Child,
    socket: PathBuf,
}

impl BusDaemon {
    /// Starts one on the system bus' socket of the tree; `None`, and a line among the skipped,
    /// where there is no dbus-daemon.
    ///
    /// # Panics
    /// When it does not start to listen.
    pub fn start(root: &Root, test: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            skipped::test(test, &format!("{PROGRAM} is not installed"));
            return None;
        }
        let socket = root.at("/run/dbus/system_bus_socket");
        let directory = socket.parent().expect("it lies in /run/dbus");
        std::fs::create_dir_all(directory).expect("the tree is ours");
        // What a daemon leaves that was killed.
        let _ = std::fs::remove_file(&socket);
        root.write(
            "/bus.conf",
            format!(
                "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
                 <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
                 </policy></busconfig>",
                socket.display()
            ),
        );
        let mut child = Command::new(PROGRAM)
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .arg(format!("--config-file={}", root.at("/bus.conf").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        // It prints its address when it listens.
        let mut address = String::new();
        let printed = child.stdout.take().expect("it is piped");
        BufReader::new(printed)
            .read_line(&mut address)
            .expect("its output is text");
        assert!(address.starts_with("unix:"), "{address}");
        Some(Self { child, socket })
    }

    /// For `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// A new connection to it.
    ///
    /// # Panics
    /// When it does not accept one.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("it listens")
    }
}

impl Drop for BusDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

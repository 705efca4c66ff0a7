//! What is kept of a machine whose test failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Machine;
use crate::layout;

fn place(test: &str) -> PathBuf {
    layout::cache().join("failed").join(test.replace("::", "."))
}

/// Removes what an earlier failure of this test left.
pub(super) fn forget(test: &str) {
    drop(fs::remove_dir_all(place(test)));
}

/// Writes console, journal and state of the units into a directory of the test's own. Never
/// fails: a part that cannot be had is left out, with the reason in its place.
pub(super) fn keep(machine: &Machine) -> PathBuf {
    let dir = place(&machine.test);
    drop(fs::create_dir_all(&dir));
    let write = |name: &str, text: String| drop(fs::write(dir.join(name), text));
    write("console.txt", machine.keeper.console());
    for (name, argv) in [
        (
            "journal.txt",
            vec!["journalctl", "--output=short-precise", "--all", "--merge"],
        ),
        ("units.txt", vec!["systemctl", "list-units", "--all"]),
    ] {
        let text = machine
            .command(argv)
            .deadline(Duration::from_secs(20))
            .run()
            .map_or_else(|error| format!("{error:#}\n"), |output| output.stdout);
        write(name, text);
    }
    copy_journal_files(machine, &dir.join("journal"));
    dir
}

/// The journal files themselves (`journalctl -D DIR` reads them): they hold what the text above
/// lacks when the machine is already dead.
fn copy_journal_files(machine: &Machine, to: &Path) {
    let upper = machine.keeper.upper(&machine.run_dir);
    let Ok(machines) = fs::read_dir(upper.join("var/log/journal")) else {
        return;
    };
    drop(fs::create_dir_all(to));
    for files in machines
        .flatten()
        .filter_map(|dir| fs::read_dir(dir.path()).ok())
    {
        for file in files.flatten() {
            drop(fs::copy(file.path(), to.join(file.file_name())));
        }
    }
}

//! What could not be checked on this machine, and why: a skip is a result, shown at the end of
//! `make test`, never a silent pass.

use std::fs::OpenOptions;
use std::io::Write;

/// A whole test that cannot run here. The test returns right after it; `make test` counts it
/// as skipped instead of passed.
pub fn test(name: &str, reason: &str) {
    record("test", name, reason);
}

/// One check inside a test that goes on with the others.
pub fn check(name: &str, reason: &str) {
    record("check", name, reason);
}

/// Appends to the file that `make test` names by `$ROUNDSMAN_SKIPPED`: kind, name and reason,
/// separated by tabs. One `write` of one line, so that concurrent tests do not mix.
fn record(kind: &str, name: &str, reason: &str) {
    let line = format!("{kind}\t{name}\t{}\n", reason.replace(['\n', '\t'], " "));
    eprint!("skipped: {line}");
    let Some(path) = std::env::var_os("ROUNDSMAN_SKIPPED") else {
        return;
    };
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        // Losing the line would turn the skip into a pass.
        panic!("{}: {error}", path.display());
    }
}

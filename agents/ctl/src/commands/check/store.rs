//! The database itself: whether it opens, and whether it is whole.

use roundsman_store::{Error, Role, Store};

use super::{Part, Report, Surroundings};
use crate::commands::status::bytes;
use crate::progress::Progress;

/// Opens the store and reads all of it.
pub fn check(around: &Surroundings, report: &mut Report) {
    // A refused configuration is a finding of the files already.
    let Ok(location) = around.host.location() else {
        return;
    };
    let shown = location.db().display().to_string();
    let mut store = match Store::open(&location, Role::Reader) {
        Ok(store) => store,
        Err(Error::NoPermission { .. }) if !rustix::process::geteuid().is_root() => {
            return report.unchecked(Part::Store, shown, "you may not open it; run this as root");
        }
        // The files' look has that one already, with what makes it.
        Err(Error::Missing { .. }) => return,
        // As the package leaves it: the first agent that starts fills it.
        Err(Error::Older { found: 0, .. }) => {
            return report.unchecked(Part::Store, shown, "it is empty: no agent has run yet");
        }
        Err(failure) => return failed(failure, report),
    };
    let size = store.figures().map_or(0, |figures| figures.db_bytes);
    let checked = {
        let _progress = Progress::show(move || format!("reading the store, {}", bytes(size)));
        store.check()
    };
    match checked {
        Ok(damage) if damage.is_empty() => report.sound(Part::Store, shown),
        Ok(damage) => {
            for line in damage {
                let remedy = "systemctl stop roundsman.target; roundsman store restore BACKUP";
                report.found(Part::Store, (&shown, "integrity_check"), line, remedy);
            }
        }
        Err(failure) => failed(failure, report),
    }
}

/// The message of the store names file and remedy itself.
fn failed(failure: Error, report: &mut Report) {
    report.found(
        Part::Store,
        ("", ""),
        format!("{:#}", anyhow::Error::from(failure)),
        "",
    );
}

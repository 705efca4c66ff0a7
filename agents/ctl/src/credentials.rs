//! Credentials of agents' units: which they are given, and whether what is behind them exists.

use std::io;
use std::path::Path;

use roundsman_kit::Paths;
use serde::Serialize;

use crate::host::Host;
use crate::systemd::{Credential, Manager, Source};
use crate::unit_files;

/// Where systemd looks for a credential that is named without a path (systemd.exec(5)); each
/// has a twin with this ending for encrypted ones.
const STORES: [&str; 4] = [
    "/run/credentials/@system",
    "/etc/credstore",
    "/run/credstore",
    "/usr/lib/credstore",
];
const ENCRYPTED: &str = ".encrypted";

/// Whether what a credential is loaded from is there; of several sources the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is.
    There,
    /// This user may not look.
    Hidden,
    /// It is not.
    Missing,
}

/// The credentials that `service` is given: as systemd has them, else as its files say.
///
/// # Errors
/// systemd does not answer.
pub fn of(
    host: &Host,
    manager: Option<&Manager>,
    service: &str,
) -> anyhow::Result<Vec<Credential>> {
    match manager {
        // A template has no settings of its own to ask for.
        Some(manager) if !service.contains("@.") => Ok(manager.service(service)?.credentials),
        _ => Ok(unit_files::credentials(host.paths(), service)),
    }
}

/// Whether `given` is what a program finds under `name`.
pub fn provides(given: &Credential, name: &str) -> bool {
    match given.source {
        Source::Import => {
            // `GLOB:NEW` renames what the glob finds (systemd 257).
            let glob = given.name.split(':').next().unwrap_or(&given.name);
            glob.strip_suffix('*')
                .map_or(glob == name, |prefix| name.starts_with(prefix))
        }
        _ => given.name == name,
    }
}

/// Whether what is behind `given` exists, for the credential `name`.
pub fn presence(paths: &Paths, given: &Credential, name: &str) -> Presence {
    match &given.source {
        Source::Inline => Presence::There,
        Source::Plain(from) => behind(paths, from, &[""]),
        Source::Encrypted(from) => behind(paths, from, &[ENCRYPTED]),
        Source::Import => behind(paths, name, &["", ENCRYPTED]),
    }
}

fn behind(paths: &Paths, from: &str, endings: &[&str]) -> Presence {
    if from.starts_with('/') {
        return look(&paths.at(from));
    }
    let places = endings.iter().flat_map(|ending| {
        STORES
            .iter()
            .map(move |store| paths.at(format!("{store}{ending}")).join(from))
    });
    let found = places.map(|place| look(&place));
    found.min().unwrap_or(Presence::Missing)
}

fn look(path: &Path) -> Presence {
    match path.metadata() {
        Ok(_) => Presence::There,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Presence::Hidden,
        Err(_) => Presence::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, source: Source) -> Credential {
        Credential {
            name: name.into(),
            source,
        }
    }

    #[test]
    fn imported_credentials_are_matched_by_their_glob() {
        let import = |glob: &str| given(glob, Source::Import);
        assert!(provides(&import("beacon.*"), "beacon.token"));
        assert!(provides(&import("beacon.token"), "beacon.token"));
        assert!(provides(&import("beacon.*:x."), "beacon.token"));
        assert!(!provides(&import("beacon.*"), "other"));
        assert!(provides(&given("a", Source::Inline), "a"));
        assert!(!provides(&given("a*", Source::Inline), "ab"));
    }

    #[test]
    fn sources_are_looked_up_where_systemd_does() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        let store = paths.at("/run/credstore.encrypted");
        std::fs::create_dir_all(&store).unwrap();
        std::fs::write(store.join("a"), "").unwrap();
        let presence = |source| presence(&paths, &given("a", source), "a");
        assert_eq!(presence(Source::Encrypted("a".into())), Presence::There);
        assert_eq!(presence(Source::Import), Presence::There);
        assert_eq!(presence(Source::Plain("a".into())), Presence::Missing);
        let path = "/run/credstore.encrypted/a".to_owned();
        assert_eq!(presence(Source::Plain(path)), Presence::There);
        assert_eq!(presence(Source::Plain("/etc/a".into())), Presence::Missing);
        assert_eq!(presence(Source::Inline), Presence::There);
    }
}

//! Properties of units as plain values. A property that this systemd does not have yet (252 is
//! the oldest) is as if it were empty.

use std::collections::HashMap;
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use zbus::OwnedVariant;

use crate::moment;

/// All properties of one interface of one unit.
#[derive(Debug)]
pub struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    pub(super) fn new(all: HashMap<String, OwnedVariant>) -> Self {
        Self(all)
    }

    fn take<T: TryFrom<OwnedVariant> + Default>(&mut self, name: &str) -> T {
        let value = self.0.remove(name);
        value
            .and_then(|value| T::try_from(value).ok())
            .unwrap_or_default()
    }
}

/// What every unit has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `bad-setting`, `error`, `masked`.
    pub load: String,
    /// Why it could not be loaded; empty otherwise.
    pub load_error: String,
    /// `active`, `inactive`, `failed`, …
    pub active: String,
    /// `enabled`, `disabled`, `static`, …; empty without a unit file.
    pub enabled: String,
    /// Since when it is in its state.
    pub since: Option<Timestamp>,
    /// Drop-ins, in the order in which they take effect.
    pub drop_ins: Vec<String>,
    /// Whether its files have changed since systemd read them.
    pub needs_reload: bool,
    /// Units that are started when it fails.
    pub on_failure: Vec<String>,
}

impl From<Properties> for Unit {
    fn from(mut all: Properties) -> Self {
        let (_, load_error): (String, String) = all.take("LoadError");
        Self {
            load: all.take("LoadState"),
            load_error,
            active: all.take("ActiveState"),
            enabled: all.take("UnitFileState"),
            since: instant(all.take("StateChangeTimestamp")),
            drop_ins: all.take("DropInPaths"),
            needs_reload: all.take("NeedDaemonReload"),
            on_failure: all.take("OnFailure"),
        }
    }
}

/// Effective settings of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Automatic restarts since it was started.
    pub restarts: u32,
    /// `User=`; empty for root.
    pub user: String,
    /// `Group=`; empty for that of the user.
    pub group: String,
    /// `UMask=`.
    pub umask: u32,
    /// `ReadWritePaths=`.
    pub read_write_paths: Vec<String>,
    /// `StateDirectory=`.
    pub state_directories: Vec<String>,
    /// `RuntimeDirectory=`.
    pub runtime_directories: Vec<String>,
    /// `ProtectSystem=`.
    pub protect_system: String,
    /// `NoNewPrivileges=`.
    pub no_new_privileges: bool,
    /// `AmbientCapabilities=`, a bit per number of linux/capability.h.
    pub ambient_capabilities: u64,
    /// `PrivateUsers=`.
    pub private_users: bool,
    /// `SupplementaryGroups=`.
    pub supplementary_groups: Vec<String>,
    /// `Environment=`.
    pub environment: Vec<String>,
    /// The program of each `ExecStart=`.
    pub programs: Vec<String>,
    /// Every credential that it is given.
    pub credentials: Vec<Credential>,
}

impl Service {
    /// Whether its sandbox lets it write below `path`.
    pub fn can_write_below(&self, path: &str) -> bool {
        let covers = |allowed: &String| {
            // `-` and `+` are prefixes of systemd.exec(5), not part of the path.
            let allowed = allowed.trim_start_matches(['-', '+']).trim_end_matches('/');
            path == allowed || path.starts_with(&format!("{allowed}/"))
        };
        self.protect_system != "strict" || self.read_write_paths.iter().any(covers)
    }
}

/// A credential of a service, by any of the settings of systemd.exec(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// Its name; for `ImportCredential=` a glob.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
}

impl Credential {
    /// Whether it is loaded from a file of its own, without which the unit does not start.
    pub fn is_file(&self) -> bool {
        let (Source::Plain(from) | Source::Encrypted(from)) = &self.source else {
            return false;
        };
        from.starts_with('/')
    }
}

/// Where a credential comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `LoadCredential=`: a path, or a name that is looked up in the credential stores.
    Plain(String),
    /// `LoadCredentialEncrypted=`: the same, encrypted by systemd-creds(1).
    Encrypted(String),
    /// `SetCredential=` and `SetCredentialEncrypted=`: it stands in the unit itself.
    Inline,
    /// `ImportCredential=`: whatever the credential stores have under such a name.
    Import,
}

/// One line of `ExecStart=` (`a(sasbttttuii)`): program, arguments, whether failure is ignored,
/// then times, id and result of its last run.
type Exec = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

impl From<Properties> for Service {
    fn from(mut all: Properties) -> Self {
        let exec: Vec<Exec> = all.take("ExecStart");
        Self {
            restarts: all.take("NRestarts"),
            user: all.take("User"),
            group: all.take("Group"),
            umask: all.take("UMask"),
            read_write_paths: all.take("ReadWritePaths"),
            state_directories: all.take("StateDirectory"),
            runtime_directories: all.take("RuntimeDirectory"),
            protect_system: all.take("ProtectSystem"),
            no_new_privileges: all.take("NoNewPrivileges"),
            ambient_capabilities: all.take("AmbientCapabilities"),
            private_users: all.take("PrivateUsers"),
            supplementary_groups: all.take("SupplementaryGroups"),
            environment: all.take("Environment"),
            programs: exec.into_iter().map(|line| line.0).collect(),
            credentials: credentials(&mut all),
        }
    }
}

fn credentials(all: &mut Properties) -> Vec<Credential> {
    let mut found = Vec::new();
    let mut add = |name, source| found.push(Credential { name, source });
    let loaded: Vec<(String, String)> = all.take("LoadCredential");
    loaded
        .into_iter()
        .for_each(|(name, from)| add(name, Source::Plain(from)));
    let loaded: Vec<(String, String)> = all.take("LoadCredentialEncrypted");
    loaded
        .into_iter()
        .for_each(|(name, from)| add(name, Source::Encrypted(from)));
    for setting in ["SetCredential", "SetCredentialEncrypted"] {
        let set: Vec<(String, Vec<u8>)> = all.take(setting);
        set.into_iter()
            .for_each(|(name, _)| add(name, Source::Inline));
    }
    let imported: Vec<String> = all.take("ImportCredential");
    imported
        .into_iter()
        .for_each(|glob| add(glob, Source::Import));
    found
}

/// When a timer elapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The next time; none if it is not waiting for any.
    pub next: Option<Timestamp>,
}

impl From<Properties> for Timer {
    fn from(mut all: Properties) -> Self {
        let calendar = instant(all.take("NextElapseUSecRealtime"));
        let monotonic = since_boot(all.take("NextElapseUSecMonotonic"));
        Self {
            next: [calendar, monotonic].into_iter().flatten().min(),
        }
    }
}

/// Where a socket unit listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Type (`Stream`, `Datagram`, …) and address (`[::]:9469`, a path) of each.
    pub listen: Vec<(String, String)>,
}

impl From<Properties> for Socket {
    fn from(mut all: Properties) -> Self {
        Self {
            listen: all.take("Listen"),
        }
    }
}

/// Microseconds since 1970; both 0 and the largest number mean "never".
fn instant(micros: u64) -> Option<Timestamp> {
    let is_set = micros != 0 && micros != u64::MAX;
    is_set.then(|| Timestamp(i64::try_from(micros / 1000).unwrap_or(i64::MAX)))
}

/// Microseconds of the monotonic clock, as wall-clock time.
fn since_boot(micros: u64) -> Option<Timestamp> {
    if micros == 0 || micros == u64::MAX {
        return None;
    }
    let clock = clock_gettime(ClockId::Monotonic);
    let up = Duration::new(
        u64::try_from(clock.tv_sec).unwrap_or(0),
        u32::try_from(clock.tv_nsec).unwrap_or(0),
    );
    let at = Duration::from_micros(micros);
    let now = moment::now();
    Some(match at.checked_sub(up) {
        Some(left) => now.plus(left),
        None => now.minus(up - at),
    })
}

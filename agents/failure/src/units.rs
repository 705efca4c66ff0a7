//! The state of units, asked of the service manager over D-Bus (org.freedesktop.systemd1(5)).

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roundsman_kit::clock::Timestamp;
use zbus::connection::Builder;
use zbus::fdo::Error as BusError;
use zbus::{Connection, Error, ObjectPath, OwnedObjectPath, OwnedVariant, block_on};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: ObjectPath<'static> =
    ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1");
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// How long one call may take. The manager answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long all questions together may take: well below the `TimeoutStartSec=` of the sweep.
const LIMIT: Duration = Duration::from_secs(30);

/// What the manager says.
#[derive(Debug)]
pub struct Answers {
    /// When this boot's manager began its work.
    pub boot: Timestamp,
    /// Of each unit, in the order of the question.
    pub states: Vec<anyhow::Result<State>>,
}

/// What decides whether a unit has recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active: String,
    /// Whether it has run and ended in this boot, as far as the manager remembers.
    pub has_ended: bool,
    /// `success` unless something went wrong, as with a service that `ExecCondition=` skipped.
    pub result: String,
}

impl State {
    /// Why a condition about this unit is over, if it is.
    ///
    /// A unit that failed stays `failed` until it is started again with success or somebody
    /// resets it; both make it `inactive` and mean that the failure is dealt with. After a
    /// reboot, however, every unit is `inactive` that nobody has started yet: then it must
    /// have run.
    pub fn recovery(&self, failed_in_this_boot: bool) -> Option<Recovery> {
        match (self.load.as_str(), self.active.as_str()) {
            ("not-found", "inactive") => Some(Recovery::Gone),
            (_, "active" | "reloading") => Some(Recovery::Active),
            (_, "inactive") => {
                let is_over = failed_in_this_boot || self.has_ended;
                (is_over && self.result == "success").then_some(Recovery::Inactive)
            }
            _ => None,
        }
    }
}

/// How a failed unit came to be well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It runs.
    Active,
    /// It ended with success, or was reset.
    Inactive,
    /// Its file is gone.
    Gone,
}

impl Recovery {
    /// The end of a sentence that begins with the unit's name.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Active => "is active again",
            Self::Inactive => "is no longer failed",
            Self::Gone => "no longer exists",
        }
    }
}

/// Asks about each of `units`. What is wrong with one of them leaves the others alone.
///
/// # Errors
/// The bus or the manager is not there.
pub fn ask(units: &[&str]) -> anyhow::Result<Answers> {
    let end = Instant::now() + LIMIT;
    block_on(async {
        let bus = Builder::system()
            .method_timeout(PATIENCE)
            .build()
            .await
            .context("connecting to the system bus")?;
        let since = property(&bus, &MANAGER_PATH, MANAGER, "UserspaceTimestamp").await;
        let micros = since
            .and_then(u64::try_from)
            .context("asking the manager")?;
        let mut states = Vec::with_capacity(units.len());
        for unit in units {
            states.push(if Instant::now() < end {
                match state(&bus, unit).await {
                    Err(error) if is_dead(&error) => {
                        return Err(error).with_context(|| format!("asking about {unit}"));
                    }
                    state => state.map_err(Into::into),
                }
            } else {
                Err(anyhow::anyhow!("there was no time left to ask about it"))
            });
        }
        Ok(Answers {
            boot: Timestamp(i64::try_from(micros / 1000).unwrap_or(i64::MAX)),
            states,
        })
    })
}

/// Whether it makes no sense to ask on. An answer that is late is the matter of one unit.
fn is_dead(error: &Error) -> bool {
    match error {
        Error::InputOutput(error) => error.kind() != io::ErrorKind::TimedOut,
        Error::FDO(error) => matches!(
            **error,
            BusError::ServiceUnknown(_) | BusError::NameHasNoOwner(_) | BusError::Disconnected(_)
        ),
        _ => false,
    }
}

async fn state(bus: &Connection, unit: &str) -> zbus::Result<State> {
    // LoadUnit, because a unit that is neither active nor failed need not be in memory.
    let answer = bus
        .call_method(
            Some(SYSTEMD),
            &MANAGER_PATH,
            Some(MANAGER),
            "LoadUnit",
            &unit,
        )
        .await?;
    let path: OwnedObjectPath = answer.body().deserialize()?;
    let ended = property(bus, &path, UNIT, "InactiveEnterTimestamp").await?;
    let result = match result_interface(unit) {
        Some(interface) => property(bus, &path, interface, "Result")
            .await?
            .try_into()?,
        None => "success".to_owned(),
    };
    Ok(State {
        load: property(bus, &path, UNIT, "LoadState").await?.try_into()?,
        active: property(bus, &path, UNIT, "ActiveState")
            .await?
            .try_into()?,
        has_ended: u64::try_from(ended)? > 0,
        result,
    })
}

/// Where the result of a unit of this type stands; some types have none.
fn result_interface(unit: &str) -> Option<&'static str> {
    let (_, kind) = unit.rsplit_once('.')?;
    Some(match kind {
        "automount" => "org.freedesktop.systemd1.Automount",
        "mount" => "org.freedesktop.systemd1.Mount",
        "path" => "org.freedesktop.systemd1.Path",
        "scope" => "org.freedesktop.systemd1.Scope",
        "service" => "org.freedesktop.systemd1.Service",
        "socket" => "org.freedesktop.systemd1.Socket",
        "swap" => "org.freedesktop.systemd1.Swap",
        "timer" => "org.freedesktop.systemd1.Timer",
        _ => return None,
    })
}

async fn property(
    bus: &Connection,
    path: &ObjectPath<'_>,
    interface: &str,
    name: &str,
) -> zbus::Result<OwnedVariant> {
    let properties = Some("org.freedesktop.DBus.Properties");
    let answer = bus
        .call_method(Some(SYSTEMD), path, properties, "Get", &(interface, name))
        .await?;
    answer.body().deserialize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_that_is_well_or_gone_has_recovered() {
        let state = |load: &str, active: &str| State {
            load: load.into(),
            active: active.into(),
            has_ended: false,
            result: "success".into(),
        };
        let recovery = |load, active| state(load, active).recovery(true);
        assert_eq!(recovery("loaded", "active"), Some(Recovery::Active));
        assert_eq!(recovery("loaded", "inactive"), Some(Recovery::Inactive));
        assert_eq!(recovery("not-found", "inactive"), Some(Recovery::Gone));
        for still in ["failed", "activating", "deactivating"] {
            assert_eq!(recovery("loaded", still), None, "{still}");
        }
        let mut after_reboot = state("loaded", "inactive");
        assert_eq!(after_reboot.recovery(false), None);
        after_reboot.has_ended = true;
        assert_eq!(after_reboot.recovery(false), Some(Recovery::Inactive));
        after_reboot.result = "exec-condition".into();
        assert_eq!(after_reboot.recovery(false), None);
        assert_eq!(after_reboot.recovery(true), None);
    }
}

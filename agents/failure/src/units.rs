//! The state of units, asked of the service manager over D-Bus (org.freedesktop.systemd1(5)).

use anyhow::Context as _;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, block_on};

const MANAGER: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// What decides whether a unit has recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active: String,
}

impl State {
    /// Why a condition about this unit is over, if it is.
    pub fn recovery(&self) -> Option<Recovery> {
        match (self.load.as_str(), self.active.as_str()) {
            ("not-found", "inactive") => Some(Recovery::Gone),
            (_, "active" | "reloading") => Some(Recovery::Active),
            // A unit that failed stays `failed` until it is started again with success or
            // somebody resets it; both mean that the failure is dealt with.
            (_, "inactive") => Some(Recovery::Inactive),
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

/// The states of `units`, in their order.
///
/// # Errors
/// The bus or the manager cannot be asked.
pub fn states(units: &[&str]) -> anyhow::Result<Vec<State>> {
    block_on(async {
        let bus = Connection::system()
            .await
            .context("connecting to the system bus")?;
        let mut states = Vec::with_capacity(units.len());
        for unit in units {
            states.push(
                state(&bus, unit)
                    .await
                    .with_context(|| format!("asking about {unit}"))?,
            );
        }
        Ok(states)
    })
}

async fn state(bus: &Connection, unit: &str) -> anyhow::Result<State> {
    // LoadUnit, because a unit that is neither active nor failed need not be in memory.
    let manager = "/org/freedesktop/systemd1";
    let interface = Some("org.freedesktop.systemd1.Manager");
    let answer = bus
        .call_method(Some(MANAGER), manager, interface, "LoadUnit", &unit)
        .await?;
    let path: OwnedObjectPath = answer.body().deserialize()?;
    Ok(State {
        load: property(bus, &path, "LoadState").await?,
        active: property(bus, &path, "ActiveState").await?,
    })
}

async fn property(bus: &Connection, path: &OwnedObjectPath, name: &str) -> anyhow::Result<String> {
    let interface = Some("org.freedesktop.DBus.Properties");
    let answer = bus
        .call_method(Some(MANAGER), path, interface, "Get", &(UNIT, name))
        .await?;
    let value: OwnedVariant = answer.body().deserialize()?;
    Ok(String::try_from(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_that_is_well_or_gone_has_recovered() {
        let state = |load: &str, active: &str| State {
            load: load.into(),
            active: active.into(),
        };
        assert_eq!(state("loaded", "active").recovery(), Some(Recovery::Active));
        assert_eq!(
            state("loaded", "inactive").recovery(),
            Some(Recovery::Inactive)
        );
        assert_eq!(
            state("not-found", "inactive").recovery(),
            Some(Recovery::Gone)
        );
        for still in ["failed", "activating", "deactivating"] {
            assert_eq!(state("loaded", still).recovery(), None, "{still}");
        }
    }
}

//! Table `endpoint`. Written by: herald; ctl enables and disables. Read by: herald, ctl, exporter,
//! janitor.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use crate::error::Result;
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

/// What is known of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Endpoint {
    /// Its name in the configuration.
    pub name: String,
    /// What its configuration was; a changed one is given another chance.
    pub fingerprint: String,
    /// Faults of its own since the last success.
    pub failures: u32,
    /// Since when its circuit is open: it is only probed.
    pub opened_at: Option<Timestamp>,
    /// It wants no request before this time, or the next probe is then.
    pub not_before: Option<Timestamp>,
    /// Since when nothing is sent to it.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Since when the configuration does not have it any more.
    pub gone_at: Option<Timestamp>,
    /// When it took something last.
    pub last_success: Option<Timestamp>,
    /// When it failed last.
    pub last_failure: Option<Timestamp>,
    /// How.
    pub last_error: Option<String>,
}

impl Endpoint {
    /// One that nothing is known of yet.
    pub fn new(name: impl Into<String>, fingerprint: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fingerprint: fingerprint.into(),
            ..Self::default()
        }
    }

    fn from_row(row: &Columns<'_>) -> Result<Self> {
        let time = |column| -> Result<Option<Timestamp>> {
            Ok(row.get::<Option<i64>>(column)?.map(Timestamp))
        };
        Ok(Self {
            name: row.get("name")?,
            fingerprint: row.get("fingerprint")?,
            failures: row.get("failures")?,
            opened_at: time("opened_at")?,
            not_before: time("not_before")?,
            disabled_at: time("disabled_at")?,
            disabled_reason: row.get("disabled_reason")?,
            gone_at: time("gone_at")?,
            last_success: time("last_success")?,
            last_failure: time("last_failure")?,
            last_error: row.get("last_error")?,
        })
    }
}

const LIST: &str = "\
    SELECT name, fingerprint, failures, opened_at, not_before, disabled_at, disabled_reason,
           gone_at, last_success, last_failure, last_error
    FROM endpoint
    ORDER BY name";

/// All endpoints by name, with those that the configuration does not have any more.
///
/// # Errors
/// That of SQLite.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Endpoint>> {
    tx.rows(
        Doing::on("endpoint", "select"),
        LIST,
        [],
        Endpoint::from_row,
    )
}

const SET: &str = "\
    INSERT INTO endpoint (name, fingerprint, failures, opened_at, not_before, disabled_at,
                          disabled_reason, gone_at, last_success, last_failure, last_error)
    VALUES (:name, :fingerprint, :failures, :opened_at, :not_before, :disabled_at,
            :disabled_reason, :gone_at, :last_success, :last_failure, :last_error)
    ON CONFLICT (name) DO UPDATE
    SET fingerprint = excluded.fingerprint, failures = excluded.failures,
        opened_at = excluded.opened_at, not_before = excluded.not_before,
        disabled_at = excluded.disabled_at, disabled_reason = excluded.disabled_reason,
        gone_at = excluded.gone_at, last_success = excluded.last_success,
        last_failure = excluded.last_failure, last_error = excluded.last_error";

/// Keeps what is known of an endpoint.
///
/// # Errors
/// That of SQLite.
pub fn set(tx: &WriteTx<'_>, endpoint: &Endpoint) -> Result<()> {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let params = named_params! {
        ":name": endpoint.name,
        ":fingerprint": endpoint.fingerprint,
        ":failures": endpoint.failures,
        ":opened_at": millis(endpoint.opened_at),
        ":not_before": millis(endpoint.not_before),
        ":disabled_at": millis(endpoint.disabled_at),
        ":disabled_reason": endpoint.disabled_reason,
        ":gone_at": millis(endpoint.gone_at),
        ":last_success": millis(endpoint.last_success),
        ":last_failure": millis(endpoint.last_failure),
        ":last_error": endpoint.last_error,
    };
    tx.execute(Doing::on("endpoint", "set"), SET, params)?;
    Ok(())
}

const DISABLE: &str = "\
    UPDATE endpoint SET disabled_at = ?2, disabled_reason = ?3
    WHERE name = ?1 AND disabled_at IS NULL";

/// Sends nothing to it until it is enabled. False if it is unknown or disabled already.
///
/// # Errors
/// That of SQLite.
pub fn disable(tx: &WriteTx<'_>, name: &str, now: Timestamp, reason: &str) -> Result<bool> {
    let params = (name, now.as_millis(), reason);
    let changed = tx.execute(Doing::on("endpoint", "disable"), DISABLE, params)? > 0;
    if changed {
        tx.ring();
    }
    Ok(changed)
}

const ENABLE: &str = "\
    UPDATE endpoint
    SET disabled_at = NULL, disabled_reason = NULL, failures = 0, opened_at = NULL,
        not_before = NULL
    WHERE name = ?1 AND (disabled_at IS NOT NULL OR opened_at IS NOT NULL)";

/// Forgets that it was disabled, or that its circuit was open. False if neither is so.
///
/// # Errors
/// That of SQLite.
pub fn enable(tx: &WriteTx<'_>, name: &str) -> Result<bool> {
    let changed = tx.execute(Doing::on("endpoint", "enable"), ENABLE, [name])? > 0;
    if changed {
        tx.ring();
    }
    Ok(changed)
}

const FORGET: &str = "\
    DELETE FROM endpoint
    WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE endpoint = ?1)";

/// Forgets an endpoint that has no deliveries left.
///
/// # Errors
/// That of SQLite.
pub fn forget(tx: &WriteTx<'_>, name: &str) -> Result<bool> {
    Ok(tx.execute(Doing::on("endpoint", "forget"), FORGET, [name])? > 0)
}

//! Where log lines go: journald's native protocol with fields of our own, or stderr when there
//! is no journal behind it.
//!
//! The `log` crate's levels become syslog priorities as systemd-journal-logger maps them:
//! error 3, warn 4, info 5 (notice), debug 6 (info), trace 7 (debug).
//!
//! Our own fields begin with `ROUNDSMAN_`: `AGENT` (every entry), `EVENT` and `KIND` (an event's
//! row id and kind), `TARGET` (the unit, mount or collector it is about), `CLASS` and `CAUSE`
//! (of an error), `FILE` and `KEY` (of a configuration finding), `DURATION_MS`.

use std::io::Write;

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::JournalLog;

macro_rules! message_ids {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $id;)*

        /// Every id with its name: the catalog and the documentation are checked against it.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $id)),*];
    };
}

/// Fixed ids (`MESSAGE_ID=`) of the entries that others may react to; each has an entry in the
/// catalog, so that `journalctl -x` explains it.
pub mod id {
    message_ids! {
        /// An agent can do its work.
        AGENT_READY = "7e9be298da79481c9a6593fdfecc2ed0";
        /// An agent ended with an error.
        AGENT_FAILED = "4afc6bf087484fb39b764514b8688d53";
        /// A configuration was refused; the agent did not start.
        CONFIG_REFUSED = "70d8794d17f54001a1b54bf480520148";
        /// A changed configuration was taken over without a restart.
        CONFIG_RELOADED = "2c1a3c1a954f447a8ff0e678caadab4c";
        /// A changed configuration was refused; the old one stays in force.
        RELOAD_REFUSED = "d07c330e664346988601196c5d6cc529";
        /// An item of the configuration is broken and left out; the others are in force.
        CONFIG_ITEM_LEFT_OUT = "791f51c2d22b4f07a8a395ea9cac36f0";
        /// An endpoint does not take deliveries.
        ENDPOINT_DOWN = "f5d0d8c07e964f10ad12bf8058dbd999";
        /// An endpoint takes deliveries again.
        ENDPOINT_RECOVERED = "da82d7e4c99047a6b87ec1604c553961";
        /// An endpoint wants no more deliveries.
        ENDPOINT_DISABLED = "680ce7bd1a9148348e0fc5d9af9eab82";
        /// A delivery is not tried any more.
        DELIVERY_PARKED = "4b9df57af7a143749766721d27719dc0";
        /// A source of figures could not be read; only its figures are missing.
        COLLECTOR_FAILED = "b92cbd6f47c14eea9fae9cb45823dee5";
        /// A source of figures can be read again.
        COLLECTOR_RECOVERED = "dd96e60a0ebf438c886cc042711aab44";
        /// The shared store was brought to this version's schema.
        STORE_MIGRATED = "9feb8d77d04446d3bd0659ec7445e8fd";
        /// A unit of this host failed.
        UNIT_FAILED = "e79b5495dca94db69113b57c46273449";
        /// A unit of this host that had failed succeeded again.
        UNIT_RECOVERED = "4c423ab4dfb14be38271b5064a617e61";
        /// Events that some reader had not seen, or open deliveries, were removed.
        EVENTS_DROPPED = "d7702ad94ac3431d9bfe62d5cd64629f";
        /// The nightly copy of the store could not be made.
        BACKUP_FAILED = "e9d2ea2e99e2489ab6dbfe127bd4eed9";
        /// A figure of this host crossed a declared threshold.
        THRESHOLD_CROSSED = "2582821e85f54397ae148a479ff12082";
        /// A figure of this host is back within its threshold.
        THRESHOLD_CLEARED = "b512c3b50efa4875b0bcf678d9c522fe";
    }
}

/// Sends the process's log lines to the journal if stderr is connected to it, else to stderr.
/// `identifier` becomes `SYSLOG_IDENTIFIER`, `agent` the field `ROUNDSMAN_AGENT`.
pub(crate) fn init(agent: &str, identifier: &str) {
    let journal = systemd_journal_logger::connected_to_journal().then(JournalLog::empty);
    let logger: Box<dyn Log> = match journal {
        Some(Ok(journal)) => Box::new(
            journal
                .with_syslog_identifier(identifier.to_owned())
                .add_extra_field("ROUNDSMAN_AGENT", agent),
        ),
        _ => Box::new(Stderr {
            identifier: identifier.to_owned(),
        }),
    };
    log::set_max_level(LevelFilter::Info);
    // Only a second call in one process can fail, and then the first logger stays.
    let _ = log::set_boxed_logger(logger);
}

/// Plain lines for a person or a container's log: `identifier: level: message KEY=value`.
struct Stderr {
    identifier: String,
}

impl Log for Stderr {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let level = record.level().as_str().to_lowercase();
        let mut line = format!("{}: {level}: {}", self.identifier, record.args());
        let _ = record.key_values().visit(&mut Fields(&mut line));
        line.push('\n');
        // There is nowhere left to report a failed write to stderr.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if key.as_str() != "MESSAGE_ID" {
            self.0.push_str(&format!(" {key}={value}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn message_ids_are_unique_128_bit_numbers() {
        let ids: BTreeSet<_> = id::ALL.iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), id::ALL.len());
        for id in ids {
            assert!(
                id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{id}"
            );
        }
    }
}

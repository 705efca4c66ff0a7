//! The class of an error decides its log level, whether it is retried, and the exit code.
//!
//! A class is found by type, never by text: a [`Fault`] in the chain names it, or one of the
//! classifiers that the agent lists in [`crate::Agent`] knows the type of a library's error.

use std::error::Error as StdError;
use std::fmt;

/// What kind of failure an error is. The exit codes follow `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A value in a file, unit or credential is wrong: exit 78, never restarted.
    Config,
    /// Something outside is not there right now: backoff in daemons, exit 75 in oneshots.
    Unavailable,
    /// One item was refused for good: it is parked and the work goes on.
    Rejected,
    /// The store or a peer speaks a format this version does not: exit 65, never restarted.
    Incompatible,
    /// A broken invariant of ours: exit 70.
    Bug,
    /// There was nothing to do: exit 0.
    NoData,
}

impl Class {
    /// Every class, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::Config,
        Self::Unavailable,
        Self::Rejected,
        Self::Incompatible,
        Self::Bug,
        Self::NoData,
    ];

    /// The process exit code of an agent that ends with an error of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NoData | Self::Rejected => 0,
            Self::Incompatible => 65,
            Self::Bug => 70,
            Self::Unavailable => 75,
            Self::Config => 78,
        }
    }

    /// The label value in metrics and the journal field `ROUNDSMAN_CLASS`: a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Incompatible => "incompatible",
            Self::Bug => "bug",
            Self::NoData => "no_data",
        }
    }

    /// The level at which such an error is logged: `error` means that someone must act.
    pub fn level(self) -> log::Level {
        match self {
            Self::Config | Self::Incompatible | Self::Bug => log::Level::Error,
            Self::Unavailable | Self::Rejected => log::Level::Warn,
            Self::NoData => log::Level::Debug,
        }
    }

    /// Whether a daemon's loop goes on after a failed cycle of this class.
    pub fn is_retried(self) -> bool {
        matches!(self, Self::Unavailable | Self::Rejected | Self::NoData)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Knows the class of the errors of one library; `None` for an error of another type.
pub type Classifier = fn(&(dyn StdError + 'static)) -> Option<Class>;

/// A step of an error chain that carries a class.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The class of the whole chain from here on.
    pub class: Class,
    /// What was being done, and the remedy where there is one.
    pub message: String,
    /// The cause, if there is one.
    #[source]
    pub source: Option<anyhow::Error>,
}

impl Fault {
    /// A fault without a deeper cause.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            source: None,
        }
    }
}

/// Gives the error of a `Result` a class and says what was being done.
pub trait ResultExt<T> {
    /// Wraps the error in a [`Fault`]. `message` says what was being done and, where one is
    /// known, the remedy.
    fn fault<M: Into<String>>(self, class: Class, message: impl FnOnce() -> M)
    -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn fault<M: Into<String>>(
        self,
        class: Class,
        message: impl FnOnce() -> M,
    ) -> anyhow::Result<T> {
        self.map_err(|cause| {
            Fault {
                class,
                message: message().into(),
                source: Some(cause.into()),
            }
            .into()
        })
    }
}

/// The class of `error`: the outermost [`Fault`] or classified error of the chain decides; an
/// I/O error that nobody classified is [`Class::Unavailable`], anything else [`Class::Bug`].
pub fn class_of(error: &anyhow::Error, classifiers: &[Classifier]) -> Class {
    let known = error.chain().find_map(|cause| {
        cause
            .downcast_ref::<Fault>()
            .map(|fault| fault.class)
            .or_else(|| classifiers.iter().find_map(|classify| classify(cause)))
    });
    known.unwrap_or_else(|| {
        let io = error.chain().any(|cause| cause.is::<std::io::Error>());
        if io { Class::Unavailable } else { Class::Bug }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_outermost_known_type_decides() {
        let io = || Err::<(), _>(std::io::Error::other("disk gone"));
        let plain = io().context("reading").unwrap_err();
        assert_eq!(class_of(&plain, &[]), Class::Unavailable);

        let classed = io()
            .fault(Class::Config, || "opening the map")
            .context("start")
            .unwrap_err();
        assert_eq!(class_of(&classed, &[]), Class::Config);
        assert_eq!(format!("{classed:#}"), "start: opening the map: disk gone");

        let by_type: Classifier =
            |cause| cause.is::<std::io::Error>().then_some(Class::Incompatible);
        assert_eq!(class_of(&plain, &[by_type]), Class::Incompatible);
        assert_eq!(class_of(&anyhow::anyhow!("odd"), &[by_type]), Class::Bug);
    }
}

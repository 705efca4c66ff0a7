//! Secrets come only from systemd credentials (`LoadCredential=` and its kin, systemd.exec(5)).
//! A configuration key names a credential; the value never stands in a file of ours, in the
//! environment, or in anything that is printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::de::{Error as _, IgnoredAny, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// A configuration value that names a credential: `token = { credential = "pitcher-token" }`.
///
/// What stands in its place is never repeated in an error: it may be the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialRef {
    /// The credential's name: the part before the colon in `LoadCredential=NAME:PATH`.
    pub credential: String,
}

/// What to write where a credential is wanted; `KEY` is where the key's own name goes.
const WANTED: &str = "write KEY = { credential = \"NAME\" }";

/// The characters of a name.
const NAMES: &str = "letters, digits, \".\", \"_\" and \"-\", not \".\" first, at most 255 in all";

impl<'de> Deserialize<'de> for CredentialRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Takes anything, so that no error of the format's own can quote it.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Table(BTreeMap<String, Held>),
            Anything(IgnoredAny),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Held {
            Text(String),
            Anything(IgnoredAny),
        }
        let reason = match Written::deserialize(deserializer)? {
            Written::Table(table) => match (table.get("credential"), table.len()) {
                (Some(Held::Text(name)), 1) if is_name(name) => {
                    return Ok(Self {
                        credential: name.clone(),
                    });
                }
                (Some(Held::Text(_)), 1) => {
                    let remedy = format!("{WANTED}; a NAME has {NAMES}");
                    let reason = Unexpected::Other("this is not the name of a credential");
                    return Err(D::Error::invalid_value(reason, &remedy.as_str()));
                }
                _ => "this table must name a credential, and hold nothing else",
            },
            Written::Anything(_) => "the secret itself must not stand here",
        };
        Err(D::Error::invalid_value(Unexpected::Other(reason), &WANTED))
    }
}

/// The bytes of a secret. Neither `Debug` nor `Display` shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself: hand it on, never print it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a credential could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name could leave the credentials directory.
    #[error("\"{name}\" is not the name of a credential: use {NAMES}")]
    Name {
        /// The refused name.
        name: String,
    },
    /// systemd passed no credential of this name to the unit.
    #[error("credential \"{name}\" is missing")]
    Missing {
        /// The credential's name.
        name: String,
    },
    /// The credential is there but cannot be read.
    #[error("credential \"{name}\" cannot be read")]
    Unreadable {
        /// The credential's name.
        name: String,
        /// The I/O error.
        source: io::Error,
    },
    /// The credential is there and holds nothing.
    #[error("credential \"{name}\" is empty")]
    Empty {
        /// The credential's name.
        name: String,
    },
}

impl Error {
    /// What to do about it, for the unit of `agent`.
    pub fn remedy(&self, agent: &str) -> String {
        match self {
            Self::Name { .. } => format!("use {NAMES}"),
            Self::Missing { name } => format!("roundsman credential add {agent} {name}"),
            Self::Empty { name } => {
                format!("put the secret in: roundsman credential add {agent} {name}")
            }
            Self::Unreadable { name, .. } => format!(
                "check that LoadCredential={name} of roundsman-{agent}.service names a plain \
                 file, and that $CREDENTIALS_DIRECTORY belongs to the unit's user"
            ),
        }
    }
}

/// The credentials that systemd passed to this unit.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    directory: Option<PathBuf>,
}

impl Credentials {
    /// The directory named by `$CREDENTIALS_DIRECTORY`; none outside a unit with credentials.
    pub fn from_env() -> Self {
        Self {
            directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// The credentials in `directory`, for tests.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
        }
    }

    /// The file of the credential that `reference` names; none outside a unit with credentials.
    pub fn path(&self, reference: &CredentialRef) -> Option<PathBuf> {
        let name = Some(&reference.credential).filter(|name| is_name(name))?;
        Some(self.directory.as_ref()?.join(name))
    }

    /// Reads the credential that `reference` names, without the one newline at its end that
    /// editors and `echo` leave.
    ///
    /// # Errors
    /// [`Error`], which tells missing apart from not readable.
    pub fn read(&self, reference: &CredentialRef) -> Result<Secret, Error> {
        let name = || reference.credential.clone();
        if !is_name(&reference.credential) {
            return Err(Error::Name { name: name() });
        }
        let directory = self
            .directory
            .as_ref()
            .ok_or_else(|| Error::Missing { name: name() })?;
        let mut bytes = match std::fs::read(directory.join(&reference.credential)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { name: name() });
            }
            Err(source) => {
                return Err(Error::Unreadable {
                    name: name(),
                    source,
                });
            }
        };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(Error::Empty { name: name() });
        }
        Ok(Secret(bytes))
    }
}

/// Whether `name` can be a credential: a plain file name that systemd accepts everywhere.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 255 && name.chars().all(allowed) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_read_without_its_newline_and_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "s3cret\n").unwrap();
        let credentials = Credentials::in_directory(dir.path());
        let named = |name: &str| CredentialRef {
            credential: name.into(),
        };
        let secret = credentials.read(&named("token")).unwrap();
        assert_eq!(secret.expose(), b"s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));

        assert!(matches!(
            credentials.read(&named("other")),
            Err(Error::Missing { .. })
        ));
        assert!(matches!(
            credentials.read(&named("../token")),
            Err(Error::Name { .. })
        ));
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        assert!(matches!(
            credentials.read(&named("empty")),
            Err(Error::Empty { .. })
        ));
        std::fs::create_dir(dir.path().join("odd")).unwrap();
        assert!(matches!(
            credentials.read(&named("odd")),
            Err(Error::Unreadable { .. })
        ));
        assert!(matches!(
            Credentials::default().read(&named("token")),
            Err(Error::Missing { .. })
        ));
    }
}

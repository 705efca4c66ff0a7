//! Secrets come only from systemd credentials (`LoadCredential=` and its kin, systemd.exec(5)).
//! A configuration key names a credential; the value never stands in a file of ours, in the
//! environment, or in anything that is printed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A configuration value that names a credential: `token = { credential = "pitcher-token" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRef {
    /// The credential's name: the part before the colon in `LoadCredential=NAME:PATH`.
    pub credential: String,
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
    #[error("\"{name}\" is not a credential name: use letters, digits, \".\", \"_\" and \"-\"")]
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
        assert!(matches!(
            Credentials::default().read(&named("token")),
            Err(Error::Missing { .. })
        ));
    }
}

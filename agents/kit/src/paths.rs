//! Where things lie. Every path of ours goes through one root prefix, so that tests and
//! containers can give a program a whole tree of its own.

use std::path::{Path, PathBuf};

/// The well-known places, all below one root (`/`, or `$ROUNDSMAN_ROOT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The places below `root`.
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The places below `$ROUNDSMAN_ROOT`, or below `/` when it is not set or empty.
    pub fn from_env() -> Self {
        let root = std::env::var_os("ROUNDSMAN_ROOT").filter(|root| !root.is_empty());
        Self::under(root.unwrap_or_else(|| "/".into()))
    }

    /// The prefix itself; host figures are read below it too.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `path` (absolute) below the root.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// `/run/roundsman`: runtime files shared by the suite, made by tmpfiles.d.
    pub fn run(&self) -> PathBuf {
        self.at("/run/roundsman")
    }

    /// The file whose writing tells readers of the store to look again.
    pub fn bell(&self) -> PathBuf {
        self.run().join("bell")
    }

    /// The file whose locks are the turn to write to the store.
    pub fn ticket(&self) -> PathBuf {
        self.run().join("ticket")
    }

    /// Where oneshots leave `<unit>.prom` (the textfile convention of node_exporter).
    pub fn textfiles(&self) -> PathBuf {
        self.run().join("metrics")
    }

    /// The socket on which a daemon serves its registry; `unit` is `herald` or `beacon@prod`.
    pub fn registry_socket(&self, unit: &str) -> PathBuf {
        self.run().join(unit).join("metrics.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_below_the_root() {
        let paths = Paths::under("/tmp/x");
        assert_eq!(
            paths.at("/var/lib/roundsman"),
            Path::new("/tmp/x/var/lib/roundsman")
        );
        assert_eq!(paths.bell(), Path::new("/tmp/x/run/roundsman/bell"));
        assert_eq!(
            Paths::under("/").registry_socket("herald"),
            Path::new("/run/roundsman/herald/metrics.sock")
        );
    }
}

//! The prefix below which everything is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many attribute files (one value each) are kept open between scrapes, in total. Further
/// ones are opened at each reading, so that a host with hundreds of interfaces does not use up
/// the usual limit of 1,024 descriptors.
const KEPT_ATTRIBUTES: usize = 512;

/// Where `/proc`, `/sys` and the rest of the host lie: `/`, or the tree of a test.
#[derive(Debug, Clone)]
pub struct Root {
    prefix: PathBuf,
    net: PathBuf,
    spare: Arc<AtomicUsize>,
}

impl Root {
    /// Reads below `prefix`.
    ///
    /// Network figures come from the namespace of PID 1, which is the host's even when this
    /// process has a network of its own; where `/proc/1` is hidden, from this process's.
    pub fn new(prefix: impl Into<PathBuf>) -> Self {
        let prefix = prefix.into();
        let init = prefix.join("proc/1/net");
        let net = if std::fs::File::open(init.join("dev")).is_ok() {
            init
        } else {
            prefix.join("proc/net")
        };
        Self {
            prefix,
            net,
            spare: Arc::new(AtomicUsize::new(KEPT_ATTRIBUTES)),
        }
    }

    /// The prefix itself.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// A path of the host, absolute or relative to `/`, below the prefix.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.prefix.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        self.prefix.join("proc").join(name)
    }

    pub(crate) fn sys(&self, name: &str) -> PathBuf {
        self.prefix.join("sys").join(name)
    }

    /// A file of `/proc/net` in the host's network namespace.
    pub(crate) fn net(&self, name: &str) -> PathBuf {
        self.net.join(name)
    }

    /// Takes one descriptor from the budget; `None` when it is used up.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.spare
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
            .then(|| Lease(Arc::clone(&self.spare)))
    }
}

/// The right to keep one attribute file open; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_pid_1_is_preferred() {
        let tree = tempfile::tempdir().unwrap();
        let plain = Root::new(tree.path());
        assert_eq!(plain.net("dev"), tree.path().join("proc/net/dev"));

        std::fs::create_dir_all(tree.path().join("proc/1/net")).unwrap();
        std::fs::write(tree.path().join("proc/1/net/dev"), "").unwrap();
        let init = Root::new(tree.path());
        assert_eq!(init.net("dev"), tree.path().join("proc/1/net/dev"));
    }

    #[test]
    fn the_budget_of_open_attributes_ends_and_comes_back() {
        let root = Root::new("/nonexistent");
        let leases: Vec<_> = std::iter::from_fn(|| root.lease()).collect();
        assert_eq!(leases.len(), KEPT_ATTRIBUTES);
        assert!(root.lease().is_none());
        drop(leases);
        assert!(root.lease().is_some());
    }
}

//! The host that is looked at: its paths, its configuration, its store, its service manager.

use std::path::PathBuf;

use anyhow::Context as _;
use roundsman_kit::config::{self, Common, Directories, NoKeys};
use roundsman_kit::{Class, Fault, Paths, ResultExt};
use roundsman_store::{Location, Role, Store};
use rustix::fs::{Access, access};

use crate::systemd::Manager;

/// The name under which the command reads configuration: `common.toml`, `ctl.toml`.
const NAME: &str = "ctl";

/// What an outsider is told.
pub const OUTSIDER: &str = "only root and members of the group roundsman may look at the store \
    and its run files (sudo usermod -aG roundsman \"$USER\", then log in again)";

/// One host: this machine, or a tree in its place.
#[derive(Debug)]
pub struct Host {
    paths: Paths,
}

impl Host {
    /// The host below `root`, else below `$ROUNDSMAN_ROOT`, else this machine.
    pub fn new(root: Option<PathBuf>) -> Self {
        let paths = match root {
            // Children are started elsewhere and would read a relative path from there.
            Some(root) => Paths::under(std::path::absolute(&root).unwrap_or(root)),
            None => Paths::from_env(),
        };
        Self { paths }
    }

    /// Where things lie.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Whether this is the machine itself and not a tree.
    pub fn is_live(&self) -> bool {
        self.paths.root() == std::path::Path::new("/")
    }

    /// The keys that all agents share.
    ///
    /// # Errors
    /// Every finding of `common.toml`, as a configuration fault.
    pub fn common(&self) -> anyhow::Result<Common> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let directories = Directories::under(self.paths.root());
        let loaded = config::load::<NoKeys>(&directories, NAME, None, variables);
        let loaded = loaded.fault(Class::Config, || "reading common.toml")?;
        Ok(loaded.common)
    }

    /// The name on samples and events.
    pub fn name(&self) -> String {
        let configured = self.common().map(|common| common.host);
        if let Ok(name) = configured
            && !name.is_empty()
        {
            return name;
        }
        let kernel = std::fs::read_to_string(self.paths.at("/proc/sys/kernel/hostname"));
        kernel
            .map(|name| name.trim().to_owned())
            .unwrap_or_else(|_| {
                let name = rustix::system::uname();
                name.nodename().to_string_lossy().into_owned()
            })
    }

    /// Whether whoever runs this may look at nothing of ours: neither root nor in our group.
    pub fn is_outsider(&self) -> bool {
        let denied = access(self.paths.run(), Access::READ_OK | Access::EXEC_OK);
        denied == Err(rustix::io::Errno::ACCESS)
    }

    /// Refuses what only root can do.
    ///
    /// # Errors
    /// A fault that says so.
    pub fn require_root(&self, what: &str) -> anyhow::Result<()> {
        if !self.is_live() || rustix::process::geteuid().is_root() {
            return Ok(());
        }
        Err(Fault::new(
            Class::Config,
            format!("{what} needs root: run this by sudo"),
        )
        .into())
    }

    /// Where the store lies.
    ///
    /// # Errors
    /// That of [`Self::common`], or that of an outsider.
    pub fn location(&self) -> anyhow::Result<Location> {
        if self.is_outsider() {
            return Err(Fault::new(Class::Config, OUTSIDER).into());
        }
        Ok(Location::new(&self.paths, self.common()?.store))
    }

    /// The store, to read.
    ///
    /// # Errors
    /// That of [`Self::common`] or of opening it.
    pub fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.location()?, Role::Reader)?)
    }

    /// The store, to write; `what` is done with it, as in "opening the store to …".
    ///
    /// # Errors
    /// As [`Self::store`].
    pub fn writer(&self, what: &str) -> anyhow::Result<Store> {
        let opened = Store::open(&self.location()?, Role::Agent);
        opened.with_context(|| format!("opening the store to {what}"))
    }

    /// The service manager of this host.
    ///
    /// # Errors
    /// There is no system bus, or no systemd on it.
    pub fn manager(&self) -> anyhow::Result<Manager> {
        Manager::connect(&self.paths).context("asking systemd")
    }
}

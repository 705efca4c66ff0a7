//! What `/etc/roundsman/exporter.toml` may hold.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use roundsman_host::{Filters, REGISTRY};
use roundsman_kit::config::{Config, Invalid};
use roundsman_kit::quantity::{Size, Span};
use roundsman_kit::secret::CredentialRef;
use serde::{Deserialize, Serialize};

use crate::units::Names;
use crate::units::filter::{Filter, anchored};

/// The keys of the exporter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to listen when systemd passes no socket: `address:port`, or the path of a unix
    /// socket.
    pub listen: Vec<Address>,
    /// How many connections are open at once; 1 to 4,096. Above it the one that has been idle
    /// longest is closed.
    pub connections: usize,
    /// The credential with the token that a scrape has to send as `Authorization: Bearer`.
    pub token: Option<CredentialRef>,
    /// Speak TLS on TCP sockets.
    pub tls: Option<TlsKeys>,
    /// The deadline of a scrape that names none; 1s to 5m.
    pub deadline: Span,
    /// The figures of this host.
    pub collectors: Collectors,
    /// The units of systemd.
    pub units: Units,
    /// What the agents left in the store: their last cycles, and how many events there were.
    pub cycles: Cycles,
    /// The registries of the daemons.
    pub registries: Registries,
    /// `.prom` files.
    pub textfiles: Textfiles,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsKeys {
    /// The credential with the certificate chain in PEM, leaf first.
    pub certificate: CredentialRef,
    /// The credential with its private key in PEM.
    pub key: CredentialRef,
}

/// `[collectors]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collectors {
    /// Collectors that are read although they are off by default.
    pub enable: Vec<String>,
    /// Collectors that are not read.
    pub disable: Vec<String>,
    /// How long a scrape waits for file systems that may hang, in all; 10ms to 1m.
    pub mount_deadline: Span,
    /// Mount points that are left out with all below them; `*` stands for any characters.
    pub exclude_mounts: Vec<String>,
    /// Types of file systems that are left out.
    pub exclude_fs_types: Vec<String>,
    /// Block devices that are left out, in addition to partitions, RAM disks and loop devices.
    pub exclude_disks: Vec<String>,
    /// Network interfaces that are left out.
    pub exclude_interfaces: Vec<String>,
}

/// `[units]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Units {
    /// Whether units are shown.
    pub enabled: bool,
    /// Regular expressions, one of which must match the whole name of a unit.
    pub include: Vec<String>,
    /// Regular expressions, none of which may match the whole name of a unit.
    pub exclude: Vec<String>,
    /// Under whose names: `node` (node_exporter), `systemd` (systemd_exporter).
    pub names: Vec<Names>,
    /// The pause between two whole listings, which mend what no signal told; 10s to 1d.
    pub resync: Span,
}

/// `[cycles]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cycles {
    /// Whether the store is read.
    pub enabled: bool,
    /// How long a scrape waits for it before it shows the previous figures; 10ms to 1m.
    pub deadline: Span,
}

/// `[registries]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registries {
    /// Whether the daemons are asked.
    pub enabled: bool,
    /// How long each of them may take; 10ms to 1m. They are asked at the same time.
    pub deadline: Span,
    /// How much each of them may answer; 1KiB to 64MiB.
    pub size: Size,
}

/// `[textfiles]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Textfiles {
    /// Directories whose `*.prom` files are shown.
    pub directories: Vec<PathBuf>,
    /// A file that was not written for so long is reported and not shown; 1m to 10y.
    pub max_age: Span,
    /// How large a file may be; 1KiB to 64MiB.
    pub size: Size,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![Address::Tcp(SocketAddr::from(([0; 16], 9469)))],
            connections: 256,
            token: None,
            tls: None,
            deadline: Span::secs(10),
            collectors: Collectors::default(),
            units: Units::default(),
            cycles: Cycles::default(),
            registries: Registries::default(),
            textfiles: Textfiles::default(),
        }
    }
}

impl Default for Collectors {
    fn default() -> Self {
        let filters = Filters::default();
        Self {
            enable: Vec::new(),
            disable: Vec::new(),
            mount_deadline: Span::secs(1),
            exclude_mounts: filters.mount_points_exclude,
            exclude_fs_types: filters.fs_types_exclude,
            exclude_disks: filters.disks_exclude,
            exclude_interfaces: filters.interfaces_exclude,
        }
    }
}

impl Default for Units {
    fn default() -> Self {
        Self {
            enabled: true,
            include: vec![".+".into()],
            exclude: vec![r".+\.(automount|device|mount|scope|slice)".into()],
            names: vec![Names::Node, Names::Systemd],
            resync: Span::secs(5 * 60),
        }
    }
}

impl Default for Cycles {
    fn default() -> Self {
        Self {
            enabled: true,
            deadline: Span(Duration::from_millis(250)),
        }
    }
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            enabled: true,
            deadline: Span::secs(1),
            size: Size::mib(1),
        }
    }
}

impl Default for Textfiles {
    fn default() -> Self {
        Self {
            directories: vec!["/run/roundsman/metrics".into()],
            max_age: Span::secs(48 * 3600),
            size: Size::mib(4),
        }
    }
}

/// A place to listen: `[::]:9469`, or `/run/roundsman/exporter/http.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// An Internet address with its port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("\"{text}\" is neither \"address:port\" nor the absolute path of a socket")
        })
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Collectors {
    /// What is left out.
    pub fn filters(&self) -> Filters {
        Filters {
            mount_points_exclude: self.exclude_mounts.clone(),
            fs_types_exclude: self.exclude_fs_types.clone(),
            disks_exclude: self.exclude_disks.clone(),
            interfaces_exclude: self.exclude_interfaces.clone(),
        }
    }

    fn unknown(&self) -> impl Iterator<Item = Invalid> {
        let lists = [
            ("collectors.enable", &self.enable),
            ("collectors.disable", &self.disable),
        ];
        let each = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().map(move |name| (key, name)));
        let is_known = |name: &str| REGISTRY.iter().any(|entry| entry.name == name);
        let unknown = each.filter(move |(_, name)| !is_known(name));
        unknown.map(|(key, name)| {
            let names: Vec<&str> = REGISTRY.iter().map(|entry| entry.name).collect();
            let reason = format!("there is no collector \"{name}\"");
            Invalid::new(key, reason, format!("choose from {}", names.join(", ")))
        })
    }
}

impl Units {
    /// The compiled expressions.
    ///
    /// # Errors
    /// One of them is none, which [`Config::validate`] reports.
    pub fn filter(&self) -> Result<Filter, regex_lite::Error> {
        Filter::new(&self.include, &self.exclude)
    }
}

impl Config for Settings {
    fn validate(&self) -> Vec<Invalid> {
        let mut findings = Vec::new();
        findings.extend(self.places());
        findings.extend(self.ranges());
        findings.extend(self.patterns());
        findings
    }

    fn credentials(&self) -> Vec<&CredentialRef> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        self.token.iter().chain(tls).collect()
    }
}

impl Settings {
    fn places(&self) -> Vec<Invalid> {
        let mut findings = Vec::new();
        if self.listen.is_empty() {
            let remedy = "write at least one address, as \"[::]:9469\"";
            findings.push(Invalid::new("listen", "is empty", remedy));
        }
        if !(1..=4096).contains(&self.connections) {
            let reason = format!("is {}", self.connections);
            findings.push(Invalid::new("connections", reason, "write 1 to 4096"));
        }
        for directory in self
            .textfiles
            .directories
            .iter()
            .filter(|path| !path.is_absolute())
        {
            let reason = format!("\"{}\" is not an absolute path", directory.display());
            let remedy = "write the whole path, from /";
            findings.push(Invalid::new("textfiles.directories", reason, remedy));
        }
        findings.extend(self.collectors.unknown());
        findings
    }

    fn ranges(&self) -> Vec<Invalid> {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        let (ms, secs) = (Duration::from_millis, Duration::from_secs);
        let spans = [
            ("deadline", self.deadline, secs(1), secs(5 * MINUTE)),
            (
                "collectors.mount_deadline",
                self.collectors.mount_deadline,
                ms(10),
                secs(MINUTE),
            ),
            ("units.resync", self.units.resync, secs(10), secs(DAY)),
            (
                "cycles.deadline",
                self.cycles.deadline,
                ms(10),
                secs(MINUTE),
            ),
            (
                "registries.deadline",
                self.registries.deadline,
                ms(10),
                secs(MINUTE),
            ),
            (
                "textfiles.max_age",
                self.textfiles.max_age,
                secs(MINUTE),
                secs(3653 * DAY),
            ),
        ];
        let sizes = [
            ("registries.size", self.registries.size),
            ("textfiles.size", self.textfiles.size),
        ];
        let spans = spans.into_iter().filter_map(|(key, span, least, most)| {
            let remedy = || format!("write {} to {}", Span(least), Span(most));
            let is_within = (least..=most).contains(&span.0);
            (!is_within).then(|| Invalid::new(key, format!("is {span}"), remedy()))
        });
        let sizes = sizes.into_iter().filter_map(|(key, size)| {
            let is_within = (1 << 10..=64 << 20).contains(&size.0);
            let remedy = "write 1KiB to 64MiB";
            (!is_within).then(|| Invalid::new(key, format!("is {size}"), remedy))
        });
        spans.chain(sizes).collect()
    }

    fn patterns(&self) -> Vec<Invalid> {
        let lists = [
            ("units.include", &self.units.include),
            ("units.exclude", &self.units.exclude),
        ];
        let each = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().map(move |pattern| (key, pattern)));
        each.filter_map(|(key, pattern)| {
            let error = anchored(pattern).err()?;
            let reason = format!("\"{pattern}\" is not a regular expression: {error}");
            Some(Invalid::new(key, reason, "mend or remove it"))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;

//! The service manager over D-Bus (org.freedesktop.systemd1(5)): the only module that speaks
//! it. Everything it gives back is plain data, and every call has a deadline.

mod properties;

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use roundsman_kit::{Class, Fault, Paths, ResultExt};
use serde::Serialize;
use zbus::connection::Builder;
use zbus::{Connection, OwnedObjectPath, block_on};

use properties::Properties;
pub use properties::{Credential, Service, Socket, Source, Timer, Unit};

const DESTINATION: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// How long one call may take. PID 1 answers in milliseconds unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the service manager.
#[derive(Debug)]
pub struct Manager {
    connection: Connection,
}

/// A loaded unit and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// The whole name, as `roundsman-exporter.socket`.
    pub name: String,
    /// `loaded`, `not-found`, `bad-setting`, `error`, `masked`.
    pub load: String,
    /// `active`, `activating`, `failed`, …
    pub active: String,
    /// What that means for this type of unit: `running`, `waiting`, `listening`, …
    pub sub: String,
}

/// An installed unit file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitFile {
    /// The whole name.
    pub name: String,
    /// `enabled`, `disabled`, `static`, `masked`, …; empty if only the file system was asked.
    pub enabled: String,
}

/// One row of `ListUnitsByPatterns`: name, description, load, active and sub state, followed
/// unit, object path, job id, job type, job path.
type UnitRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// Ends a conversation that takes too long before it has begun: zbus limits only calls.
/// Dropping it lifts the limit.
struct Limit {
    _done: Sender<()>,
}

impl Limit {
    fn on(stream: &UnixStream) -> anyhow::Result<Self> {
        let stream = stream.try_clone()?;
        let (done, is_done) = channel::<()>();
        thread::spawn(move || {
            if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // One that is closed already needs no ending.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Ok(Self { _done: done })
    }
}

impl Manager {
    /// Connects to the system bus of the host below the root of `paths`; on the machine itself
    /// `$DBUS_SYSTEM_BUS_ADDRESS` is heeded.
    pub fn connect(paths: &Paths) -> anyhow::Result<Self> {
        let is_live = paths.root() == std::path::Path::new("/");
        let connected = if is_live && std::env::var_os("DBUS_SYSTEM_BUS_ADDRESS").is_some() {
            block_on(Builder::system().method_timeout(PATIENCE).build())
        } else {
            let socket = paths.at("/run/dbus/system_bus_socket");
            let stream = UnixStream::connect(&socket).fault(Class::Unavailable, || {
                format!("there is no system bus at {}", socket.display())
            })?;
            let _limit = Limit::on(&stream)?;
            block_on(
                Builder::unix_stream(stream)
                    .method_timeout(PATIENCE)
                    .build(),
            )
        };
        let connection = connected.fault(Class::Unavailable, || "connecting to the system bus")?;
        let manager = Self { connection };
        manager.require_systemd()?;
        Ok(manager)
    }

    /// In a container there may be a bus without systemd on it.
    fn require_systemd(&self) -> anyhow::Result<()> {
        let asked = block_on(self.connection.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "NameHasOwner",
            &(DESTINATION,),
        ));
        let has_owner = asked.and_then(|answer| answer.body().deserialize::<bool>());
        if has_owner.fault(Class::Unavailable, || "asking the system bus")? {
            return Ok(());
        }
        Err(Fault::new(Class::Unavailable, "there is no systemd on the system bus").into())
    }

    /// Loaded units whose names fit one of the globs.
    pub fn units(&self, patterns: &[&str]) -> anyhow::Result<Vec<Loaded>> {
        let no_states: &[&str] = &[];
        let rows: Vec<UnitRow> = self.call("ListUnitsByPatterns", &(no_states, patterns))?;
        let loaded = |(name, _, load, active, sub, ..): UnitRow| Loaded {
            name,
            load,
            active,
            sub,
        };
        Ok(rows.into_iter().map(loaded).collect())
    }

    /// Installed unit files whose names fit one of the globs, templates among them.
    pub fn unit_files(&self, patterns: &[&str]) -> anyhow::Result<Vec<UnitFile>> {
        let no_states: &[&str] = &[];
        let rows: Vec<(String, String)> =
            self.call("ListUnitFilesByPatterns", &(no_states, patterns))?;
        let file = |(path, enabled): (String, String)| UnitFile {
            name: path.rsplit('/').next().unwrap_or(&path).to_owned(),
            enabled,
        };
        Ok(rows.into_iter().map(file).collect())
    }

    /// What every unit has. A unit that does not exist has the load state `not-found`.
    pub fn unit(&self, name: &str) -> anyhow::Result<Unit> {
        let path = self.load(name)?;
        Ok(Unit::from(self.properties(&path, "Unit")?))
    }

    /// What a service has, with its effective settings.
    pub fn service(&self, name: &str) -> anyhow::Result<Service> {
        let path = self.load(name)?;
        Ok(Service::from(self.properties(&path, "Service")?))
    }

    /// What a timer has.
    pub fn timer(&self, name: &str) -> anyhow::Result<Timer> {
        let path = self.load(name)?;
        Ok(Timer::from(self.properties(&path, "Timer")?))
    }

    /// What a socket has.
    pub fn socket(&self, name: &str) -> anyhow::Result<Socket> {
        let path = self.load(name)?;
        Ok(Socket::from(self.properties(&path, "Socket")?))
    }

    /// Makes systemd read all unit files again; needs root.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.call::<()>("Reload", &())
            .context("systemctl daemon-reload")
    }

    /// Has a running unit read its configuration again; needs root or polkit's consent.
    pub fn reload_unit(&self, name: &str) -> anyhow::Result<()> {
        let _job: OwnedObjectPath = self.call("ReloadUnit", &(name, "replace"))?;
        Ok(())
    }

    fn load(&self, name: &str) -> anyhow::Result<OwnedObjectPath> {
        self.call("LoadUnit", &(name,))
            .with_context(|| name.to_owned())
    }

    /// A method of the manager.
    fn call<R>(
        &self,
        method: &'static str,
        arguments: &(impl Serialize + zbus::DynamicType),
    ) -> anyhow::Result<R>
    where
        R: serde::de::DeserializeOwned + zbus::Type,
    {
        let called = self.connection.call_method(
            Some(DESTINATION),
            MANAGER_PATH,
            Some(MANAGER),
            method,
            arguments,
        );
        let answer =
            block_on(called).and_then(|answer| answer.body().deserialize_ignore_signature::<R>());
        answer.fault(Class::Unavailable, || format!("systemd: {method}"))
    }

    fn properties(&self, path: &OwnedObjectPath, kind: &str) -> anyhow::Result<Properties> {
        let interface = (format!("{DESTINATION}.{kind}"),);
        let called = self.connection.call_method(
            Some(DESTINATION),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &interface,
        );
        let answer = block_on(called).and_then(|answer| answer.body().deserialize());
        let all = answer.fault(Class::Unavailable, || format!("systemd: {kind} properties"))?;
        Ok(Properties::new(all))
    }
}

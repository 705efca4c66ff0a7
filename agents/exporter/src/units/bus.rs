//! The connection to the system bus: calls to the manager, and the signals it sends.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream};
use zruntime::SharedRuntime;

use super::model::Value;
use super::wire;

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// A manager that does not answer a call within this is lost.
const CALL: Duration = Duration::from_secs(10);
/// Calls that are on their way at once while details are read.
const WINDOW: usize = 32;
/// Signals that may wait for one call; with more, everything is listed anew instead.
const BACKLOG: usize = 4096;

/// Why the bus has to be connected anew.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("connecting to the system bus: {0}")]
    Connect(#[source] std::io::Error),
    #[error("the system bus: {0}")]
    Bus(#[from] zbus::Error),
    #[error("the connection to the system bus has ended")]
    Ended,
    #[error("systemd has left the bus or came back under another name")]
    OtherOwner,
}

/// What happened on the bus.
#[derive(Debug)]
pub enum Event {
    /// systemd loaded the unit.
    New(String),
    /// systemd has forgotten the unit.
    Removed(String),
    /// Properties of a unit changed; read them by [`wire::changes`].
    Changed(String, Message),
    /// All unit files were read anew, or the boot has ended.
    Renewed,
    /// More signals came than could be kept: only a new listing helps.
    Overrun,
}

/// A live, subscribed connection.
pub struct Bus {
    connection: Connection,
    stream: MessageStream,
    /// The unique name of systemd: anybody may send signals that look like its own.
    owner: String,
    waiting: VecDeque<Message>,
    overrun: bool,
    ended: bool,
    runtime: SharedRuntime,
}

impl Bus {
    /// Connects, subscribes to the manager's signals, and finds out who may send them.
    pub async fn connect(socket: &Path) -> Result<Self, Lost> {
        let stream = UnixStream::connect(socket).map_err(Lost::Connect)?;
        let runtime = SharedRuntime::current().map_err(Lost::Connect)?;
        let connection = Builder::unix_stream(stream)
            .method_timeout(CALL)
            .max_queued(NonZeroUsize::MIN.saturating_add(255));
        let connection = connection.build().await?;
        let mut bus = Self {
            stream: MessageStream::from(&connection),
            connection,
            owner: String::new(),
            waiting: VecDeque::new(),
            overrun: false,
            ended: false,
            runtime,
        };
        bus.subscribe().await?;
        Ok(bus)
    }

    async fn subscribe(&mut self) -> Result<(), Lost> {
        let rules = [
            format!("type='signal',sender='{SERVICE}',interface='{MANAGER}',member='UnitNew'"),
            format!("type='signal',sender='{SERVICE}',interface='{MANAGER}',member='UnitRemoved'"),
            format!("type='signal',sender='{SERVICE}',interface='{MANAGER}',member='Reloading'"),
            format!(
                "type='signal',sender='{SERVICE}',interface='{MANAGER}',member='StartupFinished'"
            ),
            format!(
                "type='signal',sender='{SERVICE}',interface='{PROPERTIES}',\
                 member='PropertiesChanged',path_namespace='{MANAGER_PATH}/unit'"
            ),
            format!(
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
                 member='NameOwnerChanged',arg0='{SERVICE}'"
            ),
        ];
        for rule in rules {
            self.ask_bus("AddMatch", &rule).await?;
        }
        let reply = self.ask_bus("GetNameOwner", SERVICE).await?;
        self.owner = reply.body().deserialize::<&str>()?.to_owned();
        self.call(MANAGER_PATH, MANAGER, "Subscribe", &()).await?;
        Ok(())
    }

    async fn ask_bus(&mut self, method: &str, argument: &str) -> Result<Message, Lost> {
        let connection = self.connection.clone();
        let (name, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
        let reply = connection.call_method(Some(name), path, Some(name), method, &argument);
        Ok(self.drive(reply).await?)
    }

    async fn call<B>(
        &mut self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, zbus::Error>
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        let connection = self.connection.clone();
        let reply = connection.call_method(Some(SERVICE), path, Some(interface), method, body);
        self.drive(reply).await
    }

    /// Awaits `work` while taking signals off the connection: its queue is bounded, and a full
    /// one keeps replies from being read.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            while let Poll::Ready(item) = Pin::new(&mut self.stream).poll_next(context) {
                if !self.keep(item) {
                    break;
                }
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Keeps a message for later; whether more can come.
    fn keep(&mut self, item: Option<zbus::Result<Message>>) -> bool {
        match item {
            Some(Ok(message)) if message.message_type() == Type::Signal => {
                if self.waiting.len() < BACKLOG {
                    self.waiting.push_back(message);
                } else {
                    self.overrun = true;
                }
                true
            }
            Some(Ok(_)) => true,
            Some(Err(_)) | None => {
                self.ended = true;
                false
            }
        }
    }

    /// The next event, or `None` at `deadline`, or when `interrupt` is ready.
    pub async fn next(
        &mut self,
        deadline: Instant,
        interrupt: impl Future<Output = ()>,
    ) -> Result<Option<Event>, Lost> {
        let sleep = self.runtime.sleep_until(deadline);
        let (mut sleep, mut interrupt) = (pin!(sleep), pin!(interrupt));
        loop {
            if std::mem::take(&mut self.overrun) {
                self.waiting.clear();
                return Ok(Some(Event::Overrun));
            }
            while let Some(message) = self.waiting.pop_front() {
                if let Some(event) = self.event(message)? {
                    return Ok(Some(event));
                }
            }
            if self.ended {
                return Err(Lost::Ended);
            }
            let came = poll_fn(|context| {
                if let Poll::Ready(item) = Pin::new(&mut self.stream).poll_next(context) {
                    self.keep(item);
                    return Poll::Ready(true);
                }
                let over = sleep.as_mut().poll(context).is_ready()
                    || interrupt.as_mut().poll(context).is_ready();
                if over {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            });
            if !came.await {
                return Ok(None);
            }
        }
    }

    /// What a signal says; `None` for one that is not ours or not systemd's.
    fn event(&self, message: Message) -> Result<Option<Event>, Lost> {
        let header = message.header();
        let (Some(sender), Some(member)) = (header.sender(), header.member()) else {
            return Ok(None);
        };
        let (sender, member) = (sender.as_str(), member.as_str());
        if sender == "org.freedesktop.DBus" && member == "NameOwnerChanged" {
            let body = message.body();
            let (name, _, new): (&str, &str, &str) = body.deserialize()?;
            return match name == SERVICE && new != self.owner {
                true => Err(Lost::OtherOwner),
                false => Ok(None),
            };
        }
        if sender != self.owner {
            return Ok(None);
        }
        let body = message.body();
        Ok(match member {
            "UnitNew" => Some(Event::New(wire::unit_argument(&body)?)),
            "UnitRemoved" => Some(Event::Removed(wire::unit_argument(&body)?)),
            "Reloading" => (!body.deserialize::<bool>()?).then_some(Event::Renewed),
            "StartupFinished" => Some(Event::Renewed),
            "PropertiesChanged" => {
                let name = header
                    .path()
                    .and_then(|path| wire::unit_name(path.as_str()));
                name.map(|name| Event::Changed(name, message.clone()))
            }
            _ => None,
        })
    }

    /// The answer to `ListUnits`.
    pub async fn list(&mut self) -> Result<Message, Lost> {
        Ok(self.call(MANAGER_PATH, MANAGER, "ListUnits", &()).await?)
    }

    /// All properties of the manager.
    pub async fn manager(&mut self) -> Result<Message, Lost> {
        let body = (MANAGER,);
        Ok(self.call(MANAGER_PATH, PROPERTIES, "GetAll", &body).await?)
    }

    /// The state of the whole system, as `systemctl is-system-running` says it.
    pub async fn system_state(&mut self) -> Result<Message, Lost> {
        let body = (MANAGER, "SystemState");
        Ok(self.call(MANAGER_PATH, PROPERTIES, "Get", &body).await?)
    }

    /// Reads the properties that all units have. A unit that is gone meanwhile is passed over.
    pub async fn general<'u>(
        &mut self,
        units: &[&'u str],
        mut apply: impl FnMut(&'u str, &str, Value<'_>),
    ) -> Result<(), Lost> {
        for window in units.chunks(WINDOW) {
            let connection = self.connection.clone();
            let calls = window.iter().map(|unit| get_all(&connection, unit));
            let replies = self.join(calls.collect()).await;
            for (unit, reply) in window.iter().zip(replies) {
                if let Some(message) = answered(reply)? {
                    wire::properties(&message.body(), |name, value| apply(unit, name, value))?;
                }
            }
        }
        Ok(())
    }

    /// Reads the properties of the units' own kinds that are shown.
    pub async fn special<'u>(
        &mut self,
        units: &[&'u str],
        mut apply: impl FnMut(&'u str, &str, Value<'_>),
    ) -> Result<(), Lost> {
        let wanted: Vec<_> = units.iter().flat_map(|unit| special(unit)).collect();
        for window in wanted.chunks(WINDOW) {
            let connection = self.connection.clone();
            let calls = window.iter().map(|one| one.get(&connection));
            let replies = self.join(calls.collect()).await;
            for (one, reply) in window.iter().zip(replies) {
                if let Some(message) = answered(reply)? {
                    wire::property(&message.body(), |value| {
                        apply(one.unit, one.property, value)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Awaits all of them at once; the answers are in the order of the calls.
    async fn join<F: Future>(&mut self, calls: Vec<F>) -> Vec<F::Output> {
        let mut calls: Vec<_> = calls
            .into_iter()
            .map(|call| (Box::pin(call), None))
            .collect();
        let all = poll_fn(|context| {
            let mut pending = false;
            for (call, answer) in calls.iter_mut().filter(|(_, answer)| answer.is_none()) {
                match call.as_mut().poll(context) {
                    Poll::Ready(came) => *answer = Some(came),
                    Poll::Pending => pending = true,
                }
            }
            if pending {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        self.drive(all).await;
        calls.into_iter().filter_map(|(_, answer)| answer).collect()
    }
}

/// A property of a unit's own interface.
struct Special<'a> {
    unit: &'a str,
    interface: &'static str,
    property: &'static str,
}

impl Special<'_> {
    async fn get(&self, connection: &Connection) -> zbus::Result<Message> {
        let (path, body) = (wire::unit_path(self.unit), (self.interface, self.property));
        connection
            .call_method(Some(SERVICE), path, Some(PROPERTIES), "Get", &body)
            .await
    }
}

/// The properties that all units have. One large answer costs both sides less than six small.
async fn get_all(connection: &Connection, unit: &str) -> zbus::Result<Message> {
    let (path, body) = (wire::unit_path(unit), (UNIT,));
    connection
        .call_method(Some(SERVICE), path, Some(PROPERTIES), "GetAll", &body)
        .await
}

/// The properties of the unit's own interface that are shown. They are asked for one by one:
/// among all of them are figures of the control group, which cost the manager a file each.
fn special(unit: &str) -> impl Iterator<Item = Special<'_>> {
    let kind = unit.rsplit('.').next().unwrap_or_default();
    let (interface, properties): (_, &'static [&'static str]) = match kind {
        "service" => (
            "org.freedesktop.systemd1.Service",
            &["Type", "NRestarts", "Result"],
        ),
        "timer" => (
            "org.freedesktop.systemd1.Timer",
            &["LastTriggerUSec", "Result"],
        ),
        "socket" => (
            "org.freedesktop.systemd1.Socket",
            &["NAccepted", "NConnections", "NRefused", "Result"],
        ),
        "mount" => ("org.freedesktop.systemd1.Mount", &["Type", "Result"]),
        "automount" => ("org.freedesktop.systemd1.Automount", &["Result"]),
        "path" => ("org.freedesktop.systemd1.Path", &["Result"]),
        "swap" => ("org.freedesktop.systemd1.Swap", &["Result"]),
        "scope" => ("org.freedesktop.systemd1.Scope", &["Result"]),
        _ => ("", &[]),
    };
    properties.iter().map(move |property| Special {
        unit,
        interface,
        property,
    })
}

/// An error that the manager answers with concerns one unit; any other is the bus's.
fn answered(reply: zbus::Result<Message>) -> Result<Option<Message>, Lost> {
    match reply {
        Ok(message) => Ok(Some(message)),
        Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

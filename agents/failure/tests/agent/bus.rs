//! A bus of the test's own, with a stand-in for systemd on it: units are a table.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_core::Stream as _;
use roundsman_tests::{BusDaemon, PATIENCE, Root};
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, Variant, block_on};

/// When the stand-in's boot began, in milliseconds.
pub const BOOT: i64 = 1_795_190_000_000;

/// What the manager says of one unit.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    pub active: &'static str,
    pub result: &'static str,
    pub has_ended: bool,
}

/// A unit in this state, with nothing else to say.
pub fn unit(active: &'static str) -> Unit {
    Unit {
        active,
        result: "success",
        has_ended: false,
    }
}

type During = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Table {
    units: BTreeMap<String, Unit>,
    during: Option<During>,
}

/// A bus, and systemd's name on it. A unit that is not in the table has a name that the
/// manager refuses; one that is called `silent.service` gets no answer.
pub struct Bus {
    daemon: BusDaemon,
    table: Arc<Mutex<Table>>,
}

impl Bus {
    /// Starts both; `None`, and a line among the skipped, where there is no dbus-daemon.
    pub fn start(root: &Root, test: &str) -> Option<Self> {
        let bus = Self {
            daemon: BusDaemon::start(root, test)?,
            table: Arc::default(),
        };
        bus.serve();
        Some(bus)
    }

    fn serve(&self) {
        let stream = self.daemon.connect();
        let table = Arc::clone(&self.table);
        let (send, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            block_on(async {
                let connection = Builder::unix_stream(stream).build().await.unwrap();
                let mut calls = MessageStream::from(&connection);
                connection
                    .request_name("org.freedesktop.systemd1")
                    .await
                    .unwrap();
                send.send(()).unwrap();
                // Ends with the daemon.
                while let Some(Ok(call)) =
                    poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await
                {
                    if call.message_type() == Type::MethodCall {
                        answer(&connection, &call, &table).await;
                    }
                }
            });
        });
        ready.recv_timeout(PATIENCE).unwrap();
    }

    /// For `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        self.daemon.address()
    }

    /// What the manager says of a unit from now on.
    pub fn set(&self, name: &str, unit: Unit) {
        self.table.lock().unwrap().units.insert(name.into(), unit);
    }

    /// What happens just before the next answer about a unit's state.
    pub fn during_the_question(&self, happens: impl FnOnce() + Send + 'static) {
        self.table.lock().unwrap().during = Some(Box::new(happens));
    }
}

async fn answer(connection: &Connection, call: &Message, table: &Mutex<Table>) {
    let header = call.header();
    let body = call.body();
    let replied = match header.member().unwrap().as_str() {
        "LoadUnit" => {
            let name: &str = body.deserialize().unwrap();
            if name == "silent.service" {
                return;
            }
            if table.lock().unwrap().units.contains_key(name) {
                connection.reply(&header, &object(name)).await
            } else {
                let error = "org.freedesktop.DBus.Error.InvalidArgs";
                let text = format!("Unit name {name} is not valid.");
                connection.reply_error(&header, error, &text).await
            }
        }
        "Get" => {
            let (_, property): (&str, &str) = body.deserialize().unwrap();
            let value = value(header.path().unwrap(), property, table);
            connection.reply(&header, &(value,)).await
        }
        other => panic!("{other} is not called by the sweep"),
    };
    replied.unwrap();
}

fn value(path: &ObjectPath<'_>, property: &str, table: &Mutex<Table>) -> Variant<'static> {
    let mut table = table.lock().unwrap();
    let unit = table
        .units
        .iter()
        .find(|(name, _)| object(name) == *path)
        .map(|(_, unit)| *unit);
    match (property, unit) {
        ("UserspaceTimestamp", None) => Variant::new(u64::try_from(BOOT).unwrap() * 1000),
        ("LoadState", Some(_)) => Variant::new("loaded".to_owned()),
        ("ActiveState", Some(unit)) => {
            if let Some(happens) = table.during.take() {
                happens();
            }
            Variant::new(unit.active.to_owned())
        }
        ("InactiveEnterTimestamp", Some(unit)) => Variant::new(u64::from(unit.has_ended)),
        ("Result", Some(unit)) => Variant::new(unit.result.to_owned()),
        other => panic!("{other:?}"),
    }
}

fn object(name: &str) -> ObjectPath<'static> {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for byte in name.bytes() {
        path.push_str(&format!("_{byte:02x}"));
    }
    ObjectPath::try_from(path).unwrap()
}

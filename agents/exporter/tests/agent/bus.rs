//! A bus of the test's own, with a stand-in for systemd on it: units are a table, every call is
//! counted, and signals go out when the test says so.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_core::Stream as _;
use roundsman_tests::BusDaemon;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, ObjectPath, OwnedObjectPath, Variant, block_on};

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Properties of one object, by name, whatever their interface.
pub type Properties = HashMap<&'static str, Property>;

/// The value of a property.
#[derive(Debug, Clone)]
pub enum Property {
    Text(String),
    Count(u32),
    Time(u64),
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Property {
    fn variant(&self) -> Variant<'static> {
        match self.clone() {
            Self::Text(text) => Variant::new(text),
            Self::Count(count) => Variant::new(count),
            Self::Time(time) => Variant::new(time),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    units: BTreeMap<String, Properties>,
    manager: Properties,
    calls: Vec<String>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Table>>);

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }
}

/// The stand-in. It leaves the bus when it is dropped.
pub struct Systemd {
    connection: Connection,
    shared: Shared,
}

impl Systemd {
    /// Takes systemd's name on the bus.
    pub fn on(bus: &BusDaemon) -> Self {
        let shared = Shared::default();
        shared.table().manager = HashMap::from([
            ("Version", "252.39-1~deb12u1".into()),
            ("Virtualization", "".into()),
            ("SystemState", "running".into()),
            ("UserspaceTimestamp", Property::Time(1_795_000_000_000_000)),
            ("UserspaceTimestampMonotonic", Property::Time(3_000_000)),
        ]);
        let stream = bus.connect();
        let (send, built) = std::sync::mpsc::channel();
        let answers = shared.clone();
        std::thread::spawn(move || {
            block_on(async {
                let connection = Builder::unix_stream(stream).build().await.unwrap();
                let mut calls = MessageStream::from(&connection);
                connection.request_name(SERVICE).await.unwrap();
                send.send(connection.clone()).unwrap();
                // Ends with the connection.
                while let Some(Ok(call)) =
                    poll_fn(|context| Pin::new(&mut calls).poll_next(context)).await
                {
                    if call.message_type() == Type::MethodCall {
                        answer(&connection, &call, &answers).await;
                    }
                }
            });
        });
        Self {
            connection: built.recv().unwrap(),
            shared,
        }
    }

    /// Puts a unit into the table, without a word.
    pub fn put(&self, name: &str, active: &str, more: &[(&'static str, Property)]) {
        let mut properties = Properties::from([
            ("LoadState", "loaded".into()),
            ("ActiveState", active.into()),
            (
                "ActiveEnterTimestamp",
                Property::Time(1_795_197_600_000_000),
            ),
            ("ActiveExitTimestamp", Property::Time(0)),
            ("InactiveEnterTimestamp", Property::Time(0)),
            (
                "InactiveExitTimestamp",
                Property::Time(1_795_197_599_000_000),
            ),
            ("Result", "success".into()),
        ]);
        properties.extend(more.iter().cloned());
        self.shared
            .table()
            .units
            .insert(name.to_owned(), properties);
    }

    /// Loads a unit.
    pub fn load(&self, name: &str, active: &str, more: &[(&'static str, Property)]) {
        self.put(name, active, more);
        self.emit_manager("UnitNew", &(name, object(name)));
    }

    /// Forgets a unit.
    pub fn forget(&self, name: &str) {
        self.shared.table().units.remove(name);
        self.emit_manager("UnitRemoved", &(name, object(name)));
    }

    /// Changes properties of a unit, and says so as systemd does.
    pub fn change(&self, name: &str, changes: &[(&'static str, Property)]) {
        let mut table = self.shared.table();
        let unit = table.units.get_mut(name).unwrap();
        unit.extend(changes.iter().cloned());
        drop(table);
        self.say_changed(&self.connection, name, changes);
    }

    /// The signal of a change, on any connection.
    pub fn say_changed(&self, from: &Connection, name: &str, changes: &[(&'static str, Property)]) {
        let changed: HashMap<&str, Variant<'_>> = changes
            .iter()
            .map(|(property, value)| (*property, value.variant()))
            .collect();
        let body = ("org.freedesktop.systemd1.Unit", changed, Vec::<&str>::new());
        let interface = "org.freedesktop.DBus.Properties";
        let path = object(name);
        block_on(from.emit_signal(None::<&str>, path, interface, "PropertiesChanged", &body))
            .unwrap();
    }

    /// Changes the manager's state, which it does not say.
    pub fn system_state(&self, state: &str) {
        self.shared
            .table()
            .manager
            .insert("SystemState", state.into());
    }

    /// Says that all unit files were read anew.
    pub fn reloaded(&self) {
        self.emit_manager("Reloading", &(true,));
        self.emit_manager("Reloading", &(false,));
    }

    fn emit_manager<B>(&self, signal: &str, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        let emit = self
            .connection
            .emit_signal(None::<&str>, MANAGER_PATH, MANAGER, signal, body);
        block_on(emit).unwrap();
    }

    /// The calls since the last time, by method.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.table().calls)
    }

    /// Leaves the bus as a crash would.
    pub fn leave(self) {
        block_on(self.connection.close()).unwrap();
    }
}

/// Somebody else on the bus.
pub fn stranger(bus: &BusDaemon) -> Connection {
    block_on(Builder::unix_stream(bus.connect()).build()).unwrap()
}

async fn answer(connection: &Connection, call: &Message, shared: &Shared) {
    let header = call.header();
    let method = header.member().unwrap().to_string();
    let unit = header.path().and_then(|path| unit_of(path.as_str()));
    shared.table().calls.push(method.clone());
    let body = call.body();
    let replied = match method.as_str() {
        "Subscribe" => connection.reply(&header, &()).await,
        "ListUnits" => {
            let lines = lines(&shared.table());
            connection.reply(&header, &lines).await
        }
        "GetAll" => {
            let all = properties(shared, unit.as_deref());
            let all: HashMap<&str, Variant<'_>> = all
                .iter()
                .map(|(name, value)| (*name, value.variant()))
                .collect();
            connection.reply(&header, &(all,)).await
        }
        "Get" => {
            let (_, property): (&str, &str) = body.deserialize().unwrap();
            match properties(shared, unit.as_deref()).get(property) {
                Some(value) => connection.reply(&header, &(value.variant(),)).await,
                None => {
                    let name = "org.freedesktop.DBus.Error.UnknownProperty";
                    connection
                        .reply_error(&header, name, &"no such property")
                        .await
                }
            }
        }
        other => panic!("{other} is not called by the exporter"),
    };
    replied.unwrap();
}

fn properties(shared: &Shared, unit: Option<&str>) -> Properties {
    let table = shared.table();
    match unit {
        Some(unit) => table.units.get(unit).cloned().unwrap_or_default(),
        None => table.manager.clone(),
    }
}

type Line = (
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

fn lines(table: &Table) -> Vec<Line> {
    let text = |properties: &Properties, key| match &properties[key] {
        Property::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let units = table.units.iter().map(|(name, properties)| {
        (
            name.clone(),
            "A unit".to_owned(),
            text(properties, "LoadState"),
            text(properties, "ActiveState"),
            "running".to_owned(),
            String::new(),
            object(name).into(),
            0,
            String::new(),
            ObjectPath::try_from("/").unwrap().into(),
        )
    });
    units.collect()
}

/// The object of a unit whose name is of letters, dots, dashes, `@` and digits.
fn object(name: &str) -> ObjectPath<'static> {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    ObjectPath::try_from(path).unwrap()
}

fn unit_of(path: &str) -> Option<String> {
    let escaped = path.strip_prefix("/org/freedesktop/systemd1/unit/")?;
    let dots = [("_2e", "."), ("_2d", "-"), ("_40", "@"), ("_3a", ":")];
    Some(dots.iter().fold(escaped.to_owned(), |name, (code, byte)| {
        name.replace(code, byte)
    }))
}

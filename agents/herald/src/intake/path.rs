//! The way that an event has come: the ids of hosts, in `data.path`. One that has passed this
//! host is not sent again, so that hosts that send to one another make no circle.

use ring::digest::{SHA256, digest};
use roundsman_kit::Paths;
use roundsman_store::event::Event;
use serde_json::Value;

/// The key of an event's data.
const PATH: &str = "path";

/// An event that has come further goes in a circle of hosts that do not name themselves.
const MOST_HOSTS: usize = 64;

/// What this host is called in paths. The machine's id is not for strangers, so it is hashed; a
/// host without one goes by its name.
pub fn host_id(paths: &Paths, host: &str) -> String {
    let machine = std::fs::read_to_string(paths.at("/etc/machine-id")).unwrap_or_default();
    let machine = match machine.trim() {
        "" | "uninitialized" => host,
        id => id,
    };
    let hash = digest(&SHA256, format!("roundsman host {machine}").as_bytes());
    let bytes = hash.as_ref()[..16].iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the event has passed this host before.
pub fn has_passed(event: &Event, host_id: &str) -> bool {
    let Some(Value::Array(path)) = event.data.get(PATH) else {
        return false;
    };
    path.len() >= MOST_HOSTS || path.iter().any(|host| host == host_id)
}

/// Adds this host to the way of an event that has one.
pub fn pass(event: &mut Event, host_id: &str) {
    if let Some(Value::Array(path)) = event.data.get_mut(PATH) {
        path.push(host_id.into());
    }
}

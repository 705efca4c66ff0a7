//! The bodies of systemd's messages (org.freedesktop.systemd1(5)), and the names of its objects.

use std::collections::HashMap;

use serde::Deserialize;
use zbus::message::Body;
use zbus::{ObjectPath, Type, Variant};

use super::model::{Listed, Value};

const UNIT_PREFIX: &str = "/org/freedesktop/systemd1/unit/";

/// The object of a unit: letters and digits stand for themselves, any other byte as `_xx`, and
/// so does a digit at the start.
pub fn unit_path(name: &str) -> String {
    let mut path = String::from(UNIT_PREFIX);
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit of an object; `None` for an object that is no unit.
pub fn unit_name(path: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut bytes = path.strip_prefix(UNIT_PREFIX)?.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'_' {
            name.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let code = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
        name.push(u8::try_from(code).ok()?);
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// The first argument of `UnitNew` and `UnitRemoved`.
pub fn unit_argument(body: &Body) -> zbus::Result<String> {
    let (name, _): (&str, ObjectPath<'_>) = body.deserialize()?;
    Ok(name.to_owned())
}

/// A line of `ListUnits`, as far as it is read here.
#[derive(Deserialize, Type)]
struct Line<'a> {
    name: &'a str,
    _description: &'a str,
    load: &'a str,
    active: &'a str,
    _sub: &'a str,
    _following: &'a str,
    #[serde(borrow)]
    _path: ObjectPath<'a>,
    _job: u32,
    _job_type: &'a str,
    #[serde(borrow)]
    _job_path: ObjectPath<'a>,
}

/// The lines of an answer to `ListUnits`.
pub fn listing(body: &Body) -> zbus::Result<Vec<Listed<'_>>> {
    let lines: Vec<Line<'_>> = body.deserialize()?;
    let listed = lines.into_iter().map(|line| Listed {
        name: line.name,
        load: line.load,
        active: line.active,
    });
    Ok(listed.collect())
}

/// Hands the properties of an answer to `GetAll` to `apply`.
pub fn properties(body: &Body, mut apply: impl FnMut(&str, Value<'_>)) -> zbus::Result<()> {
    let all: HashMap<&str, Variant<'_>> = body.deserialize()?;
    for (name, variant) in &all {
        if let Some(value) = value(variant) {
            apply(name, value);
        }
    }
    Ok(())
}

/// Hands the answer to `Get` to `apply`.
pub fn property(body: &Body, apply: impl FnOnce(Value<'_>)) -> zbus::Result<()> {
    let variant: Variant<'_> = body.deserialize()?;
    if let Some(value) = value(&variant) {
        apply(value);
    }
    Ok(())
}

/// Hands the properties of a `PropertiesChanged` signal to `apply`.
pub fn changes(body: &Body, mut apply: impl FnMut(&str, Value<'_>)) -> zbus::Result<()> {
    // What stands in the third place, names without values, are none of those that are shown.
    let (_, changed, _): (&str, HashMap<&str, Variant<'_>>, Vec<&str>) = body.deserialize()?;
    for (name, variant) in &changed {
        if let Some(value) = value(variant) {
            apply(name, value);
        }
    }
    Ok(())
}

fn value<'a>(variant: &'a Variant<'_>) -> Option<Value<'a>> {
    match variant {
        Variant::Str(text) => Some(Value::Text(text.as_str())),
        Variant::U32(number) => Some(Value::Number(u64::from(*number))),
        Variant::U64(number) => Some(Value::Number(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_a_unit_is_named_as_systemd_names_it() {
        for (name, path) in [
            ("ssh.service", "ssh_2eservice"),
            ("getty@tty1.service", "getty_40tty1_2eservice"),
            ("9p_x.mount", "_39p_5fx_2emount"),
            (
                "dev-disk-by\\x2did.device",
                "dev_2ddisk_2dby_5cx2did_2edevice",
            ),
        ] {
            let path = format!("{UNIT_PREFIX}{path}");
            assert_eq!(unit_path(name), path);
            assert_eq!(unit_name(&path).as_deref(), Some(name));
        }
        for odd in [
            "/org/freedesktop/systemd1",
            UNIT_PREFIX,
            "/org/freedesktop/systemd1/unit/a_2",
        ] {
            assert_eq!(unit_name(odd), None, "{odd}");
        }
    }
}

//! Printing a configuration with the origin of every value.

use figment::value::{Dict, Value};
use serde_json::json;

use super::{Config, Loaded};

/// The whole configuration as TOML, one dotted key per line with its origin behind it.
pub fn dump_toml<C: Config>(loaded: &Loaded<C>) -> String {
    let mut lines = Vec::new();
    walk(&loaded.origins.values(), "", &mut |key, value| {
        let toml = match value.as_str() {
            Some(text) => basic_string(text),
            None => match toml::Value::try_from(value) {
                Ok(toml) => toml.to_string(),
                Err(_) => return,
            },
        };
        let origin = loaded.origins.of(value.tag());
        let origin = origin.as_deref().unwrap_or("default");
        // A comment ends with its line.
        let origin = origin.replace(char::is_control, "?");
        lines.push(format!("{key} = {toml}  # {origin}\n"));
    });
    lines.concat()
}

/// The same as JSON: `{"values": {...}, "origins": {"key": "file"}, "credentials": ["name"],
/// "findings": [...]}`; the findings are what is left out.
pub fn dump_json<C: Config>(loaded: &Loaded<C>) -> serde_json::Value {
    let mut origins = serde_json::Map::new();
    let values = loaded.origins.values();
    walk(&values, "", &mut |key, value| {
        if let Some(origin) = loaded.origins.of(value.tag()) {
            origins.insert(key.to_owned(), origin.into());
        }
    });
    let credentials: Vec<_> = loaded
        .config
        .credentials()
        .iter()
        .map(|named| named.credential.clone())
        .collect();
    json!({
        "values": values,
        "origins": origins,
        "credentials": credentials,
        "findings": loaded.left_out,
    })
}

/// Calls `visit` for every value that is not a table, with its dotted key.
fn walk(dict: &Dict, prefix: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (key, value) in dict {
        let quoted = format!("{prefix}{}", quote(key));
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => walk(inner, &format!("{quoted}."), visit),
            Value::Empty(..) => {}
            _ => visit(&quoted, value),
        }
    }
}

/// A key as TOML wants it: bare where that is allowed.
fn quote(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        basic_string(key)
    }
}

/// A string on one line: a key may not have several. TOML has JSON's escapes, and wants DEL
/// escaped as well.
fn basic_string(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007f")
}

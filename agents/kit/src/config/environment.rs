//! Configuration from the environment: `ROUNDSMAN_<AGENT>__A__B=1` is `a.b = 1`.

use std::ffi::OsString;

use figment::value::{Dict, Value};

use super::Finding;
use super::origins::{Layer, descend};

/// One layer per variable of `agent`, so that each is its own origin.
pub(super) fn layers(
    agent: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
    defaults: &Value,
    findings: &mut Vec<Finding>,
) -> Vec<Layer> {
    let near = format!("ROUNDSMAN_{}_", agent.to_uppercase());
    let mut layers = Vec::new();
    for (name, text) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&near) else {
            continue;
        };
        let mut refuse = |reason: &str, remedy: String| {
            findings.push(Finding {
                file: name.clone(),
                key: String::new(),
                reason: reason.into(),
                remedy,
            });
        };
        let Some(path) = rest.strip_prefix('_') else {
            let remedy = format!("name it {near}_{rest}");
            refuse("two underscores stand between agent and key", remedy);
            continue;
        };
        let Ok(text) = text.into_string() else {
            refuse("the value is not UTF-8", "write it in UTF-8".into());
            continue;
        };
        let path = path.to_lowercase();
        let nest = |inner: Value, key: &str| Value::from(Dict::from([(key.to_owned(), inner)]));
        let nested = path.rsplit("__").fold(value(&path, text, defaults), nest);
        if let Some(dict) = nested.into_dict() {
            layers.push(Layer { origin: name, dict });
        }
    }
    layers
}

/// Where a text is wanted the text is taken as it stands; elsewhere `5`, `true`, `[a, b]` and
/// `{a = 1}` are what they are in a file.
fn value(path: &str, text: String, defaults: &Value) -> Value {
    let path: Vec<_> = path.split("__").map(str::to_owned).collect();
    let mut default = Some(defaults);
    let mut rest = &path[..];
    while let (Some(at), false) = (default, rest.is_empty()) {
        let child = descend(at, rest);
        rest = child.map_or(rest, |(_, taken)| &rest[taken..]);
        default = child.map(|(value, _)| value);
    }
    if default.is_some_and(|default| default.as_str().is_some()) {
        return Value::from(text);
    }
    text.parse().unwrap_or_else(|_| Value::from(text))
}

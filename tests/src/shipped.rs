//! The example configuration: every key commented out at its default.

use serde::Serialize;
use serde_json::Value;

/// Checks that the commented-out keys of an example file are exactly the keys of `defaults`, at
/// their values. Prose must not look like `key = ` or `[table]`; an example that is not a
/// default is indented by more than one space behind the `#`.
///
/// # Panics
/// With both sides, when they differ.
#[track_caller]
pub fn assert_shipped_config(text: &str, defaults: &impl Serialize) {
    let live: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(
        live.is_empty(),
        "the shipped file must change nothing: {live:?}"
    );
    let uncommented = text
        .lines()
        .filter_map(uncomment)
        .collect::<Vec<_>>()
        .join("\n");
    let shown: toml::Table = match toml::from_str(&uncommented) {
        Ok(table) => table,
        Err(error) => panic!("the uncommented file: {error}\n{uncommented}"),
    };
    let pair = (serde_json::to_value(shown), serde_json::to_value(defaults));
    let (Ok(mut shown), Ok(mut expected)) = pair else {
        panic!("not a table: {uncommented}")
    };
    drop_unset(&mut shown);
    drop_unset(&mut expected);
    assert_eq!(
        shown, expected,
        "left: the shipped file; right: the program's defaults"
    );
}

fn uncomment(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("# ")?;
    let key = inner.split_once(" = ").map(|(key, _)| key);
    let is_key = key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    (is_key || inner.starts_with('[')).then_some(inner)
}

/// A key without a default cannot be shown: it is absent on both sides.
fn drop_unset(value: &mut Value) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(drop_unset);
        map.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|o| !o.is_empty()));
    }
}

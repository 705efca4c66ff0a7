//! JSON objects as `key=value`, for lines that people read.

use serde_json::{Map, Value};

/// Every value that is no object, with its dotted path; a list stays one value.
pub fn pairs(object: &Map<String, Value>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(object, "", &mut found);
    found
}

fn walk(object: &Map<String, Value>, prefix: &str, found: &mut Vec<(String, String)>) {
    for (key, value) in object {
        let path = format!("{prefix}{key}");
        match value {
            Value::Object(inner) if !inner.is_empty() => walk(inner, &format!("{path}."), found),
            Value::String(text) => found.push((path, text.clone())),
            other => found.push((path, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_flattened_and_lists_are_not() {
        let value =
            serde_json::json!({"a": {"b": 1.5, "c": {}}, "d": ["x", 2], "e": "text", "f": null});
        let pairs = pairs(value.as_object().unwrap());
        let shown: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            shown,
            ["a.b=1.5", "a.c={}", "d=[\"x\",2]", "e=text", "f=null"]
        );
    }
}

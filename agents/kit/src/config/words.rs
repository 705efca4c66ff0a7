//! Mistakes in words: figment speaks of Rust's types.

use figment::error::{Actual, Kind};

use super::merge::COMMON_KEYS;

/// Reason and remedy of a refused value at `path`.
pub(super) fn of(kind: &Kind, path: &[String]) -> (String, String) {
    match kind {
        Kind::UnknownField(name, known) => {
            let is_top = path.join(".") == *name;
            let common: &[&str] = if is_top { &COMMON_KEYS } else { &[] };
            let mut all = known.to_vec();
            all.extend(common.iter().filter(|key| !known.contains(key)));
            let remedy = match all.as_slice() {
                [] => "there are no keys here".into(),
                all => format!("one of: {}", all.join(", ")),
            };
            ("unknown key".to_owned(), remedy)
        }
        Kind::UnknownVariant(given, known) => (
            format!("unknown value \"{given}\""),
            format!("one of: {}", known.join(", ")),
        ),
        Kind::MissingField(name) => (format!("key \"{name}\" is missing"), "add it".to_owned()),
        // Types of ours state reason and remedy themselves.
        Kind::InvalidValue(Actual::Other(reason), remedy) if remedy.starts_with("write ") => {
            let key = path.last().map_or("KEY", String::as_str);
            (reason.clone(), remedy.replacen("KEY", key, 1))
        }
        Kind::InvalidType(actual, wanted) | Kind::InvalidValue(actual, wanted) => (
            format!("found {}", found(actual)),
            format!("expected {}", expected(wanted)),
        ),
        other => (other.to_string(), String::new()),
    }
}

fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("{value}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Char(letter) => format!("\"{letter}\""),
        Actual::Unit | Actual::Option => "nothing".into(),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

fn expected(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a character" => "a text in quotes",
        "path string" => "a path in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        "string or map" => "a word in quotes",
        _ if wanted.starts_with("struct ") => "a table",
        _ if wanted.starts_with("enum ") => "a word in quotes",
        _ if wanted.starts_with("tuple ") => "a list",
        _ => wanted,
    }
}

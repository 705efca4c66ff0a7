//! From files to one typed value. figment merges and remembers where each value came from; the
//! messages are ours, and one run reports everything that is wrong.

use std::path::Path;

use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::fragments::Fragment;
use super::{Common, Config, Directories, Finding, Invalid, Loaded, Refused};

/// A file with more mistakes than this is the wrong file.
const MOST_FINDINGS: usize = 200;

const COMMON_KEYS: [&str; 3] = ["log_level", "store", "host"];

/// Loads the configuration of `agent` from `directories` and from `environment` (all variables
/// of the process; those of other programs are passed over).
///
/// # Errors
/// [`Refused`] with every finding: unreadable files, syntax errors, unknown keys, wrong types,
/// values out of range.
pub fn load<C: Config>(
    directories: &Directories,
    agent: &str,
    instance: Option<&str>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded<C>, Refused> {
    let (fragments, mut findings) = directories.read(agent, instance);
    let mut figment = Figment::new()
        .merge(Serialized::defaults(Common::default()))
        .merge(Serialized::defaults(C::default()));
    for fragment in fragments {
        let dict = parse(&fragment, &mut findings);
        figment = figment.merge(Layer::file(&fragment.path, dict));
    }
    for layer in Layer::environment(agent, environment) {
        figment = figment.merge(layer);
    }

    let origins = Origins { figment };
    let mut own = origins.values();
    let mut shared = Dict::new();
    for key in COMMON_KEYS {
        if let Some(value) = own.remove(key) {
            shared.insert(key.to_owned(), value);
        }
    }
    let common = extract::<Common>(shared, &origins, &mut findings);
    let config = extract::<C>(own, &origins, &mut findings);
    match (config, common) {
        (Some(config), Some(common)) if findings.is_empty() => Ok(Loaded {
            config,
            common,
            origins,
        }),
        _ => Err(Refused { findings }),
    }
}

/// Where each value of a loaded configuration came from.
#[derive(Debug)]
pub struct Origins {
    figment: Figment,
}

impl Origins {
    /// Every merged value, defaults included.
    pub(super) fn values(&self) -> Dict {
        let profiles = self.figment.data().unwrap_or_default();
        profiles.get(&Profile::Default).cloned().unwrap_or_default()
    }

    /// The file or variable of a value, `None` for a built-in default.
    pub(super) fn of(&self, tag: Tag) -> Option<String> {
        let metadata = self.figment.get_metadata(tag)?;
        match metadata.source.as_ref()? {
            Source::File(path) => Some(path.display().to_string()),
            Source::Custom(name) => Some(name.clone()),
            _ => None,
        }
    }
}

/// One file or one environment variable, as figment sees it.
struct Layer {
    metadata: Metadata,
    dict: Dict,
}

impl Layer {
    fn file(path: &Path, dict: Dict) -> Self {
        Self {
            metadata: Metadata::from("file", path),
            dict,
        }
    }

    /// `ROUNDSMAN_<AGENT>__A__B=1` is `a.b = 1`: one layer per variable, so that each is its
    /// own origin.
    fn environment(
        agent: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> impl Iterator<Item = Self> {
        let prefix = format!("ROUNDSMAN_{}__", agent.to_uppercase());
        variables.filter_map(move |(name, text)| {
            let path = name.strip_prefix(&prefix)?.to_lowercase();
            let value = text.parse().unwrap_or_else(|_| Value::from(text));
            let nest = |inner: Value, key: &str| Value::from(Dict::from([(key.to_owned(), inner)]));
            let nested = path.rsplit("__").fold(value, nest);
            let metadata = Metadata::from("environment variable", Source::Custom(name));
            nested.into_dict().map(|dict| Self { metadata, dict })
        })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// The table of one file. What is wrong with it goes to `findings`; the rest still takes part,
/// so that one run reports everything.
fn parse(fragment: &Fragment, findings: &mut Vec<Finding>) -> Dict {
    let mut refuse = |key: String, reason: String, remedy: String| {
        let file = fragment.path.display().to_string();
        findings.push(Finding {
            file,
            key,
            reason,
            remedy,
        });
    };
    let mut table = match toml::from_str::<toml::Table>(&fragment.text) {
        Ok(table) => table,
        Err(error) => {
            let at = error
                .span()
                .map(|span| line_and_column(&fragment.text, span.start));
            let remedy = "mend the TOML syntax".to_owned();
            refuse(at.unwrap_or_default(), error.message().to_owned(), remedy);
            return Dict::new();
        }
    };
    if fragment.is_common {
        table.retain(|key, _| {
            let known = COMMON_KEYS.contains(&key);
            if !known {
                let reason = "unknown key: only keys of every agent stand here".to_owned();
                refuse(
                    key.to_owned(),
                    reason,
                    format!("one of: {}", COMMON_KEYS.join(", ")),
                );
            }
            known
        });
    }
    match Value::serialize(table).map(Value::into_dict) {
        Ok(Some(dict)) => dict,
        Ok(None) => Dict::new(),
        Err(error) => {
            refuse(String::new(), error.to_string(), String::new());
            Dict::new()
        }
    }
}

fn line_and_column(text: &str, at: usize) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    format!("line {line}, column {column}")
}

/// Deserializes `dict`; each value that is refused becomes a finding and gives way to its
/// default, so that the next round sees the one behind it. Then the type's own checks run.
fn extract<C: Config>(mut dict: Dict, origins: &Origins, findings: &mut Vec<Finding>) -> Option<C> {
    let whole = Value::from(dict.clone());
    let defaults = Value::serialize(C::default()).ok()?.into_dict()?;
    for _ in 0..MOST_FINDINGS {
        let error = match Value::from(dict.clone()).deserialize::<C>() {
            Ok(config) => {
                let invalid = config.validate().into_iter();
                findings.extend(invalid.map(|invalid| judged(invalid, &whole, origins)));
                return Some(config);
            }
            Err(error) => error,
        };
        let path = error.path.clone();
        findings.push(refused(&error.kind, &path, &whole, origins));
        if !remove(&mut dict, &path) {
            return None;
        }
        fill(&mut dict, &defaults);
    }
    None
}

/// Puts back what `dict` lacks of `defaults`.
fn fill(dict: &mut Dict, defaults: &Dict) {
    for (key, default) in defaults {
        match (dict.get_mut(key), default) {
            (None, _) => {
                dict.insert(key.clone(), default.clone());
            }
            (Some(Value::Dict(_, inner)), Value::Dict(_, default)) => fill(inner, default),
            _ => {}
        }
    }
}

fn judged(invalid: Invalid, values: &Value, origins: &Origins) -> Finding {
    let path: Vec<_> = invalid.key.split('.').map(str::to_owned).collect();
    let file = origin(&path, values, origins);
    Finding {
        file,
        key: invalid.key,
        reason: invalid.reason,
        remedy: invalid.remedy,
    }
}

fn refused(kind: &Kind, path: &[String], values: &Value, origins: &Origins) -> Finding {
    let (reason, remedy) = match kind {
        Kind::UnknownField(_, []) => (
            "unknown key".to_owned(),
            "there are no keys here".to_owned(),
        ),
        Kind::UnknownField(_, known) => (
            "unknown key".to_owned(),
            format!("one of: {}", known.join(", ")),
        ),
        Kind::UnknownVariant(given, known) => (
            format!("unknown value \"{given}\""),
            format!("one of: {}", known.join(", ")),
        ),
        Kind::MissingField(name) => (format!("key \"{name}\" is missing"), "add it".to_owned()),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => (
            format!("found {}", found(actual)),
            format!("expected {expected}"),
        ),
        other => (other.to_string(), String::new()),
    };
    let file = origin(path, values, origins);
    Finding {
        file,
        key: path.join("."),
        reason,
        remedy,
    }
}

/// What stands there, in words: figment speaks of Rust's types.
fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("{value}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// The origin of the value at `path`, or of the nearest value above it that has one.
fn origin(path: &[String], values: &Value, origins: &Origins) -> String {
    let mut at = values;
    let mut found = None;
    let mut rest = path;
    while let Some((child, taken)) = descend(at, rest) {
        at = child;
        rest = &rest[taken..];
        found = first_tag(at).and_then(|tag| origins.of(tag)).or(found);
    }
    found.unwrap_or_else(|| "built-in default".into())
}

/// Tables are merged and carry no origin of their own; the first value inside one does.
fn first_tag(value: &Value) -> Option<Tag> {
    match value {
        Value::Dict(_, dict) => dict.values().find_map(first_tag),
        Value::Array(tag, _) => Some(*tag),
        other => Some(other.tag()),
    }
}

/// The child of `value` that `path` begins with, and how many segments name it: figment splits
/// keys that contain dots.
fn descend<'v>(value: &'v Value, path: &[String]) -> Option<(&'v Value, usize)> {
    match value {
        Value::Dict(_, dict) => {
            (1..=path.len()).find_map(|taken| Some((dict.get(&path[..taken].join("."))?, taken)))
        }
        Value::Array(_, items) => {
            let index: usize = path.first()?.trim_matches(['[', ']']).parse().ok()?;
            Some((items.get(index)?, 1))
        }
        _ => None,
    }
}

/// Takes the value at `path` out of `dict`, or the nearest one above it; false if none is there.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some(taken) = (1..=path.len()).find(|n| dict.contains_key(&path[..*n].join("."))) else {
        return false;
    };
    let key = path[..taken].join(".");
    let removed_below = match dict.get_mut(&key) {
        Some(Value::Dict(_, inner)) => remove(inner, &path[taken..]),
        Some(Value::Array(_, items)) => {
            let index = path
                .get(taken)
                .and_then(|at| at.trim_matches(['[', ']']).parse().ok());
            index
                .filter(|at| *at < items.len())
                .map(|at: usize| items.remove(at))
                .is_some()
        }
        _ => false,
    };
    removed_below || dict.remove(&key).is_some()
}

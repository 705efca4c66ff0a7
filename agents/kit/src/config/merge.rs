//! From files to one typed value. figment merges and remembers where each value came from; the
//! messages are ours, and one run reports everything that is wrong.

use std::ffi::OsString;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::fragments::Fragment;
use super::origins::{Layer, Origins};
use super::pruned::Pruned;
use super::{Common, Config, Directories, Finding, Invalid, Loaded, Refused, environment, words};

/// A file with more mistakes than this is the wrong file: the rest are counted.
const MOST_FINDINGS: usize = 200;
/// Each round finds one mistake and costs a whole reading.
const MOST_ROUNDS: usize = 1000;

pub(super) const COMMON_KEYS: [&str; 3] = ["log_level", "store", "host"];

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
    environment: impl Iterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<Loaded<C>, Refused> {
    let (fragments, mut findings) = directories.read(agent, instance);
    let defaults = Figment::new()
        .merge(Serialized::defaults(Common::default()))
        .merge(Serialized::defaults(C::default()));
    let mut origins = Origins::new(defaults);
    let defaults = Value::from(origins.values());
    for fragment in fragments {
        let dict = parse(&fragment, &mut findings);
        let origin = fragment.path.display().to_string();
        origins = origins.merge(Layer { origin, dict });
    }
    let variables = environment.map(|(name, text)| (name.into(), text.into()));
    for layer in environment::layers(agent, variables, &defaults, &mut findings) {
        origins = origins.merge(layer);
    }

    let mut own = origins.values();
    let mut shared = Dict::new();
    for key in COMMON_KEYS {
        if let Some(value) = own.remove(key) {
            shared.insert(key.to_owned(), value);
        }
    }
    let common = extract::<Common>(shared, &origins, &mut findings);
    let config = extract::<C>(own.clone(), &origins, &mut findings);
    if let (Some(config), Some(common)) = (config, common)
        && let Some((config, left_out)) = leave_out(config, own, &origins, &findings)
    {
        return Ok(Loaded {
            config,
            common,
            origins,
            left_out,
        });
    }
    Err(Refused {
        findings: cut(findings),
    })
}

/// The configuration without the items that something is wrong with; `None` if something else
/// is wrong.
fn leave_out<C: Config>(
    config: C,
    mut own: Dict,
    origins: &Origins,
    findings: &[Finding],
) -> Option<(C, Vec<Finding>)> {
    if findings.is_empty() {
        return Some((config, Vec::new()));
    }
    for finding in findings {
        let (table, rest) = finding.key.split_once('.')?;
        let name = rest.split('.').next()?;
        if !C::ITEMS.contains(&table) {
            return None;
        }
        if let Some(Value::Dict(_, members)) = own.get_mut(table) {
            members.remove(name);
        }
    }
    let mut more = Vec::new();
    let config = extract::<C>(own, origins, &mut more)?;
    more.is_empty().then(|| (config, cut(findings.to_vec())))
}

/// The first of many findings, and how many there are besides.
fn cut(mut findings: Vec<Finding>) -> Vec<Finding> {
    let more = findings.len().saturating_sub(MOST_FINDINGS);
    if more > 0 {
        findings.truncate(MOST_FINDINGS);
        let at_least = if more + MOST_FINDINGS >= MOST_ROUNDS {
            "at least "
        } else {
            ""
        };
        findings.push(Finding {
            file: String::new(),
            key: String::new(),
            reason: format!("and {at_least}{more} more"),
            remedy: "mend those above first".into(),
        });
    }
    findings
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
fn extract<C: Config>(dict: Dict, origins: &Origins, findings: &mut Vec<Finding>) -> Option<C> {
    let whole = Value::from(dict.clone());
    let defaults = Value::serialize(C::default()).ok()?.into_dict()?;
    let mut pruned = Pruned::new(dict);
    for _ in 0..MOST_ROUNDS {
        let error = match pruned.rest.deserialize::<C>() {
            Ok(config) => {
                let invalid = config.validate().into_iter();
                findings.extend(invalid.map(|invalid| judged(invalid, &whole, origins)));
                return Some(config);
            }
            Err(error) => error,
        };
        let path = pruned.original(&error.path);
        let (reason, remedy) = words::of(&error.kind, &path);
        findings.push(Finding {
            file: origins.blame(&path, &whole),
            key: path.join("."),
            reason,
            remedy,
        });
        if !pruned.remove(&error.path) {
            return None;
        }
        pruned.fill(&defaults);
    }
    None
}

fn judged(invalid: Invalid, values: &Value, origins: &Origins) -> Finding {
    let path: Vec<_> = invalid.key.split('.').map(str::to_owned).collect();
    Finding {
        file: origins.blame(&path, values),
        key: invalid.key,
        reason: invalid.reason,
        remedy: invalid.remedy,
    }
}

//! Values from which refused ones are taken out, one by one, so that the next mistake shows.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::origins::{descend, index};

/// What is left of the values of a configuration.
pub(super) struct Pruned {
    pub rest: Value,
    /// For each list that lost items: the first index of those that are left.
    kept: BTreeMap<Vec<String>, Vec<usize>>,
}

impl Pruned {
    pub fn new(values: Dict) -> Self {
        Self {
            rest: Value::from(values),
            kept: BTreeMap::new(),
        }
    }

    /// What `path` was called before anything was taken out.
    pub fn original(&self, path: &[String]) -> Vec<String> {
        let mut told = Vec::new();
        let mut at = &self.rest;
        let mut rest = path;
        while let Some((child, taken)) = descend(at, rest) {
            let moved = self.kept.get(&told).filter(|_| at.as_array().is_some());
            let moved = moved.and_then(|kept| kept.get(index(&rest[0])?));
            told.push(match moved {
                Some(first) => first.to_string(),
                None => rest[..taken].join("."),
            });
            at = child;
            rest = &rest[taken..];
        }
        told.extend(rest.iter().cloned());
        told
    }

    /// Takes out the value at `path`, or the nearest one above it; false if none is there.
    pub fn remove(&mut self, path: &[String]) -> bool {
        remove(&mut self.rest, path, &mut Vec::new(), &mut self.kept)
    }

    /// Puts back what is missing of `defaults`.
    pub fn fill(&mut self, defaults: &Dict) {
        if let Value::Dict(_, dict) = &mut self.rest {
            fill(dict, defaults);
        }
    }
}

fn remove(
    value: &mut Value,
    path: &[String],
    above: &mut Vec<String>,
    kept: &mut BTreeMap<Vec<String>, Vec<usize>>,
) -> bool {
    match value {
        Value::Dict(_, dict) => {
            let mut keys = (1..=path.len()).map(|taken| (path[..taken].join("."), taken));
            let Some((key, taken)) = keys.find(|(key, _)| dict.contains_key(key)) else {
                return false;
            };
            above.push(key.clone());
            let below = dict.get_mut(&key);
            below.is_some_and(|inner| remove(inner, &path[taken..], above, kept))
                || dict.remove(&key).is_some()
        }
        Value::Array(_, items) => {
            let at = path
                .first()
                .and_then(|at| index(at))
                .filter(|at| *at < items.len());
            let Some(at) = at else {
                return false;
            };
            let all = 0..items.len();
            kept.entry(above.clone())
                .or_insert_with(|| all.collect())
                .remove(at);
            items.remove(at);
            true
        }
        _ => false,
    }
}

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

//! Which file or variable a value came from. figment tags each value with its layer.

use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

/// One file or one environment variable, as figment sees it.
pub(super) struct Layer {
    /// What findings call it.
    pub origin: String,
    pub dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from("layer", Source::Custom(self.origin.clone()))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// Where each value of a loaded configuration came from.
#[derive(Debug)]
pub struct Origins {
    figment: Figment,
    /// Every layer's origin, lowest first.
    layers: Vec<String>,
}

impl Origins {
    /// Nothing but `defaults`.
    pub(super) fn new(defaults: Figment) -> Self {
        Self {
            figment: defaults,
            layers: Vec::new(),
        }
    }

    /// Puts `layer` above what is there.
    pub(super) fn merge(mut self, layer: Layer) -> Self {
        self.layers.push(layer.origin.clone());
        self.figment = self.figment.merge(layer);
        self
    }

    /// Every merged value, defaults included.
    pub(super) fn values(&self) -> Dict {
        let profiles = self.figment.data().unwrap_or_default();
        profiles.get(&Profile::Default).cloned().unwrap_or_default()
    }

    /// The file or variable of a value, `None` for a built-in default.
    pub(super) fn of(&self, tag: Tag) -> Option<String> {
        match self.figment.get_metadata(tag)?.source.as_ref()? {
            Source::Custom(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// What a finding about `path` blames: the origin of the value there; for a table the
    /// origins of all its values, the highest last; for a default the same of the nearest table
    /// above it, because a default is only wrong beside what was written.
    pub(super) fn blame(&self, path: &[String], values: &Value) -> String {
        let mut at = values;
        let mut blamed = Vec::new();
        let mut rest = path;
        while let Some((child, taken)) = descend(at, rest) {
            at = child;
            rest = &rest[taken..];
            let written = self.within(at);
            if !written.is_empty() {
                blamed = written;
            }
        }
        if blamed.is_empty() {
            return "built-in default".into();
        }
        blamed.join(", ")
    }

    /// The origins of everything in `value` that is not a default, lowest layer first.
    fn within(&self, value: &Value) -> Vec<String> {
        let mut written = vec![false; self.layers.len()];
        each_leaf(value, &mut |tag| {
            let origin = self.of(tag);
            let at = self
                .layers
                .iter()
                .rposition(|layer| Some(layer) == origin.as_ref());
            if let Some(at) = at {
                written[at] = true;
            }
        });
        let layers = self.layers.iter().zip(written);
        layers
            .filter(|(_, is_written)| *is_written)
            .map(|(layer, _)| layer.clone())
            .collect()
    }
}

/// Tables are merged, so that the origins of what they hold count; an empty one has its own.
fn each_leaf(value: &Value, visit: &mut impl FnMut(Tag)) {
    match value {
        Value::Dict(_, dict) if !dict.is_empty() => {
            dict.values().for_each(|inner| each_leaf(inner, visit));
        }
        other => visit(other.tag()),
    }
}

/// The child of `value` that `path` begins with, and how many segments name it: figment splits
/// keys that contain dots.
pub(super) fn descend<'v>(value: &'v Value, path: &[String]) -> Option<(&'v Value, usize)> {
    match value {
        Value::Dict(_, dict) => {
            (1..=path.len()).find_map(|taken| Some((dict.get(&path[..taken].join("."))?, taken)))
        }
        Value::Array(_, items) => Some((items.get(index(path.first()?)?)?, 1)),
        _ => None,
    }
}

/// The index that a segment of a path names.
pub(super) fn index(segment: &str) -> Option<usize> {
    segment.trim_matches(['[', ']']).parse().ok()
}

//! A scrape page, taken apart (text exposition format 0.0.4 of Prometheus).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

/// Series (`name{label="value",…}`, labels sorted) with their values, and types by family.
#[derive(Debug, Default)]
pub struct Page {
    /// Value by series.
    pub series: BTreeMap<String, f64>,
    /// `counter`, `gauge`, … by family.
    pub types: BTreeMap<String, String>,
}

impl Page {
    /// Parses a page.
    pub fn parse(text: &str) -> Result<Self> {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (family, kind) = rest.split_once(' ').context("a type line has a type")?;
                page.types.insert(family.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (series, value) = split_sample(line).with_context(|| line.to_owned())?;
                page.series.insert(series, value);
            }
        }
        Ok(page)
    }

    /// The names of all series.
    pub fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(|series| name(series)).collect()
    }

    /// The series of one name.
    pub fn of<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.series
            .iter()
            .filter(move |(series, _)| name(series) == wanted)
            .map(|(series, value)| (series.as_str(), *value))
    }

    /// The value of a series; labels as in the page, sorted.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }
}

/// The name of a series.
pub fn name(series: &str) -> &str {
    series.split('{').next().unwrap_or_default()
}

fn split_sample(line: &str) -> Option<(String, f64)> {
    let (series, value) = match line.rfind('}') {
        Some(end) => line.split_at(end + 1),
        None => line.split_at(line.find(' ')?),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series.to_owned(), value));
    };
    let labels = sorted(labels.strip_suffix('}')?);
    Some((format!("{name}{{{labels}}}"), value))
}

/// Labels that came with later versions of node_exporter: left out, so that any one compares.
const YOUNG: [&str; 2] = ["device_error=", "adminstate="];

fn sorted(labels: &str) -> String {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&labels[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&labels[start..]);
    parts.retain(|part| !part.is_empty() && !YOUNG.iter().any(|label| part.starts_with(label)));
    parts.sort_unstable();
    parts.join(",")
}

#[test]
fn series_are_comparable_whatever_the_order_of_their_labels() {
    let page = Page::parse(
        "# HELP a b\n# TYPE a gauge\na{y=\"1,}\",x=\"q\\\"\"} 2\nb 3e+06 1\nc{device_error=\"\",z=\"\"} NaN\n",
    )
    .unwrap();
    assert_eq!(page.value("a{x=\"q\\\"\",y=\"1,}\"}"), Some(2.0));
    assert_eq!(page.value("b"), Some(3_000_000.0));
    assert!(page.value("c{z=\"\"}").unwrap().is_nan());
    assert_eq!(page.types["a"], "gauge");
    assert_eq!(page.names().len(), 3);
}

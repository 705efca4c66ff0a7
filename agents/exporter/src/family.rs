//! Families of other programs, kept apart from the text they were read from.

use std::borrow::Cow;

use roundsman_host::exposition::parse::{self, Limits, ParseError, Sample};
use roundsman_host::exposition::{Family as Writer, Kind};

/// A family that was read from a page of another program.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name after `# TYPE`.
    pub name: Box<str>,
    /// Its type.
    pub kind: Kind,
    /// Its help text; empty where there was none.
    pub help: Box<str>,
    /// Name, labels and value of each sample, one behind the other.
    text: Box<str>,
    /// Where each of them ends.
    ends: Box<[[usize; 3]]>,
}

/// Why a page of another program is not shown.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is not a page.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// Prometheus would take the sample for one of that time, and drop the scrape or the sample.
    #[error("{0} has a timestamp")]
    Timestamp(String),
}

/// Reads a whole page in text format 0.0.4.
///
/// # Errors
/// Any line that is not as it should be refuses the whole page.
pub fn read(page: &[u8], limits: &Limits) -> Result<Vec<Family>, Unfit> {
    let families = parse::parse(page, limits)?;
    families.into_iter().map(Family::keep).collect()
}

impl Family {
    fn keep(read: parse::Family<'_>) -> Result<Self, Unfit> {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(read.samples.len());
        for sample in &read.samples {
            if sample.timestamp.is_some() {
                return Err(Unfit::Timestamp(sample.name.to_owned()));
            }
            ends.push([sample.name, &sample.labels, &sample.value].map(|part| {
                text.push_str(part);
                text.len()
            }));
        }
        Ok(Self {
            name: read.name.into(),
            kind: read.kind,
            help: read.help.into(),
            text: text.into(),
            ends: ends.into(),
        })
    }

    /// How many samples it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Its samples, in their order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |[name, labels, value]| {
            let sample = Sample {
                name: &self.text[start..*name],
                labels: Cow::Borrowed(&self.text[*name..*labels]),
                value: Cow::Borrowed(&self.text[*labels..*value]),
                timestamp: None,
            };
            start = *value;
            sample
        })
    }

    /// Writes its samples as lines, for a page whose family is written already.
    pub fn lines(&self, out: &mut Vec<u8>) {
        for sample in self.samples() {
            out.extend_from_slice(sample.name.as_bytes());
            if !sample.labels.is_empty() {
                out.push(b'{');
                out.extend_from_slice(sample.labels.as_bytes());
                out.push(b'}');
            }
            out.push(b' ');
            out.extend_from_slice(sample.value.as_bytes());
            out.push(b'\n');
        }
    }

    /// Writes its samples to a family of the page.
    pub fn write(&self, page: &mut Writer<'_>) {
        self.samples().for_each(|sample| page.foreign(&[], &sample));
    }
}

/// What makes two samples the same series: the name, and the labels in any order. A label with an
/// empty value is one that is not there.
pub fn series(name: &str, labels: &str) -> String {
    let mut parts = split_labels(labels);
    // No value ends like this: a quote within one stands behind a backslash.
    parts.retain(|part| !part.ends_with("=\"\""));
    parts.sort_unstable();
    format!("{name}{{{}}}", parts.join(","))
}

/// Splits `a="x,y",b="z"` at the commas that stand between labels.
fn split_labels(labels: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&labels[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&labels[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_host::exposition::{Format, Page};

    const PAGE: &str = "# HELP x_total Things \\\\ seen.\n# TYPE x_total counter\n\
        x_total{path=\"/a,b\",n=\"1\"} 2\nx_total 3.50\n\
        # TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n";

    #[test]
    fn what_is_kept_is_written_as_it_was_read() {
        let families = read(PAGE.as_bytes(), &Limits::default()).unwrap();
        let mut page = Page::new(Format::Text);
        for family in &families {
            family.write(&mut page.family(family.kind, &family.name, &family.help));
        }
        assert_eq!(page.finish(), PAGE.as_bytes());
        let mut lines = Vec::new();
        families[0].lines(&mut lines);
        assert_eq!(lines, b"x_total{path=\"/a,b\",n=\"1\"} 2\nx_total 3.50\n");
    }

    #[test]
    fn a_page_with_a_timestamp_or_a_malformed_line_is_refused_whole() {
        let refused = |page: &str| {
            read(page.as_bytes(), &Limits::default())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused("a 1\nb 2 1795197600000\n"), "b has a timestamp");
        assert!(refused("a 1\nb one\n").starts_with("line 2: "));
    }

    #[test]
    fn a_series_is_the_same_whatever_the_order_of_its_labels() {
        let one = series("x", "b=\"1,2\",a=\"\\\"\"");
        assert_eq!(one, series("x", "a=\"\\\"\",b=\"1,2\""));
        assert_ne!(one, series("x", "a=\"\\\"\",b=\"1\""));
        assert_eq!(series("x", ""), "x{}");
        assert_eq!(series("x", "a=\"\",b=\"1\",c=\"\""), "x{b=\"1\"}");
        let quotes = "a=\"=\\\"\\\"\"";
        assert_eq!(series("x", quotes), format!("x{{{quotes}}}"));
    }
}

//! The encoder: one buffer, filled family by family and reused from scrape to scrape.

use std::collections::HashSet;
use std::ops::Range;

use super::parse::Sample;
use super::{Format, Kind, Value};

/// A page of families.
///
/// Each family is written once and in one piece, in the order of the calls; a family without
/// samples leaves no trace. The names of samples are the same in both formats: a counter whose
/// name does not end in `_total`, which OpenMetrics forbids, is shown there as `unknown`. So is
/// one whose name without `_total` is that of another family, which must be written before it:
/// OpenMetrics has one name for both.
#[derive(Debug, Default)]
pub struct Page {
    format: Format,
    text: Vec<u8>,
    /// Where in `text` the families' names stand.
    names: Vec<Range<usize>>,
    /// The same names, to be found.
    found: HashSet<Box<str>>,
    samples: usize,
}

/// A point of a [`Page`] to which it can be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    text: usize,
    names: usize,
    samples: usize,
}

impl Page {
    /// An empty page.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// Empties the page for the next scrape; the memory is kept.
    pub fn start(&mut self, format: Format) {
        self.format = format;
        self.text.clear();
        self.names.clear();
        self.found.clear();
        self.samples = 0;
    }

    /// The dialect of this page.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Ends the page and gives its text.
    pub fn finish(&mut self) -> &[u8] {
        if self.format == Format::OpenMetrics && !self.text.ends_with(b"# EOF\n") {
            self.text.extend_from_slice(b"# EOF\n");
        }
        &self.text
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// How many samples were written so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Whether a family of that sample name is on the page. Two sources with the same family
    /// must be merged before they are written.
    pub fn has_family(&self, name: &str) -> bool {
        self.found.contains(name)
    }

    /// The present end of the page.
    pub fn mark(&self) -> Mark {
        Mark {
            text: self.text.len(),
            names: self.names.len(),
            samples: self.samples,
        }
    }

    /// Removes everything written since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        for gone in self.names.drain(mark.names..) {
            if let Ok(name) = std::str::from_utf8(&self.text[gone]) {
                self.found.remove(name);
            }
        }
        self.text.truncate(mark.text);
        self.samples = mark.samples;
    }

    /// Starts a family. `name` is the full name of its samples (with `_total` for a counter).
    pub fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &'a str) -> Family<'a> {
        Family {
            page: self,
            kind,
            name,
            help,
            begun: false,
        }
    }

    /// Starts a family of counters.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &'a str) -> Family<'a> {
        self.family(Kind::Counter, name, help)
    }

    /// Starts a family of gauges.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &'a str) -> Family<'a> {
        self.family(Kind::Gauge, name, help)
    }

    /// Starts a family of unknown type.
    pub fn untyped<'a>(&'a mut self, name: &'a str, help: &'a str) -> Family<'a> {
        self.family(Kind::Untyped, name, help)
    }
}

/// A family that is being written. Its head goes out with its first sample.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    kind: Kind,
    name: &'a str,
    help: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// Writes the only sample of a family without labels.
    pub fn value(&mut self, value: impl Into<Value>) {
        self.sample(&[], value);
    }

    /// Writes one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.begin();
        let out = &mut self.page.text;
        out.extend_from_slice(self.name.as_bytes());
        write_labels(labels, "", out);
        value.into().write(out);
        out.push(b'\n');
        self.page.samples += 1;
    }

    /// Writes a sample that was read from another source, with `more` labels before its own.
    /// The caller sees to it that `more` does not repeat a label of the sample.
    pub fn foreign(&mut self, more: &[(&str, &str)], sample: &Sample<'_>) {
        self.begin();
        let format = self.page.format;
        let out = &mut self.page.text;
        out.extend_from_slice(sample.name.as_bytes());
        write_labels(more, &sample.labels, out);
        out.extend_from_slice(sample.value.as_bytes());
        if let Some(millis) = sample.timestamp {
            out.push(b' ');
            match format {
                Format::Text => Value::from(millis).write(out),
                Format::OpenMetrics => Value::Float(millis as f64 / 1000.0).write(out),
            }
        }
        out.push(b'\n');
        self.page.samples += 1;
    }

    fn begin(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        let (kind, shown) = match self.page.format {
            Format::Text => (self.kind, self.name),
            Format::OpenMetrics => self.openmetrics_head(),
        };
        let is_new = self.page.found.insert(self.name.into());
        debug_assert!(is_new, "family {} is written twice", self.name);
        let label = kind.label(self.page.format);
        let openmetrics = self.page.format == Format::OpenMetrics;
        let out = &mut self.page.text;
        if !self.help.is_empty() {
            out.extend_from_slice(b"# HELP ");
            out.extend_from_slice(shown.as_bytes());
            out.push(b' ');
            escape(self.help, openmetrics, out);
            out.push(b'\n');
        }
        out.extend_from_slice(b"# TYPE ");
        out.extend_from_slice(shown.as_bytes());
        out.push(b' ');
        out.extend_from_slice(label.as_bytes());
        out.push(b'\n');
        let start = out.len();
        self.page.names.push(start..start + self.name.len());
    }
}

impl<'a> Family<'a> {
    /// Type and name in OpenMetrics 1.0.
    fn openmetrics_head(&self) -> (Kind, &'a str) {
        if self.kind != Kind::Counter {
            return (self.kind, self.name);
        }
        match self.name.strip_suffix("_total") {
            Some(stem) if !self.page.has_family(stem) => (Kind::Counter, stem),
            _ => (Kind::Untyped, self.name),
        }
    }
}

/// Writes labels, then `written` ones, and the blank before the value.
fn write_labels(labels: &[(&str, &str)], written: &str, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, value) in labels {
        out.push(before);
        before = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(value, true, out);
        out.push(b'"');
    }
    if !written.is_empty() {
        out.push(before);
        before = b',';
        out.extend_from_slice(written.as_bytes());
    }
    if before == b',' {
        out.push(b'}');
    }
    out.push(b' ');
}

/// Writes `text` with its special characters escaped; quotes too where the place asks for it.
fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (quotes && *byte == b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(match rest[at] {
            b'\n' => b'n',
            other => other,
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format, fill: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(format);
        fill(&mut page);
        String::from_utf8(page.finish().to_vec()).unwrap()
    }

    fn example(page: &mut Page) {
        page.counter("x_seen_total", "Seen \\ \"things\".")
            .sample(&[("path", "C:\\a\n\"b\""), ("n", "1")], 2_u64);
        page.gauge("x_absent", "Has no sample.");
        page.untyped("x_odd", "").value(-1_i64);
        page.counter("x_old", "A counter of the old style.")
            .value(0.5);
    }

    #[test]
    fn the_text_format_is_written_as_documented() {
        assert_eq!(
            page(Format::Text, example),
            "# HELP x_seen_total Seen \\\\ \"things\".\n\
             # TYPE x_seen_total counter\n\
             x_seen_total{path=\"C:\\\\a\\n\\\"b\\\"\",n=\"1\"} 2\n\
             # TYPE x_odd untyped\n\
             x_odd -1\n\
             # HELP x_old A counter of the old style.\n\
             # TYPE x_old counter\n\
             x_old 0.5\n"
        );
    }

    #[test]
    fn openmetrics_differs_where_it_must_and_keeps_sample_names() {
        assert_eq!(
            page(Format::OpenMetrics, example),
            "# HELP x_seen Seen \\\\ \\\"things\\\".\n\
             # TYPE x_seen counter\n\
             x_seen_total{path=\"C:\\\\a\\n\\\"b\\\"\",n=\"1\"} 2\n\
             # TYPE x_odd unknown\n\
             x_odd -1\n\
             # HELP x_old A counter of the old style.\n\
             # TYPE x_old unknown\n\
             x_old 0.5\n\
             # EOF\n"
        );
    }

    #[test]
    fn a_counter_whose_name_is_taken_in_openmetrics_is_shown_under_its_full_name() {
        let fill = |page: &mut Page| {
            page.gauge("foo", "").value(1_u64);
            page.counter("foo_total", "Foos.").value(2_u64);
        };
        assert_eq!(
            page(Format::OpenMetrics, fill),
            "# TYPE foo gauge\nfoo 1\n\
             # HELP foo_total Foos.\n# TYPE foo_total unknown\nfoo_total 2\n# EOF\n"
        );
        assert!(page(Format::Text, fill).contains("# TYPE foo_total counter\n"));
    }

    #[test]
    fn a_page_taken_back_has_forgotten_its_families() {
        let mut page = Page::new(Format::Text);
        page.gauge("a", "A.").value(1_u64);
        let mark = page.mark();
        page.gauge("b", "B.").value(1_u64);
        assert!(page.has_family("b"));
        page.rewind(mark);
        assert!(page.has_family("a"));
        assert!(!page.has_family("b"));
        assert_eq!(page.samples(), 1);
        assert_eq!(page.finish(), b"# HELP a A.\n# TYPE a gauge\na 1\n");
        page.start(Format::OpenMetrics);
        assert_eq!(page.finish(), b"# EOF\n");
        assert_eq!(page.finish(), b"# EOF\n");
    }
}

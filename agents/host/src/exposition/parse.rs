//! A strict reader of the text format 0.0.4, for pages of other programs that are to be merged.
//!
//! What it accepts is grouped by family, checked, and kept as text, so that it can be written
//! again without a change of value. It reads nothing but what the caller holds in memory, and
//! stops at its [`Limits`]. Hexadecimal numbers, which some readers take, are refused.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::Kind;

mod labels;
mod number;

/// What a page may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole page.
    pub bytes: usize,
    /// Samples of the whole page.
    pub samples: usize,
    /// Labels of one sample.
    pub labels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 8 * 1024 * 1024,
            samples: 50_000,
            labels: 64,
        }
    }
}

/// A family as it was read. Families without samples are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Family<'a> {
    /// The name after `# TYPE`, or of the samples where there is no such line.
    pub name: &'a str,
    /// Its type; [`Kind::Untyped`] where there is no `# TYPE` line.
    pub kind: Kind,
    /// The text after `# HELP`, without escapes; empty where there is no such line.
    pub help: Cow<'a, str>,
    /// Its samples, in the order of the page.
    pub samples: Vec<Sample<'a>>,
}

/// A sample as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The full name, with `_bucket`, `_sum` or `_count` where the family has these.
    pub name: &'a str,
    /// What stands between the braces, still escaped and without needless blanks.
    pub labels: Cow<'a, str>,
    /// The value, with all its digits, in a form that every reader takes: `+Inf`, `-Inf`, `NaN`,
    /// or digits with no plus before them and none missing beside the point.
    pub value: Cow<'a, str>,
    /// Milliseconds since 1970, where the sample carries a time.
    pub timestamp: Option<i64>,
}

/// Why a page was refused: the whole of it, because half of a page is worse than none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The page has more bytes than [`Limits::bytes`].
    #[error("the page is larger than {0} bytes")]
    TooLarge(usize),
    /// The page has more samples than [`Limits::samples`].
    #[error("the page has more than {0} samples")]
    TooManySamples(usize),
    /// The sample has more labels than [`Limits::labels`].
    #[error("the sample has more than {0} labels")]
    TooManyLabels(usize),
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// The page was cut off, or written without a line feed at its end.
    #[error("the last line does not end with a line feed")]
    Unterminated,
    /// Not a metric name.
    #[error("{0:?} is not a metric name")]
    MetricName(String),
    /// Not a label name.
    #[error("{0:?} is not a label name")]
    LabelName(String),
    /// Braces, quotes or commas are not where they belong.
    #[error("the labels are malformed near {0:?}")]
    Labels(String),
    /// The same label twice in one sample.
    #[error("label {0:?} is given twice")]
    SameLabel(String),
    /// Not a number.
    #[error("{0:?} is not a sample value")]
    Value(String),
    /// Not a time in milliseconds.
    #[error("{0:?} is not a timestamp")]
    Timestamp(String),
    /// Something after the timestamp.
    #[error("{0:?} stands after the sample")]
    Trailing(String),
    /// Not a type of text 0.0.4.
    #[error("{0:?} is not a metric type")]
    Type(String),
    /// A `# TYPE` line after the first sample of its family, or a second one.
    #[error("the type of {0} comes twice or after its samples")]
    LateType(String),
    /// A family whose name a histogram or summary has for its samples.
    #[error("{0} is a part of {1}")]
    Part(String, String),
    /// A second `# HELP` line.
    #[error("{0} has two help texts")]
    SecondHelp(String),
    /// Name and labels that were there before.
    #[error("the series {0} is there twice")]
    SameSeries(String),
    /// A bucket without `le`.
    #[error("a bucket of {0} has no label \"le\"")]
    Bucket(String),
}

/// Reads a whole page.
pub fn parse<'a>(page: &'a [u8], limits: &Limits) -> Result<Vec<Family<'a>>, ParseError> {
    let at = |line, reason| ParseError { line, reason };
    if page.len() > limits.bytes {
        return Err(at(1, Reason::TooLarge(limits.bytes)));
    }
    let mut reader = Reader::new(limits);
    let mut rest = page;
    let mut line = 0;
    while !rest.is_empty() {
        line += 1;
        let end = memchr::memchr(b'\n', rest).ok_or_else(|| at(line, Reason::Unterminated))?;
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| at(line, Reason::NotUtf8))?;
        reader.line(text).map_err(|reason| at(line, reason))?;
        rest = &rest[end + 1..];
    }
    Ok(reader.finish())
}

struct Reader<'a, 'l> {
    limits: &'l Limits,
    families: Vec<Read<'a>>,
    by_name: HashMap<&'a str, usize>,
    series: HashSet<String>,
}

/// A family while the page is being read.
struct Read<'a> {
    family: Family<'a>,
    typed: bool,
    helped: bool,
}

impl<'a, 'l> Reader<'a, 'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            families: Vec::new(),
            by_name: HashMap::new(),
            series: HashSet::new(),
        }
    }

    fn finish(self) -> Vec<Family<'a>> {
        self.families
            .into_iter()
            .map(|read| read.family)
            .filter(|family| !family.samples.is_empty())
            .collect()
    }

    fn line(&mut self, line: &'a str) -> Result<(), Reason> {
        let line = line.trim_start_matches(BLANKS).trim_end_matches('\r');
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment),
            None if line.is_empty() => Ok(()),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &'a str) -> Result<(), Reason> {
        let (keyword, rest) = token(comment.trim_start_matches(BLANKS));
        if keyword != "HELP" && keyword != "TYPE" {
            return Ok(());
        }
        let (name, rest) = token(rest);
        let name = metric_name(name)?;
        if keyword == "TYPE" {
            let word = rest.trim_end_matches(BLANKS);
            return self.set_type(name, word);
        }
        let read = self.family(name);
        if read.helped {
            return Err(Reason::SecondHelp(name.to_owned()));
        }
        read.helped = true;
        read.family.help = labels::unescaped_help(rest);
        Ok(())
    }

    fn set_type(&mut self, name: &'a str, word: &str) -> Result<(), Reason> {
        if let Some(whole) = self.whole_of(name) {
            return Err(Reason::Part(name.to_owned(), whole.to_owned()));
        }
        let kind = Kind::from_label(word).ok_or_else(|| Reason::Type(word.to_owned()))?;
        for suffix in kind.parts() {
            let part = format!("{name}{suffix}");
            let there = self.by_name.get(&*part).map(|index| &self.families[*index]);
            // One that has only a help text is never shown.
            if there.is_some_and(|read| read.typed || !read.family.samples.is_empty()) {
                return Err(Reason::Part(part, name.to_owned()));
            }
        }
        let read = self.family(name);
        if read.typed || !read.family.samples.is_empty() {
            return Err(Reason::LateType(name.to_owned()));
        }
        read.family.kind = kind;
        read.typed = true;
        Ok(())
    }

    fn sample(&mut self, line: &'a str) -> Result<(), Reason> {
        let end = line
            .find(|c: char| c == '{' || BLANKS.contains(&c))
            .unwrap_or(line.len());
        let name = metric_name(&line[..end])?;
        let rest = line[end..].trim_start_matches(BLANKS);
        let (labels, rest) = labels::read(rest, self.limits.labels)?;
        let (value, rest) = token(rest);
        let value = number::read(value).ok_or_else(|| Reason::Value(value.to_owned()))?;
        let (time, rest) = token(rest);
        let timestamp = match time {
            "" => None,
            time => Some(
                time.parse()
                    .map_err(|_| Reason::Timestamp(time.to_owned()))?,
            ),
        };
        if !rest.is_empty() {
            return Err(Reason::Trailing(rest.to_owned()));
        }
        if self.series.len() >= self.limits.samples {
            return Err(Reason::TooManySamples(self.limits.samples));
        }
        if !self.series.insert(labels.series(name)) {
            return Err(Reason::SameSeries(labels.series(name)));
        }
        let index = self.owner(name);
        let family = &mut self.families[index].family;
        if family.kind == Kind::Histogram && name.ends_with("_bucket") && !labels.has("le") {
            return Err(Reason::Bucket(family.name.to_owned()));
        }
        family.samples.push(Sample {
            name,
            labels: labels.written,
            value,
            timestamp,
        });
        Ok(())
    }

    /// The family that a sample of that name belongs to.
    fn owner(&mut self, name: &'a str) -> usize {
        if let Some(whole) = self.whole_of(name) {
            return self.by_name[whole];
        }
        self.family(name);
        self.by_name[name]
    }

    /// The histogram or summary that has samples of that name.
    fn whole_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        Kind::whole_of(name, |stem| {
            let index = self.by_name.get(stem)?;
            Some(self.families[*index].family.kind)
        })
    }

    fn family(&mut self, name: &'a str) -> &mut Read<'a> {
        let index = *self.by_name.entry(name).or_insert_with(|| {
            self.families.push(Read {
                family: Family {
                    name,
                    kind: Kind::Untyped,
                    help: Cow::Borrowed(""),
                    samples: Vec::new(),
                },
                typed: false,
                helped: false,
            });
            self.families.len() - 1
        });
        &mut self.families[index]
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The first word, and what follows it and its blanks.
fn token(text: &str) -> (&str, &str) {
    let end = text.find(BLANKS).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start_matches(BLANKS))
}

fn metric_name(name: &str) -> Result<&str, Reason> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(allowed)
    {
        return Err(Reason::MetricName(name.to_owned()));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;

//! Spans of time and sizes as people write them in configuration: `90s`, `5m`, `48h`, `16MiB`.

use std::fmt;
use std::time::Duration;

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time. Written with a unit (`250ms`, `90s`, `5m`, `48h`, `7d`); a bare number is
/// refused, because nobody can tell what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A size in bytes. Written with a unit (`512B`, `64KiB`, `16MiB`, `2GiB`, or decimal `MB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Span {
    /// A span of whole seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl Size {
    /// A size of whole mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = self.0.as_secs();
        // Whole days stay days: as months they would be a sum down to the second.
        if seconds > DAY && seconds.is_multiple_of(DAY) && self.0.subsec_nanos() == 0 {
            return write!(f, "{}days", seconds / DAY);
        }
        write!(
            f,
            "{}",
            humantime::format_duration(self.0)
                .to_string()
                .replace(' ', "")
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        // Exact, so that what is dumped loads again as the same number.
        let whole = UNITS
            .iter()
            .find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| humantime::parse_duration(text).ok().map(Span);
        deserializer.deserialize_str(Written {
            expected: "a span such as \"90s\" or \"5m\"",
            parse,
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| {
            let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
            let size = text
                .parse::<bytesize::ByteSize>()
                .ok()
                .filter(|_| has_unit)?;
            Some(Size(size.as_u64()))
        };
        deserializer.deserialize_str(Written {
            expected: "a size such as \"16MiB\"",
            parse,
        })
    }
}

/// Reads a quantity from a string and says what was expected when it is something else.
struct Written<F> {
    expected: &'static str,
    parse: F,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Written<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self.expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_back_as_they_are_written() {
        for text in ["250ms", "90s", "5m", "48h", "400days"] {
            let span: Span = serde_json::from_value(text.into()).unwrap();
            let again: Span = serde_json::from_str(&serde_json::to_string(&span).unwrap()).unwrap();
            assert_eq!(span, again);
        }
        for (text, bytes) in [("512B", 512), ("16MiB", 16 << 20), ("1500KiB", 1500 << 10)] {
            let size: Size = serde_json::from_value(text.into()).unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        let error = serde_json::from_value::<Span>(5.into())
            .unwrap_err()
            .to_string();
        assert!(error.contains("a span such as"), "{error}");
        assert!(serde_json::from_value::<Span>("5".into()).is_err());
        assert!(serde_json::from_value::<Size>("5".into()).is_err());
    }
}

//! The text in which figures are shown to Prometheus: written ([`Page`]) and read ([`parse`]).

mod page;
pub mod parse;
mod value;

pub use page::{Family, Page};
pub use value::Value;

/// The dialect of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus text 0.0.4, which every scraper reads.
    #[default]
    Text,
    /// OpenMetrics 1.0.0: the name of a counter's family has no `_total`, `unknown` stands for
    /// `untyped`, and the page ends with `# EOF`.
    OpenMetrics,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows, until its source restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Not known; `unknown` in OpenMetrics.
    Untyped,
    /// Buckets, sum and count.
    Histogram,
    /// Quantiles, sum and count.
    Summary,
}

impl Kind {
    /// The word after `# TYPE name`.
    pub fn label(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Gauge, _) => "gauge",
            (Self::Untyped, Format::Text) => "untyped",
            (Self::Untyped, Format::OpenMetrics) => "unknown",
            (Self::Histogram, _) => "histogram",
            (Self::Summary, _) => "summary",
        }
    }

    /// What the names of samples have behind the name of a family of this type.
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Summary => &["_sum", "_count"],
            Self::Counter | Self::Gauge | Self::Untyped => &[],
        }
    }

    /// The family that `name` is a part of, going by the types of families that are there.
    pub fn whole_of(name: &str, kind_of: impl Fn(&str) -> Option<Self>) -> Option<&str> {
        Self::Histogram.parts().iter().find_map(|suffix| {
            let stem = name.strip_suffix(suffix)?;
            kind_of(stem)?.parts().contains(suffix).then_some(stem)
        })
    }

    /// The type of that name in text 0.0.4.
    pub fn from_label(label: &str) -> Option<Self> {
        [
            Self::Counter,
            Self::Gauge,
            Self::Untyped,
            Self::Histogram,
            Self::Summary,
        ]
        .into_iter()
        .find(|kind| kind.label(Format::Text) == label)
    }
}

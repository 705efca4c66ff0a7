//! The families that the exporter has written itself, as the families of other programs meet
//! them: found again in the text of the pages, which happens only where a name is there twice.

use std::collections::HashSet;
use std::ops::Range;

use roundsman_host::exposition::{Format, Kind, Page};

use crate::family::series;
use crate::merge::{Plan, Present, Taken};

/// Names that are written after the families of other programs.
const RESERVED: [&str; 3] = [
    "roundsman_exporter_",
    "node_scrape_collector_",
    "node_textfile_",
];

/// The pages that are written already.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// What other programs may add to, in the order of the body.
    pub open: [&'a Page; 3],
    /// In which format they are.
    pub format: Format,
}

impl Taken for Pages<'_> {
    fn find(&self, name: &str) -> Option<Present> {
        if RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
            return Some(Present::Reserved);
        }
        let page = self.open.iter().find(|page| page.has_family(name))?;
        let Some((kind, at)) = locate(page.as_bytes(), name, self.format) else {
            return Some(Present::Reserved);
        };
        Some(Present::Open(kind, all_series(&page.as_bytes()[at])))
    }
}

impl Pages<'_> {
    /// The samples that other programs add to families of these pages, with their places in the
    /// body that the pages make up, in the order of the places.
    pub fn insertions(&self, plan: &Plan<'_>) -> Vec<(usize, Vec<u8>)> {
        let joining = plan.merged.iter().filter(|merged| merged.joins);
        let mut insertions: Vec<_> = joining
            .filter_map(|merged| {
                let mut samples = Vec::new();
                merged.first.lines(&mut samples);
                merged.rest.iter().for_each(|more| more.lines(&mut samples));
                Some((self.end_of(&merged.first.name)?, samples))
            })
            .collect();
        insertions.sort_by_key(|(at, _)| *at);
        insertions
    }

    /// Where in the body that these pages make up samples of the family are to be added.
    fn end_of(&self, name: &str) -> Option<usize> {
        let mut before = 0;
        for page in self.open {
            if page.has_family(name) {
                let (_, at) = locate(page.as_bytes(), name, self.format)?;
                return Some(before + at.end);
            }
            before += page.as_bytes().len();
        }
        None
    }
}

/// The type of a family, and where its samples stand.
fn locate(page: &[u8], name: &str, format: Format) -> Option<(Kind, Range<usize>)> {
    let stem = name
        .strip_suffix("_total")
        .filter(|_| format == Format::OpenMetrics);
    let text = std::str::from_utf8(page).ok()?;
    [Some(name), stem].into_iter().flatten().find_map(|shown| {
        let head = format!("# TYPE {shown} ");
        let found = text.match_indices(&head);
        let mut found = found.filter(|(at, _)| *at == 0 || page[at - 1] == b'\n');
        let after = found.next()?.0 + head.len();
        let line = text[after..].find('\n')?;
        let kind = match &text[after..after + line] {
            "unknown" => Kind::Untyped,
            label => Kind::from_label(label)?,
        };
        let start = after + line + 1;
        let end = text[start..]
            .find("\n#")
            .map_or(text.len(), |at| start + at + 1);
        // In OpenMetrics the stem may also be a gauge of that name.
        let is_it = text[start..end].starts_with(name);
        is_it.then_some((kind, start..end))
    })
}

fn all_series(samples: &[u8]) -> HashSet<String> {
    let lines = samples.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| {
            // Own samples carry no timestamp, so the value is what follows the last blank.
            let (series_text, _) = line.rsplit_once(' ')?;
            Some(match series_text.split_once('{') {
                Some((name, labels)) => series(name, labels.strip_suffix('}')?),
                None => series(series_text, ""),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(format: Format) -> [Page; 3] {
        let (mut first, mut second) = (Page::new(format), Page::new(format));
        first.gauge("a", "A.").value(1_u64);
        let mut family = first.counter("b_total", "B.");
        family.sample(&[("x", "1 }2"), ("y", "")], 1_u64);
        family.sample(&[("y", "z"), ("x", "3")], 1_u64);
        second.gauge("b", "Not b_total.").value(7_u64);
        second.untyped("c", "").value(7_u64);
        [first, second, Page::new(format)]
    }

    #[test]
    fn a_family_is_found_with_its_series_and_its_place() {
        for format in [Format::Text, Format::OpenMetrics] {
            let [a, b, c] = pages(format);
            let pages = Pages {
                open: [&a, &b, &c],
                format,
            };
            let wanted = [
                series("b_total", "y=\"\",x=\"1 }2\""),
                series("b_total", "x=\"3\",y=\"z\""),
            ];
            let found = pages.find("b_total");
            assert_eq!(found, Some(Present::Open(Kind::Counter, wanted.into())));
            assert_eq!(pages.end_of("b_total"), Some(a.as_bytes().len()));
            let found = pages.find("b");
            assert_eq!(
                found,
                Some(Present::Open(Kind::Gauge, [series("b", "")].into()))
            );
            let gauge = b
                .as_bytes()
                .windows(5)
                .position(|bytes| bytes == b"\nb 7\n")
                .unwrap()
                + 5;
            assert_eq!(pages.end_of("b"), Some(a.as_bytes().len() + gauge));
            assert!(matches!(
                pages.find("c"),
                Some(Present::Open(Kind::Untyped, _))
            ));
            assert_eq!(pages.find("d"), None);
            assert_eq!(
                pages.find("node_textfile_mtime_seconds"),
                Some(Present::Reserved)
            );
        }
    }
}

//! Which family of which source stands on the page: each name once, with the samples of all
//! sources that agree on its type. The first source decides type and help text; a later family
//! that disagrees, or repeats a series, is refused whole and reported. So is one whose name is
//! that of a histogram's or summary's samples.

use std::collections::{HashMap, HashSet};
use std::fmt;

use roundsman_host::exposition::Kind;

use crate::family::{Family, series};

/// The families of one source, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is called in figures and the journal.
    pub name: &'a str,
    /// What it has.
    pub families: &'a [Family],
}

/// A family of the page.
#[derive(Debug)]
pub struct Merged<'a> {
    /// Whose name, type and help text it has.
    pub first: &'a Family,
    /// Whose samples follow.
    pub rest: Vec<&'a Family>,
    /// Whether the page has the family already, so that only samples are to be added to it.
    pub joins: bool,
}

/// A family that is not shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// Whose it is.
    pub source: &'a str,
    /// Its name.
    pub family: &'a str,
    /// Why not.
    pub why: Why,
}

/// Why a family is not shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    /// Another source has it with that type.
    Type(Kind),
    /// Another source has that series.
    Series(String),
    /// Another source has a histogram or summary with that part.
    Part(String),
    /// The exporter's own page has that family, which OpenMetrics calls the same.
    Namesake(String),
    /// The exporter itself fills that family.
    Reserved,
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = |kind: &Kind| kind.label(roundsman_host::exposition::Format::Text);
        write!(f, "{} is not shown: ", self.family)?;
        match &self.why {
            Why::Type(kind) => write!(f, "another source has it as {}", label(kind)),
            Why::Series(series) => write!(f, "another source has {series}"),
            Why::Part(part) => write!(f, "{part} is a part of it or of another source's family"),
            Why::Namesake(name) => write!(f, "OpenMetrics has one name for it and {name}"),
            Why::Reserved => f.write_str("the exporter fills it itself"),
        }
    }
}

/// What the page has before the families of other programs come to it.
pub trait Taken {
    /// The type of a family that is there; [`Present::Reserved`] for one that will be.
    fn find(&self, name: &str) -> Option<Present>;
}

/// A family that the exporter fills itself.
#[derive(Debug, PartialEq)]
pub enum Present {
    /// Others may add samples: its type and the series that it has.
    Open(Kind, HashSet<String>),
    /// Others may not.
    Reserved,
}

/// What the page gets.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The families, in the order of their first source.
    pub merged: Vec<Merged<'a>>,
    /// What is left out.
    pub refused: Vec<Refused<'a>>,
}

/// Decides for all sources; an earlier source goes before a later one.
pub fn merge<'a>(sources: &[Source<'a>], taken: &dyn Taken) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut series_of: HashMap<&str, HashSet<String>> = HashMap::new();
    for source in sources {
        for family in source.families {
            let refuse = |why| Refused {
                source: source.name,
                family: &family.name,
                why,
            };
            let Some(at) = by_name.get(&*family.name) else {
                if let Some(part) = part(family, |name| kind_of(name, &by_name, &plan, taken)) {
                    plan.refused.push(refuse(Why::Part(part)));
                    continue;
                }
                match taken.find(&family.name) {
                    None => {
                        if let Some(namesake) = namesake(family, taken) {
                            plan.refused.push(refuse(Why::Namesake(namesake)));
                            continue;
                        }
                    }
                    Some(Present::Reserved) => {
                        plan.refused.push(refuse(Why::Reserved));
                        continue;
                    }
                    Some(Present::Open(kind, mut there)) => {
                        if let Err(why) = join(family, kind, &mut there) {
                            plan.refused.push(refuse(why));
                            continue;
                        }
                        series_of.insert(&family.name, there);
                    }
                }
                by_name.insert(&family.name, plan.merged.len());
                plan.merged.push(Merged {
                    first: family,
                    rest: Vec::new(),
                    joins: series_of.contains_key(&*family.name),
                });
                continue;
            };
            let merged = &mut plan.merged[*at];
            let there = series_of
                .entry(&family.name)
                .or_insert_with(|| all_series(merged.first).collect());
            match join(family, merged.first.kind, there) {
                Ok(()) => merged.rest.push(family),
                Err(why) => plan.refused.push(refuse(why)),
            }
        }
    }
    counters_after_namesakes(&mut plan.merged, &by_name);
    plan
}

/// The type of a family that is there.
fn kind_of(
    name: &str,
    by_name: &HashMap<&str, usize>,
    plan: &Plan<'_>,
    taken: &dyn Taken,
) -> Option<Kind> {
    match by_name.get(name) {
        Some(at) => Some(plan.merged[*at].first.kind),
        None => match taken.find(name)? {
            Present::Open(kind, _) => Some(kind),
            Present::Reserved => None,
        },
    }
}

/// The name that samples of this family share with a family that is there, or the other way round.
fn part(family: &Family, kind_of: impl Fn(&str) -> Option<Kind>) -> Option<String> {
    if Kind::whole_of(&family.name, &kind_of).is_some() {
        return Some(family.name.to_string());
    }
    let parts = family.kind.parts().iter();
    parts
        .map(|suffix| format!("{}{suffix}", family.name))
        .find(|part| kind_of(part).is_some())
}

/// The family of the page that has the same name in OpenMetrics.
fn namesake(family: &Family, taken: &dyn Taken) -> Option<String> {
    let stem = family.name.strip_suffix("_total");
    if let Some(stem) = stem.filter(|_| family.kind == Kind::Counter) {
        return taken.find(stem).map(|_| stem.to_owned());
    }
    let counter = format!("{}_total", family.name);
    matches!(taken.find(&counter)?, Present::Open(Kind::Counter, _)).then_some(counter)
}

/// Puts counters behind the families that have the same name in OpenMetrics, as the page asks for.
fn counters_after_namesakes(merged: &mut Vec<Merged<'_>>, by_name: &HashMap<&str, usize>) {
    let (mut late, rest): (Vec<_>, Vec<_>) = merged.drain(..).partition(|merged| {
        let stem = merged.first.name.strip_suffix("_total");
        merged.first.kind == Kind::Counter && stem.is_some_and(|stem| by_name.contains_key(stem))
    });
    // A namesake may itself be one of them.
    late.sort_by_key(|merged| merged.first.name.len());
    *merged = rest;
    merged.append(&mut late);
}

/// Adds the series of a family to those that are there, if it fits.
fn join(family: &Family, kind: Kind, there: &mut HashSet<String>) -> Result<(), Why> {
    if family.kind != kind {
        return Err(Why::Type(kind));
    }
    let fresh: Vec<String> = all_series(family).collect();
    if let Some(twice) = fresh.iter().find(|series| there.contains(*series)) {
        return Err(Why::Series(twice.clone()));
    }
    there.extend(fresh);
    Ok(())
}

fn all_series(family: &Family) -> impl Iterator<Item = String> {
    family
        .samples()
        .map(|sample| series(sample.name, &sample.labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_host::exposition::parse::Limits;

    struct Host;

    impl Taken for Host {
        fn find(&self, name: &str) -> Option<Present> {
            match name {
                "node_load1" => Some(Present::Open(Kind::Gauge, [series(name, "")].into())),
                "roundsman_exporter_x" => Some(Present::Reserved),
                _ => None,
            }
        }
    }

    fn outcome(pages: &[&str]) -> (Vec<String>, Vec<String>) {
        let read = |page: &&str| crate::family::read(page.as_bytes(), &Limits::default()).unwrap();
        let families: Vec<_> = pages.iter().map(read).collect();
        let names = ["s0", "s1", "s2"];
        let sources: Vec<_> = names
            .iter()
            .zip(&families)
            .map(|(name, families)| Source { name, families })
            .collect();
        let plan = merge(&sources, &Host);
        let shown = plan.merged.iter().map(|merged| {
            let joins = if merged.joins { "+" } else { "" };
            format!("{joins}{} {}", merged.first.name, merged.rest.len())
        });
        let refused = plan
            .refused
            .iter()
            .map(|refused| format!("{}: {refused}", refused.source));
        (shown.collect(), refused.collect())
    }

    #[test]
    fn the_samples_of_one_family_come_together() {
        let build = |agent: &str| format!("# TYPE b gauge\nb{{agent=\"{agent}\"}} 1\n");
        let pages = [build("x"), build("y") + "c 1\n", build("z")];
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let (shown, refused) = outcome(&pages);
        assert_eq!(shown, ["b 2", "c 0"]);
        assert!(refused.is_empty(), "{refused:?}");
    }

    #[test]
    fn a_later_source_that_disagrees_is_refused_family_by_family() {
        let (shown, refused) = outcome(&[
            "# TYPE a gauge\na{x=\"1\",y=\"2\"} 1\n",
            "# TYPE a counter\na{x=\"2\"} 1\nother 1\n",
            "# TYPE a gauge\na{y=\"2\",x=\"1\"} 9\n",
        ]);
        assert_eq!(shown, ["a 0", "other 0"]);
        assert_eq!(
            refused,
            [
                "s1: a is not shown: another source has it as gauge",
                "s2: a is not shown: another source has a{x=\"1\",y=\"2\"}",
            ]
        );
    }

    #[test]
    fn names_of_parts_belong_to_the_first_source_that_has_them() {
        let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
        let gauge = "# TYPE h_count gauge\nh_count 1\nother 1\n";
        let (shown, refused) = outcome(&[histogram, gauge]);
        assert_eq!(shown, ["h 0", "other 0"]);
        let why = "h_count is a part of it or of another source's family";
        assert_eq!(refused, [format!("s1: h_count is not shown: {why}")]);
        let (shown, refused) = outcome(&[gauge, histogram]);
        assert_eq!(shown, ["h_count 0", "other 0"]);
        assert_eq!(refused, [format!("s1: h is not shown: {why}")]);
        let (shown, refused) = outcome(&[
            "# TYPE node_load1 gauge\n",
            "# TYPE s summary\ns_sum 1\n",
            "s_bucket 1\n",
        ]);
        assert_eq!(shown, ["s 0", "s_bucket 0"]);
        assert!(refused.is_empty(), "{refused:?}");
    }

    #[test]
    fn a_label_without_a_value_makes_no_other_series() {
        let (_, refused) = outcome(&["a 1\n", "a{x=\"\"} 2\n"]);
        assert_eq!(refused, ["s1: a is not shown: another source has a{}"]);
    }

    #[test]
    fn openmetrics_never_has_a_name_twice() {
        let counter =
            "# TYPE f_total_total counter\nf_total_total 1\n# TYPE f_total counter\nf_total 1\n";
        let gauge = "# TYPE f gauge\nf 1\n";
        for pages in [[counter, gauge], [gauge, counter]] {
            let (shown, refused) = outcome(&pages);
            assert_eq!(shown, ["f 0", "f_total 0", "f_total_total 0"]);
            assert!(refused.is_empty(), "{refused:?}");
        }
        let (shown, refused) = outcome(&["# TYPE node_load1_total counter\nnode_load1_total 1\n"]);
        assert!(shown.is_empty(), "{shown:?}");
        let why = "OpenMetrics has one name for it and node_load1";
        assert_eq!(
            refused,
            [format!("s0: node_load1_total is not shown: {why}")]
        );
    }

    #[test]
    fn families_of_the_host_can_be_joined_and_own_ones_cannot() {
        let (shown, refused) = outcome(&[
            "# TYPE node_load1 gauge\nnode_load1{where=\"there\"} 1\n",
            "# TYPE node_load1 gauge\nnode_load1 1\n",
            "roundsman_exporter_x 1\n",
        ]);
        assert_eq!(shown, ["+node_load1 0"]);
        assert_eq!(
            refused,
            [
                "s1: node_load1 is not shown: another source has node_load1{}",
                "s2: roundsman_exporter_x is not shown: the exporter fills it itself",
            ]
        );
    }
}

//! The list of all metrics in `docs/`, made from the pages of the fixture hosts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use roundsman_host::exposition::parse::{Limits, parse};
use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Collectors, REGISTRY};
use roundsman_tests::layout;

use crate::fixture::{NAMES, compare, host, labels, tree};

/// Type, labels and help of a family.
type Described = (&'static str, Vec<String>, String);

const HEAD: &str = "\
# Metrics of the host

Made from the collectors of `agents/host` by its tests (`ROUNDSMAN_BLESS=1` makes it anew).
Names, types and labels are node_exporter's. Families that come from the fields of a file
(`meminfo`, `vmstat`, `netstat`, `sockstat`, `hwmon`, `powersupplyclass`) are listed as far as
the hosts of the tests have them; a host with more shows more.

A collector that is off must be named in the configuration, because it costs more than all
others together or makes very many series.
";

#[test]
fn the_document_lists_every_metric() {
    let mut text = String::from(HEAD);
    for entry in REGISTRY {
        let others: Vec<_> = REGISTRY
            .iter()
            .map(|other| other.name)
            .filter(|name| *name != entry.name)
            .collect();
        let mut families = BTreeMap::new();
        for name in NAMES {
            let host = host(&tree(name));
            let mut alone = Collectors::select(&host, &[entry.name], &others).unwrap();
            let mut page = Page::new(Format::Text);
            alone.collect(&mut page, None);
            describe(page.finish(), &mut families);
        }
        let off = if entry.default_enabled {
            ""
        } else {
            " (off by default)"
        };
        write!(
            text,
            "\n## {}{off}\n\nReads {}.\n\n",
            entry.name, entry.about
        )
        .unwrap();
        text.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        assert!(
            !families.is_empty(),
            "no fixture has figures of {}",
            entry.name
        );
        for (family, (kind, labels, help)) in families {
            let labels = labels.join(" ");
            writeln!(text, "| `{family}` | {kind} | {labels} | {help} |").unwrap();
        }
    }
    compare(&layout::project().join("docs/metrics-host.md"), &text);
}

fn describe(page: &[u8], families: &mut BTreeMap<String, Described>) {
    for family in parse(page, &Limits::default()).unwrap() {
        let described = families.entry(family.name.to_owned()).or_insert_with(|| {
            let kind = family.kind.label(Format::Text);
            (kind, Vec::new(), family.help.replace('|', "\\|"))
        });
        for sample in &family.samples {
            for (label, _) in labels(&sample.labels) {
                if !described.1.contains(&label) {
                    described.1.push(label);
                }
            }
        }
    }
}

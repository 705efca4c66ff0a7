//! Every agent has all that an agent has, and nothing is left of one that is gone.

use std::collections::BTreeSet;

use roundsman_kit::log::id;

use crate::agents::{agents, at, names, sources, text, without_tests};
use crate::unit_file::UnitFile;

/// Names in `directory` that begin with `prefix` and end with `suffix`, without both.
fn between(directory: &str, prefix: &str, suffix: &str) -> BTreeSet<String> {
    let names = names(directory).into_iter();
    names
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned()))
        .collect()
}

#[test]
fn every_agent_has_its_files_and_no_file_is_an_orphan() {
    let agents: BTreeSet<String> = agents().into_iter().collect();
    let with_unit: BTreeSet<String> = UnitFile::all(&["service"])
        .iter()
        .filter_map(|unit| unit.agent().map(str::to_owned))
        .collect();
    assert_eq!(with_unit, agents, "units/");
    assert_eq!(
        between("units/sysusers.d", "roundsman-", ".conf"),
        agents,
        "units/sysusers.d/"
    );
    assert_eq!(
        between("packaging/man", "roundsman-", ".8"),
        agents,
        "packaging/man/"
    );

    let mut configured = between("config", "", ".toml");
    assert!(configured.remove("common"), "config/common.toml");
    assert_eq!(configured, agents, "config/");

    for agent in &agents {
        for file in ["README.md", "Cargo.toml", "src/main.rs"] {
            assert!(
                at(format!("agents/{agent}/{file}")).exists(),
                "agents/{agent}/{file}"
            );
        }
        assert!(at(format!("docs/{agent}.md")).exists(), "docs/{agent}.md");
        let manifest = text(format!("agents/{agent}/Cargo.toml"));
        assert!(
            manifest.contains(&format!("name = \"roundsman-{agent}\"")),
            "{agent}"
        );
        let main = text(format!("agents/{agent}/src/main.rs"));
        assert!(
            main.contains(&format!("name: \"{agent}\"")),
            "{agent}: the name in main.rs"
        );
    }
}

#[test]
fn a_page_of_each_unit_and_agent_is_where_the_unit_says() {
    for unit in UnitFile::all(&["service", "socket", "timer", "target", "slice"]) {
        let documented = unit.list("Documentation");
        assert!(!documented.is_empty(), "{}", unit.name);
        for page in documented {
            let page = page
                .strip_prefix("man:")
                .and_then(|page| page.strip_suffix(')'));
            let (name, section) = page.and_then(|page| page.split_once('(')).unwrap();
            let file = format!("packaging/man/{name}.{section}");
            assert!(at(&file).exists(), "{}: {file}", unit.name);
        }
    }
}

#[test]
fn every_shipped_configuration_is_compared_with_its_defaults() {
    for name in names("config") {
        let Some(stem) = name.strip_suffix(".toml") else {
            continue;
        };
        let directory = match stem {
            "common" => "tests".to_owned(),
            agent => format!("agents/{agent}"),
        };
        let compared = sources(&directory).iter().any(|(_, text)| {
            text.contains("assert_shipped_config") && text.contains(&format!("config/{name}"))
        });
        assert!(compared, "no test in {directory} compares config/{name}");
    }
}

#[test]
fn the_common_configuration_shows_every_key_at_its_default() {
    let text = include_str!("../../config/common.toml");
    roundsman_tests::assert_shipped_config(text, &roundsman_kit::config::Common::default());
}

#[test]
fn every_message_id_is_explained_and_no_other() {
    let catalog = text("units/catalog/roundsman.catalog");
    let explained: Vec<&str> = catalog
        .lines()
        .filter_map(|line| line.strip_prefix("-- "))
        .collect();
    let known: BTreeSet<&str> = id::ALL.iter().map(|(_, id)| *id).collect();
    assert_eq!(explained.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(explained.len(), known.len(), "an id is explained twice");

    for entry in catalog.split("\n-- ").skip(1) {
        let (head, body) = entry.split_once("\n\n").unwrap();
        assert!(head.contains("\nSubject: "), "{head}");
        assert!(head.contains("\nDefined-By: roundsman"), "{head}");
        assert!(body.trim().len() > 40, "{head}: no explanation");
    }
}

#[test]
fn an_explanation_names_fields_that_the_entry_has() {
    let catalog = text("units/catalog/roundsman.catalog");
    let sources = sources("agents");
    for (name, id) in id::ALL {
        let (_, entry) = catalog.split_once(&format!("-- {id}\n")).unwrap();
        let entry = entry.split("\n-- ").next().unwrap_or(entry);
        // What stands behind the id in a call of the log macros, up to its end.
        let constant = format!("id::{name}");
        let sent: String = sources
            .iter()
            .flat_map(|(_, text)| text.split(&constant).skip(1))
            .filter_map(|call| call.split(");").next())
            .collect();
        for field in entry
            .split('@')
            .filter(|word| word.starts_with("ROUNDSMAN_"))
        {
            let is_sent = field == "ROUNDSMAN_AGENT" || sent.contains(&format!("\"{field}\""));
            assert!(is_sent, "{name}: @{field}@");
        }
    }
}

#[test]
fn every_message_id_is_used() {
    let sources = sources("agents");
    for (name, _) in id::ALL {
        let used = sources
            .iter()
            .any(|(_, text)| text.contains(&format!("id::{name}")));
        assert!(used, "{name}");
    }
}

/// String literals of the sources that are names of metrics of ours.
fn metrics() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in sources("agents") {
        if path.contains("/tests") {
            continue;
        }
        for literal in without_tests(&text).split("\"roundsman_").skip(1) {
            let name = literal.split('"').next().unwrap_or_default();
            let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            // With `_` at its end it is the beginning of several names.
            if is_name && !name.is_empty() && !name.ends_with('_') {
                found.insert(format!("roundsman_{name}"));
            }
        }
    }
    found
}

#[test]
fn every_metric_is_documented() {
    let docs: String = names("docs")
        .iter()
        .map(|name| text(format!("docs/{name}")))
        .collect();
    let found = metrics();
    assert!(
        found.contains("roundsman_build_info"),
        "the search finds nothing: {found:?}"
    );
    let missing: Vec<&String> = found
        .iter()
        .filter(|name| !docs.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in docs/: {missing:?}");
}

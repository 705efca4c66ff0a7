//! What may be linked, by `deny.toml` and by the direction of dependencies: read from
//! `cargo metadata`, so that it holds where cargo-deny is not installed, too.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use roundsman_tests::layout;
use serde_json::Value;

use crate::agents::{agents, at, text};
use crate::stage::run;

/// The libraries of the workspace, each with those below it.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("roundsman-kit", &[]),
    ("roundsman-store", &["roundsman-kit"]),
    ("roundsman-host", &["roundsman-kit"]),
    ("roundsman-net", &["roundsman-kit"]),
    ("roundsman-journal", &["roundsman-kit"]),
];

/// Who reads an agent's files by the agent's own rules, to explain what it does; it never runs it.
const EXPLAINED: [(&str, &str); 1] = [("roundsman-ctl", "roundsman-herald")];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(layout::project());
    run(&mut command).expect_code(0).stdout
}

/// The platform that this is compiled for, as cargo names it.
fn host() -> String {
    let output = run(Command::new("rustc").arg("-vV")).expect_code(0);
    let host = output
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

struct Package {
    name: String,
    license: String,
    rust_version: String,
    is_ours: bool,
    /// What it links, by crate name, without what only its tests and builds use.
    links: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let host = host();
    let json = cargo(&["metadata", "--format-version=1", "--filter-platform", &host]);
    let metadata: Value = serde_json::from_str(&json).unwrap();
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (string(&package["id"]), string(&package["name"])))
        .collect();
    let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = list(&node["deps"]).into_iter().filter(|dependency| {
            list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        });
        let normal =
            normal.filter_map(|dependency| names.get(&string(&dependency["pkg"])).cloned());
        links.insert(string(&node["id"]), normal.collect());
    }
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: string(&package["name"]),
            license: string(&package["license"]),
            rust_version: string(&package["rust_version"]),
            is_ours: package["source"].is_null(),
            links: links
                .get(&string(&package["id"]))
                .cloned()
                .unwrap_or_default(),
        })
        .collect()
}

fn deny() -> toml::Table {
    text("deny.toml").parse().unwrap()
}

/// Whether an SPDX expression can be satisfied with the allowed licences. A part that is not
/// understood counts as not allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // The old way to write OR; without parentheses AND binds tighter than OR.
    let expression = expression.replace('/', " OR ").replace(" OR  ", " OR ");
    let flat = expression
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(") AND "));
    if let Some((first, rest)) = flat {
        return is_allowed(first, allowed) && is_allowed(rest, allowed);
    }
    let one = |name: &str| allowed.contains(name.trim());
    expression
        .split(" OR ")
        .any(|choice| choice.split(" AND ").all(one))
}

#[test]
fn every_licence_is_allowed() {
    let allowed: BTreeSet<String> = deny()["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(is_allowed("GPL-3.0-only OR MIT", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0-only", &allowed));
    assert!(!is_allowed("LGPL-2.1-or-later", &allowed));
    for package in packages() {
        assert!(
            is_allowed(&package.license, &allowed),
            "{}: {}",
            package.name,
            package.license
        );
    }
}

#[test]
fn a_banned_crate_is_linked_by_its_wrapper_alone() {
    let packages = packages();
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().unwrap();
    for ban in banned {
        let name = ban["crate"].as_str().unwrap();
        let wrappers: Vec<&str> = ban
            .get("wrappers")
            .and_then(toml::Value::as_array)
            .map(|list| list.iter().filter_map(toml::Value::as_str).collect())
            .unwrap_or_default();
        for package in packages
            .iter()
            .filter(|package| package.links.contains(name))
        {
            assert!(
                wrappers.contains(&package.name.as_str()),
                "{} links {name}",
                package.name
            );
        }
    }
    let store = packages
        .iter()
        .find(|package| package.name == "roundsman-store")
        .unwrap();
    assert!(store.links.contains("rusqlite"), "the search finds nothing");
}

#[test]
fn no_dependency_needs_a_newer_compiler() {
    let parse = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|part| part.parse().unwrap())
            .chain([0, 0])
            .take(3)
            .collect()
    };
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let ours = parse(
        manifest["workspace"]["package"]["rust-version"]
            .as_str()
            .unwrap(),
    );
    for package in packages()
        .iter()
        .filter(|package| !package.rust_version.is_empty())
    {
        let theirs = parse(&package.rust_version);
        assert!(
            theirs <= ours,
            "{} needs {}",
            package.name,
            package.rust_version
        );
    }
}

#[test]
fn dependencies_point_downwards() {
    for package in packages().iter().filter(|package| package.is_ours) {
        let ours: BTreeSet<&str> = package
            .links
            .iter()
            .filter(|name| name.starts_with("roundsman-"))
            .map(String::as_str)
            .collect();
        let library = LIBRARIES.iter().find(|(name, _)| *name == package.name);
        let allowed: BTreeSet<&str> = match library {
            Some((_, below)) => below.iter().copied().collect(),
            // An agent, the command, the tests: libraries only, never one another.
            None => LIBRARIES
                .iter()
                .map(|(name, _)| *name)
                .chain(
                    EXPLAINED
                        .iter()
                        .filter(|(by, _)| *by == package.name)
                        .map(|(_, one)| *one),
                )
                .collect(),
        };
        assert!(ours.is_subset(&allowed), "{} links {ours:?}", package.name);
    }
}

/// Crates that a host which only measures itself does not load.
const HEAVY: [&str; 6] = ["hyper", "kube", "ring", "rustls", "tokio", "zbus"];

#[test]
fn a_host_that_only_measures_itself_links_nothing_heavy() {
    let host = host();
    for agent in ["hostmetrics", "migrate"] {
        let package = format!("roundsman-{agent}");
        let tree = cargo(&[
            "tree",
            "-p",
            &package,
            "-e",
            "normal",
            "--prefix=none",
            "--target",
            &host,
        ]);
        let linked: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(linked.contains("roundsman-kit"), "{tree}");
        for heavy in HEAVY {
            assert!(!linked.contains(heavy), "{package} links {heavy}");
        }
    }
}

/// The sources' paths of a crate stand in the messages of its panics.
fn shows(program: &[u8], name: &str) -> bool {
    let needle = format!("/{name}-");
    let mut at = program.windows(needle.len()).enumerate();
    at.any(|(start, window)| {
        window == needle.as_bytes()
            && program
                .get(start + needle.len())
                .is_some_and(u8::is_ascii_digit)
    })
}

#[test]
fn the_built_programs_hold_nothing_heavy() {
    let read = |name: &str| std::fs::read(layout::program(name)).unwrap();
    let (light, heavy) = (read("roundsman-hostmetrics"), read("roundsman-exporter"));
    for name in ["hyper", "rustls", "tokio", "zbus"] {
        assert!(!shows(&light, name), "roundsman-hostmetrics holds {name}");
    }
    assert!(shows(&heavy, "tokio"), "the search finds nothing");
}

#[test]
fn every_crate_takes_version_and_lints_from_the_workspace() {
    let mut crates = agents();
    crates.extend(["ctl", "kit", "store", "host", "net"].map(str::to_owned));
    for name in crates {
        let path = format!("agents/{name}/Cargo.toml");
        let manifest: toml::Table = text(&path).parse().unwrap();
        assert!(at(&path).exists());
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = manifest["package"][key].get("workspace");
            assert_eq!(
                inherited.and_then(toml::Value::as_bool),
                Some(true),
                "{path}: {key}"
            );
        }
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{path}: lints"
        );
    }
}

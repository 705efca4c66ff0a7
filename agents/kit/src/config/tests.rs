mod mistakes;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::quantity::Span;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    every: Span,
    limit: u8,
    name: String,
    levels: Levels,
    endpoints: BTreeMap<String, Endpoint>,
    watches: Vec<Endpoint>,
    paths: Vec<String>,
    token: Option<CredentialRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Levels {
    warning: f64,
    critical: f64,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            warning: 80.0,
            critical: 90.0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    url: String,
    #[serde(default)]
    token: Option<CredentialRef>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            every: Span::secs(60),
            limit: 10,
            name: String::new(),
            levels: Levels::default(),
            endpoints: BTreeMap::new(),
            watches: Vec::new(),
            paths: Vec::new(),
            token: None,
        }
    }
}

impl Config for Sample {
    fn validate(&self) -> Vec<Invalid> {
        let limit = Invalid::new("limit", "is above 100", "write 1 to 100");
        let levels = Invalid::new("levels", "not in order", "write warning <= critical");
        let bad = (self.limit > 100).then_some(limit);
        let disordered = (self.levels.warning > self.levels.critical).then_some(levels);
        bad.into_iter().chain(disordered).collect()
    }

    fn credentials(&self) -> Vec<&CredentialRef> {
        self.endpoints
            .values()
            .filter_map(|endpoint| endpoint.token.as_ref())
            .collect()
    }
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = tree.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Loaded<Sample>, Refused> {
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(
            &Directories::under(self.root()),
            "sample",
            Some("prod"),
            variables,
        )
    }

    fn findings(&self) -> Vec<String> {
        self.findings_with(&[])
    }

    fn findings_with(&self, variables: &[(&str, &str)]) -> Vec<String> {
        let root = format!("{}/", self.root().display());
        let refused = self.load(variables).unwrap_err();
        refused
            .findings
            .iter()
            .map(|f| f.to_string().replace(&root, ""))
            .collect()
    }
}

#[test]
fn each_sentence_of_the_precedence_rule() {
    let tree = Tree::new(&[
        ("usr/lib/roundsman/sample.toml", "limit = 1\nevery = '1s'"),
        ("run/roundsman/sample.toml", "limit = 2\nevery = '2s'"),
        ("etc/roundsman/sample.toml", "limit = 3"),
    ]);
    let loaded = tree.load(&[]).unwrap().config;
    assert_eq!(
        (loaded.limit, loaded.every),
        (3, Span::secs(60)),
        "a file is taken whole"
    );

    let tree = Tree::new(&[
        ("etc/roundsman/sample.toml", "limit = 3"),
        ("etc/roundsman/sample@prod.toml", "limit = 4"),
        ("usr/lib/roundsman/sample.d/20-b.toml", "limit = 20"),
        ("etc/roundsman/sample.d/10-a.toml", "limit = 10"),
        ("etc/roundsman/sample.d/30-c.toml.bak", "limit = 30"),
    ]);
    assert_eq!(
        tree.load(&[]).unwrap().config.limit,
        20,
        "sorted by name across directories"
    );
    fs::write(
        tree.root().join("etc/roundsman/sample.d/20-b.toml"),
        "limit = 21",
    )
    .unwrap();
    assert_eq!(
        tree.load(&[]).unwrap().config.limit,
        21,
        "a higher directory replaces"
    );
    fs::remove_file(tree.root().join("etc/roundsman/sample.d/20-b.toml")).unwrap();
    std::os::unix::fs::symlink(
        "/dev/null",
        tree.root().join("etc/roundsman/sample.d/20-b.toml"),
    )
    .unwrap();
    assert_eq!(tree.load(&[]).unwrap().config.limit, 10, "/dev/null masks");
    fs::remove_dir_all(tree.root().join("etc/roundsman/sample.d")).unwrap();
    fs::remove_dir_all(tree.root().join("usr")).unwrap();
    assert_eq!(
        tree.load(&[]).unwrap().config.limit,
        4,
        "an instance's file is above the agent's"
    );

    let environment = [
        ("ROUNDSMAN_SAMPLE__LIMIT", "50"),
        ("ROUNDSMAN_OTHER__LIMIT", "60"),
    ];
    assert_eq!(
        tree.load(&environment).unwrap().config.limit,
        50,
        "environment is highest"
    );
}

#[test]
fn every_finding_of_one_run_is_reported_with_file_key_reason_and_remedy() {
    let tree = Tree::new(&[
        ("etc/roundsman/common.toml", "store = 'here'\nlimit = 3"),
        ("etc/roundsman/sample.toml", "every = 60\nlimt = 3"),
        (
            "etc/roundsman/sample.d/10-a.toml",
            "limit = 'many'\n[endpoints.x]\nuri = 'http://a'",
        ),
        ("etc/roundsman/sample.d/20-b.toml", "limit = [1"),
        (
            "etc/roundsman/sample.d/30-c.toml",
            "[[watches]]\nurl = 'ok'\n[[watches]]\nurl = 5",
        ),
    ]);
    let findings = tree.findings();
    let expect = [
        "etc/roundsman/common.toml: limit: unknown key",
        "etc/roundsman/common.toml: store: \"here\" is not an absolute path (write the whole",
        "etc/roundsman/sample.d/20-b.toml: line 1, column ",
        "etc/roundsman/sample.toml: every: found the number 60 (expected a span such as",
        "etc/roundsman/sample.toml: limt: unknown key (one of: every, limit, name, levels, endpoints, watches, paths, token, \
         log_level, store, host)",
        "etc/roundsman/sample.d/10-a.toml: limit: found \"many\" (expected a whole number from 0 to 255)",
        "etc/roundsman/sample.d/10-a.toml: endpoints.x.uri: unknown key (one of: url, token)",
        "etc/roundsman/sample.d/30-c.toml: watches.1.url: found the number 5",
    ];
    for wanted in expect {
        assert!(
            findings.iter().any(|f| f.starts_with(wanted)),
            "{wanted}\n{findings:#?}"
        );
    }
}

#[test]
fn own_checks_name_the_file_that_holds_the_value() {
    let tree = Tree::new(&[("etc/roundsman/sample.d/10-a.toml", "limit = 200")]);
    let expect = "etc/roundsman/sample.d/10-a.toml: limit: is above 100 (write 1 to 100)";
    assert_eq!(tree.findings(), [expect]);
}

#[test]
fn what_cannot_be_read_is_a_finding_not_a_default() {
    let tree = Tree::new(&[
        ("etc/roundsman/sample.toml/x", ""),
        ("etc/roundsman/sample.d", ""),
    ]);
    let findings = tree.findings();
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(
        findings.iter().all(|f| f.contains("cannot be read")),
        "{findings:#?}"
    );
}

#[test]
fn a_dump_loads_again_and_names_each_origin() {
    let tree = Tree::new(&[(
        "etc/roundsman/sample.toml",
        "limit = 7\nname = \"one\\ntwo\\u007f\"\n[endpoints.'a.b']\nurl = 'http://a'\n\
         token = { credential = 't' }\n[endpoints.\"x\\ny\"]\nurl = 'http://b'",
    )]);
    let loaded = tree.load(&[("ROUNDSMAN_SAMPLE__EVERY", "5m")]).unwrap();
    let dump = dump_toml(&loaded);
    assert!(
        dump.contains("limit = 7  # ") && dump.contains("etc/roundsman/sample.toml"),
        "{dump}"
    );
    assert!(
        dump.contains("every = \"5m\"  # ROUNDSMAN_SAMPLE__EVERY"),
        "{dump}"
    );
    assert!(dump.contains("log_level = \"info\"  # default"), "{dump}");

    let again = Tree::new(&[("etc/roundsman/sample.toml", dump.as_str())]);
    assert_eq!(again.load(&[]).unwrap().config, loaded.config);
    assert_eq!(dump_json(&loaded)["credentials"], serde_json::json!(["t"]));
}

/// Like [`Sample`], with endpoints that stand for themselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Items {
    limit: u8,
    endpoints: BTreeMap<String, Endpoint>,
}

impl Config for Items {
    const ITEMS: &'static [&'static str] = &["endpoints"];

    fn validate(&self) -> Vec<Invalid> {
        let bad = self.endpoints.iter().filter(|(_, one)| one.url.is_empty());
        bad.map(|(name, _)| Invalid::new(format!("endpoints.{name}.url"), "is empty", "write one"))
            .collect()
    }
}

#[test]
fn a_broken_item_costs_only_itself() {
    let loaded_from = |text: &str| {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/roundsman");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("sample.toml"), text).unwrap();
        let none = std::iter::empty::<(String, String)>();
        load::<Items>(&Directories::under(root.path()), "sample", None, none)
    };
    let items = "limit = 3\n[endpoints.good]\nurl = 'a'\n[endpoints.empty]\nurl = ''\n\
                 [endpoints.typo]\nurll = 'b'\n[endpoints.type]\nurl = 3\n";
    let loaded = loaded_from(items).unwrap();
    assert_eq!(loaded.config.limit, 3);
    let names: Vec<_> = loaded.config.endpoints.keys().collect();
    assert_eq!(names, ["good"]);
    let keys: Vec<_> = loaded.left_out.iter().map(|one| &*one.key).collect();
    for key in [
        "endpoints.empty.url",
        "endpoints.typo",
        "endpoints.type.url",
    ] {
        assert!(
            keys.iter().any(|found| found.starts_with(key)),
            "{key}: {keys:?}"
        );
    }
    let refused = loaded_from(&format!("limits = 3\n{items}")).unwrap_err();
    assert!(refused.findings.iter().any(|one| one.key == "limits"));
    assert!(refused.findings.len() > 3, "all of them are told");
}

#[test]
fn a_dump_names_the_items_that_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("etc/roundsman");
    fs::create_dir_all(&dir).unwrap();
    fs::write(
        dir.join("sample.toml"),
        "limit = 3\n[endpoints.empty]\nurl = ''\n",
    )
    .unwrap();
    let none = std::iter::empty::<(String, String)>();
    let loaded = load::<Items>(&Directories::under(root.path()), "sample", None, none).unwrap();
    let dump = dump_json(&loaded);
    assert_eq!(dump["findings"][0]["key"], "endpoints.empty.url");
    assert_eq!(dump["values"]["limit"], 3);
}

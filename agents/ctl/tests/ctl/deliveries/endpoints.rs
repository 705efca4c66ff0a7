//! Endpoints, with what is owed to them.

use roundsman_store::endpoint::{self, Endpoint};
use roundsman_tests::Root;
use serde_json::{Value, json};

use super::{ago, cells, json_lines, roundsman, said, set, six};

#[test]
fn endpoints_are_shown_with_what_is_owed_to_them() {
    let root = Root::new();
    let mut store = six(&root);
    let new = |name: &str| Endpoint::new(name, "f");
    set(
        &mut store,
        &Endpoint {
            opened_at: Some(ago(120)),
            ..new("broken")
        },
    );
    set(
        &mut store,
        &Endpoint {
            disabled_at: Some(ago(60)),
            disabled_reason: Some("it answered \u{1b}410".into()),
            ..new("off")
        },
    );
    let text = said(roundsman(&root, ["endpoints"]), 0);
    let expected = [
        [
            "NAME",
            "STATE",
            "SINCE",
            "DUE",
            "PARKED",
            "LAST SUCCESS",
            "LAST ERROR",
        ],
        ["broken", "down", "2min ago", "0", "0", "-", "-"],
        [
            "off",
            "disabled",
            "1min ago",
            "0",
            "0",
            "-",
            r"disabled: it answered \x1b410",
        ],
        ["old", "gone", "10min ago", "1", "0", "-", "-"],
        [
            "ops",
            "up",
            "-",
            "3",
            "1",
            "2h ago",
            "answered 503 (1min ago)",
        ],
    ];
    // Seconds pass while it runs.
    let rows: Vec<Vec<String>> = cells(&text)
        .into_iter()
        .map(|row| row.into_iter().map(without_seconds).collect())
        .collect();
    assert_eq!(rows, expected, "{text}");
    let rows = json_lines(&root, &["endpoints", "list"]);
    let ops = &rows[3];
    for (key, value) in [
        ("name", json!("ops")),
        ("state", json!("up")),
        ("due", json!(3)),
        ("parked", json!(1)),
        ("last_error", json!("answered 503")),
        ("disabled_at", Value::Null),
    ] {
        assert_eq!(ops[key], value, "{key} of {ops}");
    }
    assert_eq!(rows[1]["state"], "disabled");
    assert_eq!(rows[2]["state"], "gone");
}

/// `2min 1s ago` as `2min ago`.
fn without_seconds(cell: &str) -> String {
    let is_seconds = |word: &&str| {
        let number = word.strip_suffix('s');
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    let words: Vec<&str> = cell.split(' ').filter(|word| !is_seconds(word)).collect();
    words.join(" ")
}

#[test]
fn an_endpoint_is_disabled_and_enabled_once() {
    let root = Root::new();
    let mut store = six(&root);
    let mut ops = || {
        let all = store.read(endpoint::list).unwrap();
        all.into_iter().find(|one| one.name == "ops").unwrap()
    };
    let refused = |args: [&str; 3], needle: &str| {
        let output = roundsman(&root, args).run().expect_code(1);
        assert!(output.stderr.contains(needle), "{output}");
        assert_eq!(output.stdout, "", "{output}");
    };
    refused(["endpoints", "enable", "ops"], "neither disabled nor down");
    refused(["endpoints", "disable", "nix"], "there are: old, ops");
    refused(["endpoints", "enable", "nix"], "no endpoint \"nix\"");

    let args = ["endpoints", "disable", "ops", "--reason", "it moves"];
    said(roundsman(&root, args), 0);
    let row = ops();
    assert!(row.disabled_at.is_some());
    assert_eq!(row.disabled_reason.as_deref(), Some("it moves"));
    refused(["endpoints", "disable", "ops"], "already: it moves");

    let text = said(roundsman(&root, ["endpoints", "enable", "ops"]), 0);
    assert_eq!(text, "ops is enabled\n");
    assert_eq!(ops().disabled_at, None);
    said(roundsman(&root, ["endpoints", "disable", "ops"]), 0);
    assert_eq!(ops().disabled_reason.as_deref(), Some("by hand"));
}

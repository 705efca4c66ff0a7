//! Rules of the sources that no compiler checks.

use crate::agents::{agents, names, sources, text, without_tests};

/// A file that is longer than this, without its unit tests, is two ideas.
const LONGEST: usize = 400;

/// Longer ones, each with the reason.
const LONGER: [&str; 0] = [];

#[test]
fn no_file_is_longer_than_one_idea() {
    for directory in ["agents", "tests"] {
        for (path, text) in sources(directory) {
            let lines = without_tests(&text).lines().count();
            let is_listed = LONGER.contains(&path.as_str());
            assert_eq!(lines > LONGEST, is_listed, "{path}: {lines} lines");
        }
    }
}

#[test]
fn a_main_only_wires() {
    for agent in agents() {
        let lines = text(format!("agents/{agent}/src/main.rs")).lines().count();
        assert!(lines <= 60, "agents/{agent}/src/main.rs: {lines} lines");
    }
}

/// What a decision must not reach for: the outside world, the clock, the store, the log.
const IMPURE: [&str; 12] = [
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "env::",
    "fs::",
    "io::",
    "log::",
    "net::",
    "process::",
    "rustix::",
    "roundsman_store::Store",
    "thread::",
];

#[test]
fn plans_are_pure() {
    let mut seen = 0;
    for agent in agents() {
        let source = format!("agents/{agent}/src");
        let plans = sources(&source)
            .into_iter()
            .filter(|(path, _)| path.ends_with("/plan.rs") || path.contains("/plan/"));
        for (path, text) in plans {
            // A plan's tests may read their expectations from anywhere.
            if path.ends_with("tests.rs") {
                continue;
            }
            let code = without_tests(&text);
            for word in IMPURE {
                assert!(!code.contains(word), "{path}: {word}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0, "no plan.rs found");
}

#[test]
fn tests_are_run_and_cannot_pass_by_failing() {
    let markers = [concat!("#[", "ignore"), concat!("#[should_", "panic")];
    for directory in ["agents", "tests"] {
        for (path, text) in sources(directory) {
            for marker in markers {
                assert!(!text.contains(marker), "{path}: {marker}");
            }
        }
    }
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    for (path, text) in sources("agents") {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {") || code.contains("unsafe impl") {
                let above = lines[at.saturating_sub(6)..at].join("\n");
                assert!(above.contains("SAFETY:"), "{path}:{}", at + 1);
            }
        }
    }
}

#[test]
fn no_shipped_text_names_a_registry_or_a_machine() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/."),
        concat!("index.cra", "tes.io"),
    ];
    let documents = [
        "docs",
        "config",
        "units",
        "packaging",
        "packaging/man",
        "nix",
    ];
    for directory in documents {
        for name in names(directory) {
            let path = format!("{directory}/{name}");
            if crate::agents::at(&path).is_dir() {
                continue;
            }
            let text = text(&path);
            for word in words {
                assert!(!text.contains(word), "{path}: {word}");
            }
        }
    }
}

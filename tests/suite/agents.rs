//! Which agents there are: directories with a program. Nothing lists them.

use std::fs;
use std::path::{Path, PathBuf};

use roundsman_tests::layout;

/// `path` in the project's tree.
pub fn at(path: impl AsRef<Path>) -> PathBuf {
    layout::project().join(path)
}

/// The text of a file in the project's tree.
#[track_caller]
pub fn text(path: impl AsRef<Path>) -> String {
    let path = at(path);
    match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The names in a directory of the project's tree, sorted; none when it is not there.
pub fn names(directory: impl AsRef<Path>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(at(directory)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Every agent's name, sorted. The `roundsman` command (`ctl`) is no agent.
pub fn agents() -> Vec<String> {
    let found: Vec<String> = names("agents")
        .into_iter()
        .filter(|name| name != "ctl" && at(format!("agents/{name}/src/main.rs")).exists())
        .collect();
    assert!(found.len() >= 4, "too few agents found: {found:?}");
    found
}

/// A source file without its unit tests.
pub fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

/// Every Rust file below a directory of the project's tree, with its path in the tree; not what
/// cargo has made there (the fuzz targets are a workspace of their own).
pub fn sources(directory: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = format!("{directory}/{name}");
        if name == "target" {
            continue;
        }
        if at(&path).is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            let text = text(&path);
            found.push((path, text));
        }
    }
    found
}

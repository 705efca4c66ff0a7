//! What findings say, and whom they blame.

use super::*;

fn one_file(text: &str) -> Tree {
    Tree::new(&[("etc/roundsman/sample.toml", text)])
}

#[test]
fn a_secret_in_the_place_of_a_credential_is_never_repeated() {
    let secrets = [
        "token = 's3cret'",
        "token = ['s3cret']",
        "token = { value = 's3cret' }",
        "token = { s3cret = 1 }",
        "token = { credential = 's3cret!' }",
        "token = { credential = ['s3cret'] }",
        "token = { credential = 't', more = 's3cret' }",
        "endpoints.x = { url = 'u', token = 's3cret' }",
        "token = s3cret",
        "token = 's3cret",
        "token = { credential = '../s3cret' }",
    ];
    for secret in secrets {
        let findings = one_file(secret).findings();
        assert_eq!(findings.len(), 1, "{secret}: {findings:?}");
        assert!(!findings[0].contains("s3cret"), "{secret}: {findings:?}");
        assert!(
            findings[0].starts_with("etc/roundsman/sample.toml: "),
            "{secret}: {findings:?}"
        );
    }
    let expect = "etc/roundsman/sample.toml: token: the secret itself must not stand here \
                  (write token = { credential = \"NAME\" })";
    assert_eq!(one_file("token = 's3cret'").findings(), [expect]);
    assert_eq!(one_file("token = 31337").findings(), [expect]);

    let variable = [("ROUNDSMAN_SAMPLE__TOKEN", "s3cret")];
    let expect = expect.replace("etc/roundsman/sample.toml", variable[0].0);
    assert_eq!(one_file("").findings_with(&variable), [expect]);
}

#[test]
fn the_name_of_a_credential_is_checked_when_it_is_read() {
    for name in ["", "../t", "a/b", ".hidden", "a b"] {
        let text = format!("limit = 3\ntoken = {{ credential = '{name}' }}");
        let findings = one_file(&text).findings();
        let expect = "etc/roundsman/sample.toml: token: this is not the name of a credential \
                      (write token = { credential = \"NAME\" }; a NAME has letters, digits";
        assert!(findings[0].starts_with(expect), "{findings:?}");
    }
    let findings = one_file("token = {}").findings();
    let expect = "etc/roundsman/sample.toml: token: this table must name a credential";
    assert!(findings[0].starts_with(expect), "{findings:?}");
}

#[test]
fn a_table_is_blamed_on_the_files_that_hold_its_values() {
    let drop_in = "etc/roundsman/sample.d/10-a.toml";
    let file = "etc/roundsman/sample.toml";
    let expect = |origins: &str| {
        [format!(
            "{origins}: levels: not in order (write warning <= critical)"
        )]
    };

    assert_eq!(one_file("levels.critical = 0").findings(), expect(file));
    let both = Tree::new(&[
        (file, "[levels]\ncritical = 85"),
        (drop_in, "[levels]\nwarning = 93"),
    ]);
    assert_eq!(both.findings(), expect(&format!("{file}, {drop_in}")));
    let one = Tree::new(&[
        (file, "[levels]\nwarning = 1"),
        (drop_in, "[levels]\nwarning = 93"),
    ]);
    assert_eq!(one.findings(), expect(drop_in));
}

#[test]
fn items_keep_their_place_when_others_are_refused() {
    let findings = one_file("paths = ['/a', 1, 2, '/b', 3]").findings();
    let keys = [
        "paths.1: found the number 1",
        "paths.2: found the number 2",
        "paths.4: found",
    ];
    assert_eq!(findings.len(), keys.len(), "{findings:?}");
    for (finding, key) in findings.iter().zip(keys) {
        assert!(finding.contains(key), "{findings:?}");
        assert!(
            finding.ends_with("(expected a text in quotes)"),
            "{finding}"
        );
    }
}

#[test]
fn what_was_expected_is_said_in_words() {
    for (text, expect) in [
        (
            "limit = 300",
            "found the number 300 (expected a whole number from 0 to 255)",
        ),
        ("levels.warning = 'x'", "found \"x\" (expected a number)"),
        ("levels = 'x'", "found \"x\" (expected a table)"),
        ("paths = 'x'", "found \"x\" (expected a list)"),
        ("endpoints = 5", "found the number 5 (expected a table)"),
        ("name = true", "found true (expected a text in quotes)"),
        (
            "store = 5",
            "found the number 5 (expected a path in quotes)",
        ),
        (
            "log_level = 5",
            "found the number 5 (expected a word in quotes)",
        ),
        (
            "log_level = 'loud'",
            "unknown value \"loud\" (one of: error, warn, info, debug, trace)",
        ),
    ] {
        let findings = one_file(text).findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].ends_with(expect), "{findings:?}");
    }
}

#[test]
fn the_rest_of_too_many_findings_is_counted() {
    let text: String = (0..250).map(|n| format!("unknown{n} = 1\n")).collect();
    let findings = one_file(&text).findings();
    assert_eq!(findings.len(), 201);
    assert_eq!(findings[200], "and 50 more (mend those above first)");
}

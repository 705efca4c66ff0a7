//! Files and variables of every kind.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn only_regular_files_of_a_sensible_size_are_read() {
    let large = "#".repeat(1024 * 1024 + 1);
    let tree = Tree::new(&[("etc/roundsman/sample.d/10-large.toml", large.as_str())]);
    let drop_ins = tree.root().join("etc/roundsman/sample.d");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        drop_ins.join("20-pipe.toml"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    symlink("/dev/zero", drop_ins.join("30-zero.toml")).unwrap();
    symlink("/dev/null", drop_ins.join("40-masked.toml")).unwrap();
    symlink("/nowhere/at/all", drop_ins.join("50-gone.toml")).unwrap();
    let findings = tree.findings();
    let expect = [
        "10-large.toml: cannot be read: it is larger than 1 MiB",
        "20-pipe.toml: cannot be read: it is not a regular file",
        "30-zero.toml: cannot be read: it is not a regular file",
        "50-gone.toml: cannot be read: the link points nowhere",
    ];
    assert_eq!(findings.len(), expect.len(), "{findings:#?}");
    for (finding, wanted) in findings.iter().zip(expect) {
        assert!(finding.contains(wanted), "{findings:#?}");
    }
}

#[test]
fn a_directory_that_is_a_link_to_nothing_is_a_finding() {
    for link in ["etc/roundsman", "etc/roundsman/sample.d"] {
        let tree = Tree::new(&[]);
        let path = tree.root().join(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("/nowhere/at/all", &path).unwrap();
        let findings = tree.findings();
        let expect = format!("{link}: cannot be read: the link points nowhere");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with(&expect), "{findings:?}");
    }
}

#[test]
fn files_of_other_systems_editors_are_read() {
    let text = "\u{feff}limit = 3\r\n[levels]\r\nwarning = 5\r\n";
    let loaded = Tree::new(&[("etc/roundsman/sample.toml", text)]).load(&[]);
    let config = loaded.unwrap().config;
    assert_eq!((config.limit, config.levels.warning), (3, 5.0));
}

#[test]
fn a_variable_is_a_text_where_a_text_is_wanted() {
    let tree = Tree::new(&[]);
    for text in ["12345", "  pad ", "true", "[a", "{x}", "\"q\""] {
        let variables = [
            ("ROUNDSMAN_SAMPLE__HOST", text),
            ("ROUNDSMAN_SAMPLE__NAME", text),
            ("ROUNDSMAN_SAMPLE__LEVELS__WARNING", "7"),
        ];
        let loaded = tree.load(&variables).unwrap();
        assert_eq!(loaded.common.host, text);
        assert_eq!(loaded.config.name, text);
        assert_eq!(loaded.config.levels.warning, 7.0);
    }
    let lists = [("ROUNDSMAN_SAMPLE__PATHS", "[/a, /b]")];
    assert_eq!(tree.load(&lists).unwrap().config.paths, ["/a", "/b"]);
}

#[test]
fn a_variable_that_is_nearly_ours_or_no_text_is_a_finding() {
    let tree = Tree::new(&[]);
    let findings = tree.findings_with(&[
        ("ROUNDSMAN_SAMPLE_LOG_LEVEL", "debug"),
        ("ROUNDSMAN_SAMPLES_LOG_LEVEL", "debug"),
        ("ROUNDSMAN_ROOT", "/"),
    ]);
    let expect = "ROUNDSMAN_SAMPLE_LOG_LEVEL: two underscores stand between agent and key \
                  (name it ROUNDSMAN_SAMPLE__LOG_LEVEL)";
    assert_eq!(findings, [expect]);

    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let variables = [(OsString::from("ROUNDSMAN_SAMPLE__HOST"), odd)];
    let directories = Directories::under(tree.root());
    let refused = load::<Sample>(&directories, "sample", None, variables.into_iter());
    let findings = refused.unwrap_err().findings;
    assert_eq!(
        findings[0].to_string(),
        "ROUNDSMAN_SAMPLE__HOST: the value is not UTF-8 (write it in UTF-8)"
    );
}

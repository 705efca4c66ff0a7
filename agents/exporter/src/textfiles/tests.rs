use super::*;
use std::time::SystemTime;

struct Dir {
    root: tempfile::TempDir,
    textfiles: Textfiles,
    size: u64,
}

impl Dir {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        Self {
            root,
            textfiles: Textfiles::default(),
            size: 64,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("d").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let temporary = self.root.path().join("new");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.path(name)).unwrap();
    }

    /// Each file with the names of its families, or what is wrong with it.
    fn scan(&mut self) -> Vec<(String, String)> {
        let (age, now) = (Duration::from_secs(3600), SystemTime::now().into());
        let root = self.root.path().to_owned();
        self.textfiles
            .scan(&root, &["/d".into()], age, self.size, now);
        let shown = |file: &Textfile| match &file.families {
            Ok(_) if file.is_stale => "stale".to_owned(),
            Ok(_) => file.shown().iter().map(|family| &*family.name).collect(),
            Err(fault) => fault.to_string(),
        };
        let files = self.textfiles.files();
        files
            .map(|file| (file.label.clone(), shown(file)))
            .collect()
    }
}

fn pair(label: &str, shown: &str) -> (String, String) {
    (label.to_owned(), shown.to_owned())
}

#[test]
fn each_file_stands_for_itself() {
    let mut dir = Dir::new();
    dir.write("a.prom", "a 1\n");
    dir.write("b.prom", "b 1 5\n");
    dir.write("c.prom", &"c 1\n".repeat(20));
    dir.write("d.prom.tmp", "d 1\n");
    fs::create_dir(dir.path("e.prom")).unwrap();
    std::os::unix::fs::symlink("/nowhere", dir.path("f.prom")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.path("g.prom"));
    socket.unwrap();
    let seen = dir.scan();
    let told = |at: usize| (seen[at].0.as_str(), seen[at].1.as_str());
    assert_eq!(told(0), ("/d/a.prom", "a"));
    assert_eq!(told(1), ("/d/b.prom", "b has a timestamp"));
    assert_eq!(told(2), ("/d/c.prom", "is larger than 64 bytes"));
    assert_eq!(told(3), ("/d/e.prom", "is not a regular file"));
    assert_eq!(seen[4].0, "/d/f.prom");
    assert_eq!(seen[5].0, "/d/g.prom");
    assert_eq!(seen.len(), 6);
}

#[test]
fn a_fifo_does_not_block() {
    let mut dir = Dir::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, dir.path("a.prom"), kind, mode, 0).unwrap();
    assert_eq!(dir.scan(), [pair("/d/a.prom", "is not a regular file")]);
}

#[test]
fn every_name_has_a_label_of_its_own() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let mut dir = Dir::new();
    let names: [&[u8]; 5] = [b"\xff", b"\xfe", b"\\xff", b"a\nb", "ä".as_bytes()];
    for name in names {
        let name = [name, b".prom"].concat();
        fs::write(dir.root.path().join("d").join(OsStr::from_bytes(&name)), "").unwrap();
    }
    let mut labels: Vec<_> = dir.scan().into_iter().map(|(label, _)| label).collect();
    labels.sort();
    let expected = ["\\\\xff", "\\xfe", "\\xff", "a\\u{a}b", "ä"];
    assert_eq!(labels, expected.map(|name| format!("/d/{name}.prom")));
}

#[test]
fn all_files_together_are_bounded() {
    let mut dir = Dir::new();
    dir.size = 8 << 20;
    let many = |name: &str| -> String {
        let line = |n| format!("{name}{{n=\"{n}\"}} 1\n");
        (0..40_000).map(line).collect()
    };
    for name in ["a", "b", "c"] {
        dir.write(&format!("{name}.prom"), &many(name));
    }
    let shown: Vec<_> = dir.scan().into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(
        shown,
        ["a", "b", ""],
        "the third would make it 120,000 samples"
    );
    assert!(dir.textfiles.has_error());
    dir.write("a.prom", "a 1\n");
    let shown: Vec<_> = dir.scan().into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(shown, ["a", "b", "c"]);

    for number in 0..FILES {
        dir.write(&format!("{number}.prom"), "");
    }
    assert_eq!(dir.scan().len(), FILES);
    let (_, error) = &dir.textfiles.unreadable[0];
    assert_eq!(error.to_string(), "no more than 1000 files are read");
}

#[test]
fn a_file_is_followed_through_change_age_and_removal() {
    let mut dir = Dir::new();
    dir.write("a.prom", "a 1\n");
    assert_eq!(dir.scan(), [pair("/d/a.prom", "a")]);
    dir.write("a.prom", "b 1\n");
    assert_eq!(
        dir.scan(),
        [pair("/d/a.prom", "b")],
        "same size, same second"
    );
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    let file = File::options()
        .write(true)
        .open(dir.path("a.prom"))
        .unwrap();
    let far_ahead = SystemTime::now() + Duration::from_secs(7200);
    for wrong in [long_ago, far_ahead] {
        file.set_modified(wrong).unwrap();
        assert_eq!(dir.scan(), [pair("/d/a.prom", "stale")]);
    }
    assert!(dir.textfiles.files().all(|file| file.shown().is_empty()));
    fs::remove_file(dir.path("a.prom")).unwrap();
    assert_eq!(dir.scan(), []);
    assert!(dir.textfiles.unreadable.is_empty());
    fs::remove_dir(dir.root.path().join("d")).unwrap();
    assert_eq!(dir.scan(), []);
    assert_eq!(dir.textfiles.unreadable.len(), 1);
}

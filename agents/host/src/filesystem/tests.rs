use std::fs;
use std::io;
use std::path::Path;

use super::*;

const SPACE: Space = Space {
    size: 1000,
    free: 400,
    available: 300,
    files: 0,
    files_free: 0,
};

fn space(path: &Path) -> io::Result<Space> {
    if path.ends_with("secret") {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(SPACE)
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, process: &str, text: &str) {
        let directory = self.0.path().join("proc").join(process);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("mountinfo"), text).unwrap();
    }

    fn host(&self) -> Host {
        let mut host = Host::new(Root::new(self.0.path()));
        host.calls.space = space;
        host
    }
}

fn shape(mounts: &Mounts) -> Vec<(&str, bool, &str)> {
    let mounts = mounts.list.iter();
    mounts
        .map(|mount| (&*mount.mount_point, mount.read_only, mount.status.why()))
        .collect()
}

const HOST: &str = "\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /home rw - ext4 /dev/sda2 rw
3 1 8:1 /data /srv ro - ext4 /dev/sda1 rw
4 1 0:20 / /proc rw - proc proc rw
5 1 8:3 / /secret rw - xfs /dev/sda3 rw
";

#[test]
fn flags_are_the_hosts_and_hidden_mounts_are_not_guessed() {
    let tree = Tree::new();
    tree.write("1", HOST);
    // A sandbox: all is read-only, and an empty tmpfs lies on /home.
    tree.write(
        "self",
        "11 0 8:1 / / ro - ext4 /dev/sda1 rw\n\
         12 11 8:2 / /home ro - ext4 /dev/sda2 rw\n\
         13 12 0:50 / /home ro - tmpfs tmpfs rw\n\
         14 11 8:1 /data /srv ro - ext4 /dev/sda1 rw\n\
         15 11 8:3 / /secret ro - xfs /dev/sda3 rw\n",
    );
    let mounts = read(&tree.host()).unwrap();
    assert_eq!(mounts.view, View::Host);
    assert_eq!(
        shape(&mounts),
        [
            ("/", false, ""),
            ("/home", false, "not visible to this process"),
            ("/srv", true, ""),
            ("/secret", false, "permission denied"),
        ]
    );
}

#[test]
fn without_pid_1_the_own_mounts_are_shown_and_it_is_said() {
    let tree = Tree::new();
    tree.write("self", HOST);
    let mounts = read(&tree.host()).unwrap();
    assert_eq!(mounts.view, View::Own);
    assert_eq!(mounts.list.len(), 4);
}

#[test]
fn a_mount_that_comes_goes_or_changes_is_seen_at_the_next_reading() {
    let tree = Tree::new();
    tree.write("1", HOST);
    let mut reader = Reader::new(&tree.host());
    let mut buffer = Buffer::new();
    reader.refresh(&mut buffer, None).unwrap();
    assert_eq!(reader.mounts.list.len(), 4);
    tree.write("1", "1 0 8:1 / / rw - ext4 /dev/sda1 ro\nbad\n");
    for _ in 0..2 {
        reader.refresh(&mut buffer, None).unwrap();
        assert_eq!(shape(&reader.mounts), [("/", true, "")]);
        assert_eq!(reader.bad.len(), 1, "said at every reading");
    }
    fs::remove_file(tree.0.path().join("proc/1/mountinfo")).unwrap();
    let gone = read(&tree.host()).unwrap_err();
    assert!(gone.is_missing_file());
}

#[test]
fn shares_are_those_of_df() {
    assert_eq!(SPACE.used(), 600);
    let share = SPACE.used_percent().unwrap();
    assert!((share - 66.666).abs() < 0.001, "{share}");
    assert_eq!(SPACE.files_used_percent(), None);
    assert_eq!(Space::default().used_percent(), None);
}

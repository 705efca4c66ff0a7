//! Unit files as they lie on the disk: what is known where no service manager can be asked (a
//! container, a tree that is being prepared).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use roundsman_kit::Paths;

use crate::systemd::{Credential, Source, UnitFile};

/// Where systemd looks, the highest priority first (systemd.unit(5)); `/lib` is for trees whose
/// `/lib` is not yet a link.
const DIRECTORIES: [&str; 11] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Unit files whose names begin with `prefix`, by name.
pub fn list(paths: &Paths, prefix: &str) -> Vec<UnitFile> {
    let mut found = BTreeMap::new();
    for directory in DIRECTORIES.iter().rev() {
        let Ok(entries) = fs::read_dir(paths.at(directory)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
            if name.starts_with(prefix) && is_file {
                let masked = if is_mask(&entry.path()) { "masked" } else { "" };
                found.insert(name, masked.to_owned());
            }
        }
    }
    let file = |(name, enabled)| UnitFile { name, enabled };
    found.into_iter().map(file).collect()
}

/// The file of `unit`, or of its template.
pub fn find(paths: &Paths, unit: &str) -> Option<PathBuf> {
    let names = [Some(unit.to_owned()), template(unit)];
    names.into_iter().flatten().find_map(|name| {
        DIRECTORIES
            .iter()
            .map(|directory| paths.at(directory).join(&name))
            .find(|path| path.symlink_metadata().is_ok())
    })
}

/// Whether the file is a link to `/dev/null`.
pub fn is_mask(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// `beacon@.service` of `beacon@prod.service`.
pub fn template(unit: &str) -> Option<String> {
    let (prefix, rest) = unit.split_once('@')?;
    let (_, suffix) = rest.rsplit_once('.')?;
    Some(format!("{prefix}@.{suffix}"))
}

/// The values of `key` in the file and the drop-ins of `unit`, in the order in which they take
/// effect; an empty one resets those before it.
pub fn values(paths: &Paths, unit: &str, key: &str) -> Vec<String> {
    let mut values = Vec::new();
    for file in find(paths, unit).into_iter().chain(drop_ins(paths, unit)) {
        // What this user may not read counts as absent, as where it really is.
        let text = fs::read_to_string(&file)
            .unwrap_or_default()
            .replace("\\\n", " ");
        let settings = text.lines().filter_map(|line| line.split_once('='));
        for (_, value) in settings.filter(|(name, _)| name.trim() == key) {
            match value.trim() {
                "" => values.clear(),
                value => values.push(value.to_owned()),
            }
        }
    }
    values
}

/// The credentials that the files of `unit` name.
pub fn credentials(paths: &Paths, unit: &str) -> Vec<Credential> {
    let mut found = Vec::new();
    let mut add = |setting: &str, source: &dyn Fn(String, String) -> (String, Source)| {
        for value in values(paths, unit, setting) {
            let (name, from) = value.split_once(':').unwrap_or((&value, &value));
            let (name, source) = source(name.to_owned(), from.to_owned());
            found.push(Credential { name, source });
        }
    };
    add("LoadCredential", &|name, from| (name, Source::Plain(from)));
    add("LoadCredentialEncrypted", &|name, from| {
        (name, Source::Encrypted(from))
    });
    add("SetCredential", &|name, _| (name, Source::Inline));
    add("SetCredentialEncrypted", &|name, _| (name, Source::Inline));
    add("ImportCredential", &|name, _| (name, Source::Import));
    found
}

/// The drop-ins of `unit`: of each file name the one in the highest directory, sorted by name.
fn drop_ins(paths: &Paths, unit: &str) -> impl Iterator<Item = PathBuf> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for name in drop_in_names(unit).iter().rev() {
        for directory in DIRECTORIES.iter().rev() {
            let Ok(entries) = fs::read_dir(paths.at(directory).join(name)) else {
                continue;
            };
            let files = entries.flatten().map(|entry| entry.path());
            for file in files.filter(|file| file.extension().is_some_and(|ext| ext == "conf")) {
                found.insert(file.file_name().unwrap_or_default().to_owned(), file);
            }
        }
    }
    found.into_values()
}

/// Drop-ins of `unit` that are not among those that systemd has `loaded`. It does not notice
/// them itself where their directory is new (`NeedDaemonReload=no`).
pub fn unread_drop_ins(paths: &Paths, unit: &str, loaded: &[String]) -> Vec<PathBuf> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let loaded: Vec<PathBuf> = loaded.iter().map(|path| paths.at(path)).collect();
    let is_read = |file: &PathBuf| {
        let mut loaded = loaded.iter();
        loaded.any(|read| {
            // Of two with one name in directories of different range only one takes effect.
            let is_other_range = file.file_name() == read.file_name()
                && directory_name(file) != directory_name(read);
            is_other_range || real(read) == real(file)
        })
    };
    // An empty one, and a link to /dev/null, only hide others.
    let says_something = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
    };
    drop_ins(paths, unit)
        .filter(|file| says_something(file) && !is_read(file))
        .collect()
}

/// `roundsman-.service.d` of a drop-in there.
fn directory_name(file: &Path) -> Option<&OsStr> {
    file.parent()?.file_name()
}

/// The drop-in directories of a unit, the most particular first: its own, its template's, one
/// per dash in its prefix, its type's.
fn drop_in_names(unit: &str) -> Vec<String> {
    let mut names = vec![format!("{unit}.d")];
    names.extend(template(unit).map(|template| format!("{template}.d")));
    let Some((stem, suffix)) = unit.rsplit_once('.') else {
        return names;
    };
    let prefix = stem.split('@').next().unwrap_or(stem);
    let dashes = prefix.match_indices('-').rev();
    names.extend(dashes.map(|(at, _)| format!("{}.{suffix}.d", &prefix[..=at])));
    names.push(format!("{suffix}.d"));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        for (path, text) in files {
            let path = paths.at(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (dir, paths)
    }

    #[test]
    fn drop_ins_of_a_unit_are_those_that_systemd_reads() {
        assert_eq!(
            drop_in_names("a-b-c@x-y.service"),
            [
                "a-b-c@x-y.service.d",
                "a-b-c@.service.d",
                "a-b-.service.d",
                "a-.service.d",
                "service.d"
            ]
        );
    }

    #[test]
    fn later_files_add_and_an_empty_value_resets() {
        let (_dir, paths) = tree(&[
            (
                "/usr/lib/systemd/system/a-b.service",
                "[Service]\nKey = 1\n",
            ),
            (
                "/usr/lib/systemd/system/a-.service.d/10.conf",
                "Key=2 \\\n 3\n# Key=no\n",
            ),
            (
                "/usr/lib/systemd/system/a-b.service.d/20.conf",
                "Key=hidden\n",
            ),
            ("/etc/systemd/system/a-b.service.d/20.conf", "Key=\nKey=4\n"),
            ("/etc/systemd/system/a-b.service.d/20.txt", "Key=5\n"),
        ]);
        assert_eq!(values(&paths, "a-b.service", "Key"), ["4"]);
        assert_eq!(values(&paths, "a-c.service", "Key"), ["2   3"]);
    }

    #[test]
    fn drop_ins_that_systemd_has_not_read_are_found() {
        let (_dir, paths) = tree(&[
            ("/usr/lib/systemd/system/a-.service.d/10.conf", "[Service]"),
            ("/usr/lib/systemd/system/a-b.service.d/20.conf", "[Service]"),
            ("/etc/systemd/system/a-b.service.d/20.conf", "[Service]"),
            ("/etc/systemd/system/a-b.service.d/30.conf", ""),
            ("/run/systemd/system/a-.service.d/40.conf", "[Service]"),
            ("/etc/systemd/system/a-b.service.d/10.conf", "[Service]"),
        ]);
        symlink("usr/lib", paths.at("/lib")).unwrap();
        let masked = paths.at("/etc/systemd/system/a-b.service.d/50.conf");
        symlink("/dev/null", masked).unwrap();
        let unread = |loaded: &[&str]| {
            let loaded: Vec<String> = loaded.iter().map(|path| (*path).to_owned()).collect();
            unread_drop_ins(&paths, "a-b.service", &loaded)
        };
        let common = "/lib/systemd/system/a-.service.d/10.conf";
        let override_ = "/etc/systemd/system/a-b.service.d/20.conf";
        let new = "/run/systemd/system/a-.service.d/40.conf";
        assert_eq!(
            unread(&[common, override_, new]),
            [""; 0].map(PathBuf::from)
        );
        assert_eq!(unread(&[common, override_]), [paths.at(new)]);
        let hidden = "/usr/lib/systemd/system/a-b.service.d/20.conf";
        assert_eq!(unread(&[common, hidden, new]), [paths.at(override_)]);
    }

    #[test]
    fn templates_stand_for_instances_and_links_to_null_are_masks() {
        let (_dir, paths) = tree(&[
            ("/usr/lib/systemd/system/x-a@.service", ""),
            ("/usr/lib/systemd/system/x-b.service", ""),
            ("/usr/lib/systemd/system/x-.service.d/10.conf", ""),
            ("/etc/systemd/system/other.service", ""),
        ]);
        symlink("/dev/null", paths.at("/etc/systemd/system/x-b.service")).unwrap();
        let names: Vec<_> = list(&paths, "x-")
            .into_iter()
            .map(|file| (file.name, file.enabled))
            .collect();
        assert_eq!(
            names,
            [
                ("x-a@.service".to_owned(), String::new()),
                ("x-b.service".to_owned(), "masked".to_owned())
            ]
        );
        assert!(
            find(&paths, "x-a@i.service")
                .unwrap()
                .ends_with("x-a@.service")
        );
        assert!(is_mask(&find(&paths, "x-b.service").unwrap()));
        assert_eq!(find(&paths, "x-c.service"), None);
    }

    #[test]
    fn credentials_are_found_in_every_setting() {
        let (_dir, paths) = tree(&[(
            "/etc/systemd/system/x.service",
            "LoadCredential=a:/etc/a\nLoadCredential=b\nLoadCredentialEncrypted=c:/etc/c\n\
             SetCredential=d:se:cret\nImportCredential=e.*\n",
        )]);
        let found = credentials(&paths, "x.service");
        let expected = [
            ("a", Source::Plain("/etc/a".into())),
            ("b", Source::Plain("b".into())),
            ("c", Source::Encrypted("/etc/c".into())),
            ("d", Source::Inline),
            ("e.*", Source::Import),
        ];
        let expected = expected.map(|(name, source)| Credential {
            name: name.into(),
            source,
        });
        assert_eq!(found, expected);
    }
}

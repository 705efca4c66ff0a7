//! Silences: files that say which events wait, until when, and why. One file that is broken costs
//! itself alone.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use roundsman_kit::clock::Timestamp;
use roundsman_kit::config::Finding;
use roundsman_store::delivery::Hold;
use roundsman_store::event::{Event, Severity};

use crate::config::{Conditions, SilenceFile};
use crate::matching::Matcher;

/// Where the files lie.
pub const DIRECTORY: &str = "/etc/roundsman/silences.d";

/// The stream of table `cursor` that shows which silences are in force.
pub const STREAM: &str = "silences";

/// More than this is no silence.
const FILE_BYTES: u64 = 64 << 10;

/// Every event is compared with every silence.
const MOST: usize = 256;

/// The least urgent severity that passes a silence.
const URGENT: Severity = Severity::Critical;

/// What is held back until a time.
#[derive(Debug)]
pub struct Silence {
    /// The name of its file, without `.toml`.
    pub name: String,
    /// What is held back goes then.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether it also holds back what is critical or more urgent.
    pub urgent: bool,
    /// What the file says.
    pub file: SilenceFile,
    matcher: Matcher,
}

impl Silence {
    /// What it is called as the reason of a delivery that waits: `silence:NAME`.
    pub fn label(&self) -> String {
        format!("silence:{}", self.name)
    }

    /// Whether it holds back this event at this time.
    pub fn holds(&self, event: &Event, now: Timestamp) -> bool {
        now < self.until
            && (self.urgent || event.severity > URGENT)
            && self.matcher.judge(event).is_ok()
    }
}

/// What these silences are, in a few characters: herald leaves it in table `cursor` as the position
/// of [`STREAM`], so that whoever changes a file can tell when it counts.
pub fn fingerprint(silences: &[Silence]) -> String {
    let texts = silences.iter().map(|one| {
        serde_json::json!([
            one.name,
            one.until.as_millis(),
            one.reason,
            one.urgent,
            one.file
        ])
    });
    let text = serde_json::Value::from_iter(texts).to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref()[..8].iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The silence that holds this event back longest.
pub fn longest(silences: &[Silence], event: &Event, now: Timestamp) -> Option<Hold> {
    let holding = silences.iter().filter(|one| one.holds(event, now));
    holding.max_by_key(|one| one.until).map(|one| Hold {
        by: one.label(),
        until: one.until,
    })
}

/// What the silence of a finding would be called as a reason.
pub fn label_of(finding: &Finding) -> Option<String> {
    let name = Path::new(&finding.file).file_stem()?.to_str()?;
    Some(format!("silence:{name}"))
}

/// Reads all silences of a directory by name, and what is wrong with those that are left out.
/// Those that are over are among them; a directory that is not there has none.
pub fn load(directory: &Path) -> (Vec<Silence>, Vec<Finding>) {
    let (mut silences, mut findings) = (Vec::new(), Vec::new());
    let mut files = match list(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            findings.push(finding(
                directory,
                "",
                error.to_string(),
                "make it readable",
            ));
            Vec::new()
        }
    };
    files.sort();
    for path in files {
        if silences.len() == MOST {
            let reason = format!("is one more than {MOST} silences");
            findings.push(finding(&path, "", reason, "remove those that are over"));
            break;
        }
        match read(&path) {
            Ok(silence) => silences.push(silence),
            Err(wrong) => findings.push(wrong),
        }
    }
    (silences, findings)
}

fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        if !is_hidden && path.extension().is_some_and(|suffix| suffix == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Silence, Finding> {
    let wrong = |key: &str, reason: String, remedy: &str| finding(path, key, reason, remedy);
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_fine) {
        let remedy = "use letters, digits, \"-\", \"_\", \".\" and \"@\", at most 64";
        return Err(wrong("", "has no good name".into(), remedy));
    }
    let text = text(path).map_err(|error| wrong("", error.to_string(), "make it readable"))?;
    parse(path, name, &text)
}

/// The silence of this name that a file's text is.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(path: &Path, name: &str, text: &str) -> Result<Silence, Finding> {
    let wrong = |key: &str, reason: String, remedy: &str| finding(path, key, reason, remedy);
    let file: SilenceFile = toml::from_str(text).map_err(|error| {
        let key = error.span().and_then(|span| key_at(text, span.start));
        wrong(
            &key.unwrap_or_default(),
            error.message().to_owned(),
            "mend it",
        )
    })?;
    let Some(until) = file.until else {
        let remedy = "write until = \"2026-11-21T08:00:00Z\"";
        return Err(wrong("until", "is missing".into(), remedy));
    };
    if file.reason.trim().is_empty() {
        return Err(wrong("reason", "is missing".into(), "say why"));
    }
    if file.conditions() == Conditions::default() {
        let remedy = "name at least one condition; kinds = [\"*\"] is everything";
        return Err(wrong("kinds", "there is no condition".into(), remedy));
    }
    let matcher = Matcher::of(file.conditions())
        .map_err(|(key, reason, remedy)| wrong(&key, reason, &remedy))?;
    Ok(Silence {
        name: name.to_owned(),
        until: until.0,
        reason: file.reason.clone(),
        urgent: file.urgent,
        file,
        matcher,
    })
}

fn text(path: &Path) -> std::io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("is no regular file"));
    }
    // Should it have become a pipe meanwhile, this does not wait for a writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        let message = format!("has more than {FILE_BYTES} bytes");
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// The key of the line that a mistake stands on.
fn key_at(text: &str, at: usize) -> Option<String> {
    let begin = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(begin..)?.lines().next()?;
    let (key, _) = line.split_once('=')?;
    Some(key.trim().to_owned())
}

fn finding(path: &Path, key: &str, reason: String, remedy: &str) -> Finding {
    Finding {
        file: path.display().to_string(),
        key: key.to_owned(),
        reason,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_named_with_its_key_and_stops_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let rest = "until = '2026-11-21T08:00:00Z'\nreason = 'new disks'\n";
        for (name, text, _) in CASES {
            fs::write(directory.path().join(name), text.replace("REST", rest)).unwrap();
        }
        let (silences, findings) = load(directory.path());
        let names: Vec<_> = silences.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["date", "good"]);
        for silence in &silences {
            assert_eq!(silence.until, Timestamp(1_795_248_000_000));
        }
        assert_eq!(silences[1].reason, "new disks");
        let found: Vec<_> = findings
            .iter()
            .map(|one| {
                (
                    Path::new(&one.file).file_name().unwrap().to_str().unwrap(),
                    &*one.key,
                )
            })
            .collect();
        let expected: Vec<_> = CASES
            .iter()
            .filter_map(|(name, _, key)| key.map(|key| (*name, key)))
            .collect();
        assert_eq!(found, expected);
    }

    /// Name, text, and the key that is wrong; by name.
    const CASES: [(&str, &str, Option<&str>); 12] = [
        ("a b.toml", "REST", Some("")),
        ("all.toml", "kinds = []\nREST", Some("kinds")),
        (
            "ancient.toml",
            "kinds = ['*']\nreason = 'x'\nuntil = '-009999-01-02T01:59:59Z'\n",
            Some("until"),
        ),
        (
            "date.toml",
            "kinds = ['*']\nuntil = 2026-11-21T08:00:00Z\nreason = 'x'\n",
            None,
        ),
        ("endless.toml", "reason = 'x'\n", Some("until")),
        ("good.toml", "kinds = ['x.*']\nREST", None),
        (
            "late.toml",
            "reason = 'x'\nuntil = 'tomorrow'\n",
            Some("until"),
        ),
        ("note.txt", "no silence", None),
        ("odd.toml", "REST\nsubjekt = 'x'\n", Some("subjekt")),
        ("regex.toml", "message = '('\nREST", Some("message")),
        ("type.toml", "kinds = 3\nREST", Some("kinds")),
        (
            "why.toml",
            "until = '2026-11-21T08:00:00Z'\n",
            Some("reason"),
        ),
    ];

    #[test]
    fn what_is_no_regular_file_is_named_and_waits_for_nobody() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe.toml");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::create_dir(directory.path().join("directory.toml")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.path().join("zero.toml")).unwrap();
        let (silences, findings) = load(directory.path());
        assert!(silences.is_empty());
        let reasons: Vec<_> = findings.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, ["is no regular file"; 3]);
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_silences() {
        let directory = tempfile::tempdir().unwrap();
        let (silences, findings) = load(&directory.path().join("none"));
        assert!(silences.is_empty() && findings.is_empty());
    }
}

//! The operating system: `/etc/os-release`, or `/usr/lib/os-release`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::{Text, printable};

/// The operating system's own description of itself; empty where it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct OsRelease {
    pub build_id: String,
    pub id: String,
    pub id_like: String,
    pub image_id: String,
    pub image_version: String,
    pub name: String,
    pub pretty_name: String,
    pub support_end: String,
    pub variant: String,
    pub variant_id: String,
    pub version: String,
    pub version_codename: String,
    pub version_id: String,
}

const PATHS: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
const ABSENT: Error = Error::NoData { what: "os-release" };

/// Reads the description; [`Error::NoData`] where there is none.
pub fn read(root: &Root) -> Result<OsRelease, Error> {
    for path in PATHS {
        match read_once(&root.at(path), parse) {
            Err(error) if error.is_missing_file() => {}
            done => return done,
        }
    }
    Err(ABSENT)
}

fn parse(text: Text<'_>) -> Result<OsRelease, Error> {
    let mut os = OsRelease::default();
    for line in text.lines() {
        let line = printable(line.bytes());
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let field = match key {
            "BUILD_ID" => &mut os.build_id,
            "ID" => &mut os.id,
            "ID_LIKE" => &mut os.id_like,
            "IMAGE_ID" => &mut os.image_id,
            "IMAGE_VERSION" => &mut os.image_version,
            "NAME" => &mut os.name,
            "PRETTY_NAME" => &mut os.pretty_name,
            "SUPPORT_END" => &mut os.support_end,
            "VARIANT" => &mut os.variant,
            "VARIANT_ID" => &mut os.variant_id,
            "VERSION" => &mut os.version,
            "VERSION_CODENAME" => &mut os.version_codename,
            "VERSION_ID" => &mut os.version_id,
            _ => continue,
        };
        *field = unquoted(value);
    }
    if os.id.is_empty() && os.name.is_empty() {
        return Err(text.missing("ID or NAME"));
    }
    Ok(os)
}

/// A value of a shell assignment without its quotes and escapes.
fn unquoted(value: &str) -> String {
    let literal = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''));
    if let Some(literal) = literal {
        return literal.to_owned();
    }
    let inner = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            other => out.push(other),
        }
    }
    out
}

/// The leading `12` or `12.4` of a version.
fn number(version: &str) -> Option<f64> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let major = digits(version);
    let minor = version[major..]
        .strip_prefix('.')
        .map_or(0, |rest| 1 + digits(rest));
    version[..major + minor]
        .parse()
        .ok()
        .filter(|number: &f64| *number > 0.0)
}

/// `2026-06-30` as seconds since 1970.
fn day(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1 March of year 0: a year that begins in March has its leap day at its end.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year;
    Some((days - 719_468) * 86_400)
}

pub(crate) struct OsReleaseCollector([File; 2]);

impl OsReleaseCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(
            PATHS.map(|path| File::replaced(&host.root, host.root.at(path))),
        ))
    }
}

impl Collector for OsReleaseCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut found = Err(ABSENT);
        for file in &mut self.0 {
            match file.read(scrape.buffer) {
                Err(error) if error.is_missing_file() => {}
                done => {
                    found = done.and_then(parse);
                    break;
                }
            }
        }
        write(&found?, scrape);
        Ok(())
    }
}

fn write(os: &OsRelease, scrape: &mut Scrape<'_>) {
    let labels = [
        ("build_id", &*os.build_id),
        ("id", &os.id),
        ("id_like", &os.id_like),
        ("image_id", &os.image_id),
        ("image_version", &os.image_version),
        ("name", &os.name),
        ("pretty_name", &os.pretty_name),
        ("variant", &os.variant),
        ("variant_id", &os.variant_id),
        ("version", &os.version),
        ("version_codename", &os.version_codename),
        ("version_id", &os.version_id),
    ];
    let page = &mut *scrape.page;
    page.gauge("node_os_info", "The operating system; always 1.")
        .sample(&labels, 1_u64);
    if let Some(version) = number(&os.version_id) {
        let labels = [
            ("id", &*os.id),
            ("id_like", &os.id_like),
            ("name", &os.name),
        ];
        page.gauge(
            "node_os_version",
            "The version of the operating system as a number: major.minor.",
        )
        .sample(&labels, version);
    }
    if let Some(end) = day(&os.support_end) {
        page.gauge(
            "node_os_support_end_timestamp_seconds",
            "When support of the operating system ends, in seconds since 1970.",
        )
        .value(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn quotes_and_escapes_are_undone() {
        let text = "# x\nID=debian\nNAME=\"A \\\"b\\\" \\$c\"\nVARIANT='it \\is'\nVERSION_ID=\"12.4.1\"\nODD\n";
        let os = parse(Text::new(Path::new("/etc/os-release"), text.as_bytes())).unwrap();
        assert_eq!(os.id, "debian");
        assert_eq!(os.name, "A \"b\" $c");
        assert_eq!(os.variant, "it \\is");
        assert_eq!(number(&os.version_id), Some(12.4));
        assert_eq!(number("sid"), None);
    }

    #[test]
    fn dates_become_seconds() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("2000-02-29"), Some(951_782_400));
        assert_eq!(day("2026-06-30"), Some(1_782_777_600));
        assert_eq!(day("2026-13-30"), None);
        assert_eq!(day("soon"), None);
    }
}

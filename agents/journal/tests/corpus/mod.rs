//! Made-up entries that hold everything that is hard to read: for tests, fixtures and benches.

use std::io::{self, Write};

pub const BOOT: &str = "0123456789abcdef0123456789abcdef";
/// Of the first entry; each further one comes a millisecond later.
pub const REALTIME: u64 = 1_700_000_000_000_000;
pub const MONOTONIC: u64 = 1_000;

pub type Fields = Vec<(&'static str, Vec<u8>)>;

const WORDS: [&str; 12] = [
    "session",
    "opened",
    "for",
    "user",
    "root",
    "connection",
    "refused",
    "from",
    "timeout",
    "started",
    "GET",
    "error",
];

/// Entries with long, binary, empty, repeated and compressible values.
pub fn hard(count: usize) -> impl Iterator<Item = Fields> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(move |number| {
        let mut message = sentence(&mut random, number).into_bytes();
        match number % 10 {
            // Compressed by every algorithm.
            3 => message = message.repeat(random.usize(20..100)),
            5 => message = (0..random.usize(1..80)).map(|_| random.u8(..)).collect(),
            7 => message.extend(b"\nline two\n\xff not UTF-8"),
            8 => message = vec![b'x'; random.usize(500..530)],
            _ => {}
        }
        if number == count / 2 {
            message = b"one and a half MiB of this; ".repeat(56_000);
        }
        let mut fields = vec![
            ("MESSAGE", message),
            ("PRIORITY", random.u8(0..8).to_string().into_bytes()),
            (
                "_SYSTEMD_UNIT",
                format!("unit-{}.service", random.u8(0..9)).into_bytes(),
            ),
            ("_PID", random.u8(..).to_string().into_bytes()),
        ];
        if number.is_multiple_of(11) {
            fields.push(("EMPTY", Vec::new()));
            fields.push(("MANY", b"one".to_vec()));
            fields.push(("MANY", format!("two {number}").into_bytes()));
            fields.push(("EQUALS", b"a=b=c".to_vec()));
        }
        if number % 13 == 4 {
            fields.push((
                "BINARY",
                (0..random.usize(1..60)).map(|_| random.u8(..)).collect(),
            ));
        }
        fields
    })
}

/// Entries as a host has them, in fields, lengths and repetitions.
pub fn usual(count: usize) -> impl Iterator<Item = Fields> {
    let mut random = fastrand::Rng::with_seed(8);
    (0..count).map(move |number| {
        let source = random.usize(0..60);
        let text = |text: String| text.into_bytes();
        let unit = format!("source-{source}.service");
        vec![
            ("MESSAGE", text(sentence(&mut random, number))),
            (
                "PRIORITY",
                text(format!("{}", if number % 50 == 0 { 3 } else { 6 })),
            ),
            ("SYSLOG_FACILITY", text("3".into())),
            ("SYSLOG_IDENTIFIER", text(format!("source-{source}"))),
            ("_TRANSPORT", text("stdout".into())),
            ("_PID", text(format!("{}", 1000 + source))),
            ("_UID", text(format!("{}", source % 7))),
            ("_GID", text(format!("{}", source % 7))),
            ("_COMM", text(format!("source-{source}"))),
            ("_EXE", text(format!("/usr/bin/source-{source}"))),
            (
                "_CMDLINE",
                text(format!("/usr/bin/source-{source} --serve --verbose")),
            ),
            ("_CAP_EFFECTIVE", text("0".into())),
            ("_SELINUX_CONTEXT", text("unconfined".into())),
            ("_SYSTEMD_CGROUP", text(format!("/system.slice/{unit}"))),
            ("_SYSTEMD_UNIT", text(unit)),
            ("_SYSTEMD_SLICE", text("system.slice".into())),
            ("_SYSTEMD_INVOCATION_ID", text(format!("{source:032x}"))),
            ("_STREAM_ID", text(format!("{:032x}", source * 7))),
            (
                "_MACHINE_ID",
                text("0123456789abcdef0123456789abcdee".into()),
            ),
            ("_HOSTNAME", text("host".into())),
        ]
    })
}

fn sentence(random: &mut fastrand::Rng, number: usize) -> String {
    let mut words: Vec<&str> = (0..random.usize(6..26))
        .map(|_| random.choice(WORDS).unwrap())
        .collect();
    let number = number.to_string();
    words.push(&number);
    words.join(" ")
}

/// Writes entries in journald's export format.
pub fn export(entries: impl Iterator<Item = Fields>, out: &mut impl Write) -> io::Result<()> {
    for (number, fields) in entries.enumerate() {
        let later = number as u64 * 1000;
        writeln!(out, "__REALTIME_TIMESTAMP={}", REALTIME + later)?;
        writeln!(out, "__MONOTONIC_TIMESTAMP={}", MONOTONIC + later)?;
        writeln!(out, "_BOOT_ID={BOOT}")?;
        for (name, value) in fields {
            // The binary form of an empty value is refused.
            match value.is_empty() {
                true => write!(out, "{name}=")?,
                false => {
                    writeln!(out, "{name}")?;
                    out.write_all(&(value.len() as u64).to_le_bytes())?;
                    out.write_all(&value)?;
                }
            }
            writeln!(out)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

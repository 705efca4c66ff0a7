//! Mail: what people and filters read, and what nobody can slip in.

use super::super::mail::{Parties, render};
use super::*;

fn parties() -> Parties {
    Parties {
        from: "Herald <herald@example.org>".parse().unwrap(),
        to: vec!["ops@example.org".parse().unwrap()],
    }
}

fn mail(notice: &Notice<'_>) -> String {
    let body = render(notice, "d-1", &parties()).unwrap();
    assert_eq!(body.content_type, "message/rfc822");
    String::from_utf8(body.bytes).unwrap()
}

fn head(mail: &str) -> &str {
    mail.split_once("\r\n\r\n").unwrap().0
}

#[test]
fn a_mail_says_all_that_is_known() {
    let mail = mail(&single(&event()));
    for line in [
        "From: Herald <herald@example.org>",
        "To: ops@example.org",
        "Message-ID: <d-1@example.org>",
        "Date: Fri, 20 Nov 2026 18:00:00 +0000",
        "Subject: [web1] warning: /home is 91 % full",
        "X-Roundsman-State: firing",
        "Severity: warning",
        "  role = db",
        "  value = 91.2",
    ] {
        assert!(mail.lines().any(|one| one == line), "{line}: {mail}");
    }
}

#[test]
fn no_text_becomes_a_field_or_an_end() {
    let evil = "x\r\nBcc: evil@example.org\r\n\r\n.\r\nRCPT TO:<evil@example.org>";
    let event = Event {
        kind: evil.to_owned(),
        message: evil.to_owned(),
        subject: Some(evil.to_owned()),
        ..event()
    };
    let notice = Notice {
        host: evil,
        ..single(&event)
    };
    let mail = mail(&notice);
    let is_evil = |line: &str| line.starts_with("Bcc:");
    assert!(!head(&mail).lines().any(is_evil), "{mail}");
    // No line ends in one half of what ends lines.
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']));
}

#[test]
fn any_text_fits() {
    for text in ["ü".repeat(100_000), "x".repeat(100_000), "\u{0}".repeat(10)] {
        let event = Event {
            message: text.clone(),
            subject: Some(text.clone()),
            data: object(json!({"text": text})),
            ..event()
        };
        let mail = mail(&single(&event));
        assert!(mail.is_ascii() && mail.len() < 300_000);
        assert!(mail.lines().all(|line| line.len() <= 998));
    }
}

#[test]
fn times_that_no_mail_can_say_are_the_nearest() {
    for (at, year) in [(i64::MIN, "1970"), (i64::MAX, "9999")] {
        let event = Event {
            at: Timestamp(at),
            ..event()
        };
        let mail = mail(&single(&event));
        let date = mail
            .lines()
            .find(|line| line.starts_with("Date: "))
            .unwrap();
        assert!(date.contains(year), "{date}");
    }
}

#[test]
fn a_digest_is_one_mail() {
    let (lead, members) = pair();
    let mail = mail(&group(&lead, &members));
    assert!(mail.contains("X-Roundsman-Kind: herald.digest"), "{mail}");
    assert!(mail.contains("/home is 91 % full") && mail.contains("/home is well again"));
    assert!(!mail.contains("References:"));
}

//! A failed unit arrives as a mail in a mailbox, by Debian's OpenSMTPD.

use anyhow::{Result, ensure};
use roundsman_kit::log::id;
use roundsman_tests::{Machine, PATIENCE};

use crate::herald::{fail_demo, mend_demo, watch_demo};
use crate::installed::installed;

const SERVER: &str = "\
listen on lo port 25
action \"inbox\" mbox
match from any for domain \"example.org\" action \"inbox\"
";
const HERALD: &str = "\
[triggers.failures]
kinds = [\"failure.*\"]
endpoints = [\"ops\", \"typo\"]

[endpoints.ops]
allow = [\"127.0.0.1/32\"]
[endpoints.ops.mail]
server = \"127.0.0.1\"
security = \"none\"
from = \"Herald <herald@example.org>\"
to = [\"ops@example.org\"]

[endpoints.typo]
allow = [\"127.0.0.1/32\"]
tries_if_refused = 1
[endpoints.typo.mail]
server = \"127.0.0.1\"
security = \"none\"
from = \"herald@example.org\"
to = [\"oops@example.org\"]
";

/// The mails in the mailbox, oldest first.
fn mailbox(machine: &Machine) -> Result<Vec<String>> {
    let whole = machine.sh("cat /var/mail/ops 2>/dev/null || true")?;
    let mails = whole.split("\nFrom ").map(str::to_owned);
    Ok(mails.filter(|mail| !mail.is_empty()).collect())
}

/// The mail after `earlier` others.
fn next_after(machine: &Machine, earlier: usize) -> Result<String> {
    machine.wait_for("a mail in the mailbox", PATIENCE, || {
        Ok(mailbox(machine)?.get(earlier).cloned())
    })
}

/// A field of the head of a mail.
fn field<'m>(mail: &'m str, name: &str) -> Option<&'m str> {
    let mut head = mail.lines().take_while(|line| !line.is_empty());
    head.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_failed_unit_and_its_end_are_two_mails_of_one_thread() {
    installed("mail::a_failed_unit", |machine| {
        machine.succeed(["useradd", "--create-home", "ops"])?;
        machine.write_file("/etc/smtpd.conf", SERVER)?;
        machine.succeed(["systemctl", "start", "opensmtpd.service"])?;
        machine.write_file("/etc/roundsman/herald.d/mail.toml", HERALD)?;
        machine.succeed(["systemctl", "enable", "--now", "roundsman-failure.timer"])?;
        machine.succeed(["systemctl", "enable", "--now", "roundsman-herald.service"])?;
        let check = machine.run(["roundsman", "check"])?;
        ensure!(check.success(), "{check}");

        watch_demo(machine)?;
        fail_demo(machine)?;
        let failed = next_after(machine, 0)?;
        assert_eq!(field(&failed, "X-Roundsman-Kind"), Some("failure.unit"));
        assert_eq!(field(&failed, "X-Roundsman-State"), Some("firing"));
        assert_eq!(field(&failed, "X-Roundsman-Host"), Some("testhost"));
        assert_eq!(field(&failed, "To"), Some("ops@example.org"));
        // The server's own line: it was handed in by SMTP.
        ensure!(failed.contains("\nReceived: from "), "{failed}");
        ensure!(failed.contains("demo.service"), "{failed}");

        mend_demo(machine)?;
        let well = next_after(machine, 1)?;
        assert_eq!(field(&well, "X-Roundsman-State"), Some("resolved"));
        let thread = field(&failed, "References");
        ensure!(thread.is_some(), "{failed}");
        assert_eq!(field(&well, "In-Reply-To"), thread, "{well}");

        // Who is not known there gets nothing, and whoever looks sees why.
        let parked = [format!("MESSAGE_ID={}", id::DELIVERY_PARKED)];
        let parked = machine.wait_for_entry(&[&parked[0]], |entry| {
            entry.get("ROUNDSMAN_ENDPOINT") == Some("typo")
        })?;
        let delivery = parked.get("ROUNDSMAN_DELIVERY").unwrap_or_default();
        let shown = machine.succeed(["roundsman", "deliveries", "show", delivery])?;
        ensure!(shown.contains("550"), "{shown}");
        assert_eq!(mailbox(machine)?.len(), 2);
        Ok(())
    });
}

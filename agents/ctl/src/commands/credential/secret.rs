//! Reading a secret, and sealing it.

use std::io::{self, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use roundsman_kit::secret::Secret;
use roundsman_kit::{Class, Fault};

/// systemd passes on no larger ones (CREDENTIAL_SIZE_MAX).
const LARGEST: u64 = 1024 * 1024;

/// The secret on standard input, or one that is asked for without showing it.
pub fn read(name: &str) -> anyhow::Result<Secret> {
    let bytes = if io::stdin().is_terminal() {
        ask(name)?
    } else {
        let mut bytes = Vec::new();
        let input = io::stdin().lock();
        input
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .context("reading standard input")?;
        bytes
    };
    let refuse = |why: &str| Err(Fault::new(Class::Config, why).into());
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return refuse("the secret is empty; nothing was changed");
    }
    if bytes.len() as u64 > LARGEST {
        return refuse("the secret is larger than 1 MiB, which systemd does not pass on");
    }
    Ok(Secret::new(bytes))
}

/// systemd's own prompt: it hides what is typed and restores the terminal however it ends.
fn ask(name: &str) -> anyhow::Result<Vec<u8>> {
    let prompt = format!("Secret {name}:");
    let asked = Command::new("systemd-ask-password")
        .args(["--timeout=0", "--echo=no", "--emoji=no", &prompt])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .context("systemd-ask-password (or give the secret on standard input)")?;
    if !asked.status.success() {
        return Err(Fault::new(Class::Config, "no secret was given; nothing was changed").into());
    }
    Ok(asked.stdout)
}

/// `secret` as systemd-creds(1) encrypts it for the credential `name` of this host; what it says
/// otherwise, if it cannot.
pub fn encrypt(name: &str, secret: &Secret) -> Result<Vec<u8>, String> {
    let mut child = Command::new("systemd-creds")
        .args(["encrypt", &format!("--name={name}"), "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("systemd-creds: {error}"))?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(secret.expose()),
        None => Ok(()),
    };
    let ended = child
        .wait_with_output()
        .map_err(|error| format!("systemd-creds: {error}"))?;
    if ended.status.success() && written.is_ok() && !ended.stdout.is_empty() {
        return Ok(ended.stdout);
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(format!("systemd-creds: {}", last.unwrap_or("failed")))
}

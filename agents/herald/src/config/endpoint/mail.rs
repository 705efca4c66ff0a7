//! `[endpoints.NAME.mail]`: a mail server instead of a URL.

use lettre::message::Mailbox;
use roundsman_kit::config::Invalid;
use roundsman_kit::secret::CredentialRef;
use serde::{Deserialize, Serialize};

use super::Endpoint;
use crate::format::Format;
use crate::guard::Host;

/// More recipients than this belong on a list of the mail server.
const RECIPIENTS: usize = 50;

/// `mail`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The host of the mail server that takes our mail.
    pub server: String,
    /// Its port; 465 with `tls`, 587 with `starttls`, 25 with `none` unless set.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is secured.
    #[serde(default)]
    pub security: Security,
    /// Who the mail is from.
    pub from: String,
    /// Whom it goes to.
    pub to: Vec<String>,
    /// The user at the mail server.
    #[serde(default)]
    pub user: Option<String>,
    /// The credential with the user's password.
    #[serde(default)]
    pub password: Option<CredentialRef>,
}

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte on.
    #[default]
    Tls,
    /// TLS after STARTTLS; a server that does not offer it gets no mail.
    Starttls,
    /// None, for a relay on this host or in a trusted network.
    None,
}

impl Mail {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        })
    }

    pub(super) fn validate(&self, key: impl Fn(&str) -> String) -> Vec<Invalid> {
        let key = |name: &str| key(&format!("mail.{name}"));
        let mut findings = Vec::new();
        let mut find = |name: &str, reason: String, remedy: &str| {
            findings.push(Invalid::new(key(name), reason, remedy));
        };
        if let Err(bad) = Host::parse(&self.server) {
            find("server", bad.to_string(), "write the host alone");
        }
        if self.port == Some(0) {
            find("port", "is 0".into(), "write 465, 587 or 25");
        }
        if let Err(reason) = mailbox(&self.from) {
            find("from", reason, "write herald@example.org");
        }
        if !(1..=RECIPIENTS).contains(&self.to.len()) {
            let remedy = "name 1 to 50 addresses";
            find("to", format!("has {} addresses", self.to.len()), remedy);
        }
        for to in &self.to {
            if let Err(reason) = mailbox(to) {
                find("to", reason, "write ops@example.org");
            }
        }
        match (&self.user, &self.password) {
            (Some(_), Some(_)) if self.security == Security::None => {
                let remedy = "write security = \"tls\" or \"starttls\"";
                find("password", "would be sent in the clear".into(), remedy);
            }
            (Some(_), Some(_)) | (None, None) => {}
            _ => {
                let remedy = "name both user and password, or neither";
                find("user", "has one half of a pair".into(), remedy);
            }
        }
        findings
    }
}

/// Reads an address, with a name before it or not.
pub fn mailbox(text: &str) -> Result<Mailbox, String> {
    let parsed = text.parse::<Mailbox>();
    let mailbox = parsed.map_err(|error| format!("\"{text}\": {error}"))?;
    // Many servers take no others, which would be known only when a mail is due.
    if !AsRef::<str>::as_ref(&mailbox.email).is_ascii() {
        return Err(format!("\"{text}\": the address is not ASCII"));
    }
    Ok(mailbox)
}

/// What has no meaning for mail.
pub(super) fn unwanted(endpoint: &Endpoint) -> Vec<&'static str> {
    let is_set = [
        ("format", endpoint.format != Format::default()),
        ("secrets", !endpoint.secrets.is_empty()),
        ("signature", endpoint.signature != Default::default()),
        ("bearer", endpoint.bearer.is_some()),
        ("basic", endpoint.basic.is_some()),
        ("headers", !endpoint.headers.is_empty()),
        ("proxy", endpoint.proxy.is_some()),
    ];
    let set = is_set.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name).collect()
}

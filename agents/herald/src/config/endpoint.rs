//! `[endpoints.NAME]`: where deliveries go, and how.

mod mail;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::Uri;
use roundsman_kit::config::Invalid;
use roundsman_kit::quantity::Span;
use roundsman_kit::secret::CredentialRef;
use serde::{Deserialize, Serialize};

pub use mail::{Mail, Security, mailbox};

use super::range;
use crate::format::{Format, Renderer};
use crate::sign::Scheme;

/// A receiver of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// Where to post; empty where `mail` says where to send.
    pub url: String,
    /// A mail server instead of a URL.
    pub mail: Option<Mail>,
    /// What is posted.
    pub format: Format,
    /// The template of format `template` (minijinja).
    pub template: Option<String>,
    /// The media type of format `template`.
    pub content_type: Option<String>,
    /// The topic of format `ntfy`.
    pub topic: Option<String>,
    /// The prefix of `source` in format `beacon`.
    pub source_prefix: Option<String>,
    /// The prefix of `type` in format `beacon`.
    pub type_prefix: Option<String>,
    /// Keys to sign with; while one is replaced by another, both.
    pub secrets: Vec<CredentialRef>,
    /// How to sign: `standard` (Standard Webhooks) or `hub` (X-Hub-Signature-256).
    pub signature: Scheme,
    /// A token for `Authorization: Bearer`.
    pub bearer: Option<CredentialRef>,
    /// A user and password for `Authorization: Basic`.
    pub basic: Option<Basic>,
    /// Further header fields.
    pub headers: BTreeMap<String, String>,
    /// What TLS needs beyond the roots of the system.
    pub tls: Tls,
    /// An HTTP proxy, as `http://proxy.example:3128`.
    pub proxy: Option<String>,
    /// A user and password for the proxy.
    pub proxy_auth: Option<Basic>,
    /// Networks that are refused otherwise and allowed here, as `127.0.0.1/32`.
    pub allow: Vec<String>,
    /// Refuse private networks as well.
    pub public_only: bool,
    /// How long one attempt may take in all; 1s to 5m.
    pub timeout: Span,
    /// How long connecting may take; 1s to 1m.
    pub connect_timeout: Span,
    /// How many requests may be under way at once; 1 to 64.
    pub concurrency: usize,
    /// The pauses between attempts, each with a fifth of jitter.
    pub schedule: Vec<Span>,
    /// What is older is parked; 1m to 365d.
    pub max_age: Span,
    /// How often a delivery is tried that the endpoint calls unusable (400, 413, 415, 422).
    pub tries_if_refused: u32,
    /// The longest pause that the endpoint may ask for; up to 7d.
    pub max_retry_after: Span,
    /// How often it gets a sign of life; 30s to 1d, never unless set.
    pub heartbeat: Option<Span>,
}

/// `basic`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub user: String,
    /// The credential with the password.
    pub password: CredentialRef,
}

/// `tls`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// A file with further roots, in PEM.
    pub ca: Option<PathBuf>,
    /// The credential with our certificate chain, in PEM.
    pub certificate: Option<CredentialRef>,
    /// The credential with its private key, in PEM.
    pub key: Option<CredentialRef>,
}

impl Default for Endpoint {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let pauses = [
            5,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Self {
            url: String::new(),
            mail: None,
            format: Format::Standard,
            template: None,
            content_type: None,
            topic: None,
            source_prefix: None,
            type_prefix: None,
            secrets: Vec::new(),
            signature: Scheme::Standard,
            bearer: None,
            basic: None,
            headers: BTreeMap::new(),
            tls: Tls::default(),
            proxy: None,
            proxy_auth: None,
            allow: Vec::new(),
            public_only: false,
            timeout: Span::secs(15),
            connect_timeout: Span::secs(5),
            concurrency: 4,
            schedule: pauses.map(Span::secs).to_vec(),
            max_age: Span::secs(96 * HOUR),
            tries_if_refused: 3,
            max_retry_after: Span::secs(24 * HOUR),
            heartbeat: None,
        }
    }
}

impl Endpoint {
    pub(super) fn validate(&self, at: &str) -> Vec<Invalid> {
        const DAY: u64 = 24 * 3600;
        let key = |name: &str| format!("{at}.{name}");
        let mut findings = Vec::new();
        findings.extend(self.target(&key));
        if let Some(proxy) = &self.proxy {
            findings.extend(url(&key("proxy"), proxy));
        }
        findings.extend(range(key("timeout"), self.timeout, 1, 300));
        findings.extend(range(key("connect_timeout"), self.connect_timeout, 1, 60));
        findings.extend(range(key("max_age"), self.max_age, 60, 365 * DAY));
        findings.extend(range(
            key("max_retry_after"),
            self.max_retry_after,
            0,
            7 * DAY,
        ));
        if let Some(heartbeat) = self.heartbeat {
            findings.extend(range(key("heartbeat"), heartbeat, 30, DAY));
        }
        if !(1..=64).contains(&self.concurrency) {
            let reason = format!("is {}", self.concurrency);
            findings.push(Invalid::new(key("concurrency"), reason, "write 1 to 64"));
        }
        if self.schedule.is_empty() || self.schedule.iter().any(|pause| pause.0.is_zero()) {
            let reason = "must hold at least one pause, and none of 0s";
            findings.push(Invalid::new(
                key("schedule"),
                reason,
                "write [\"5s\", \"5m\", \"1h\"]",
            ));
        }
        for net in &self.allow {
            if let Err(error) = net.parse::<crate::guard::Net>() {
                let remedy = "write an address, or a network as 10.0.0.0/8";
                findings.push(Invalid::new(
                    key("allow"),
                    format!("\"{net}\": {error}"),
                    remedy,
                ));
            }
        }
        findings.extend(self.contradictions(key));
        findings
    }

    /// A URL or a mail server, and no more than is of use for it.
    fn target(&self, key: &impl Fn(&str) -> String) -> Vec<Invalid> {
        let Some(mail) = &self.mail else {
            return Vec::from_iter(url(&key("url"), &self.url));
        };
        let mut findings = mail.validate(key);
        if !self.url.is_empty() {
            let remedy = "keep one of url and mail";
            findings.push(Invalid::new(key("url"), "contradicts mail", remedy));
        }
        for name in mail::unwanted(self) {
            findings.push(Invalid::new(
                key(name),
                "is of no use for mail",
                "leave it out",
            ));
        }
        findings
    }

    fn contradictions(&self, key: impl Fn(&str) -> String) -> Vec<Invalid> {
        let mut findings = Vec::new();
        if let Err(error) = Renderer::new(self.format, &crate::compose::options(self)) {
            findings.push(Invalid::new(key("format"), error.to_string(), "mend it"));
        }
        if self.bearer.is_some() && self.basic.is_some() {
            let remedy = "keep one of bearer and basic";
            findings.push(Invalid::new(key("bearer"), "contradicts basic", remedy));
        }
        if let Some(auth) = &self.proxy_auth {
            if self.proxy.is_none() {
                let remedy = "name the proxy, or leave it out";
                findings.push(Invalid::new(key("proxy_auth"), "has no proxy", remedy));
            }
            if auth.user.contains(':') {
                let remedy = "use a user without \":\"";
                findings.push(Invalid::new(key("proxy_auth.user"), "has a colon", remedy));
            }
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            let remedy = "name both certificate and key, or neither";
            findings.push(Invalid::new(key("tls"), "has one half of a pair", remedy));
        }
        for (name, value) in &self.headers {
            let is_fine = hyper::header::HeaderName::from_bytes(name.as_bytes()).is_ok()
                && hyper::header::HeaderValue::from_str(value).is_ok();
            if !is_fine {
                let remedy = "use printable ASCII";
                findings.push(Invalid::new(
                    key("headers"),
                    format!("\"{name}\" cannot be sent"),
                    remedy,
                ));
            }
        }
        findings
    }
}

fn url(key: &str, text: &str) -> Option<Invalid> {
    let remedy =
        "write http://HOST/PATH or https://HOST/PATH; user and password have keys of their own";
    let reason = match text.parse::<Uri>() {
        Err(error) => error.to_string(),
        Ok(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) => "is no http URL".into(),
        Ok(uri)
            if uri
                .authority()
                .is_none_or(|host| host.as_str().contains('@')) =>
        {
            "names no host, or a user".into()
        }
        Ok(_) => return None,
    };
    Some(Invalid::new(key, format!("\"{text}\": {reason}"), remedy))
}

//! From a delivery to a request. Address, header fields and secrets are read at each attempt; the
//! body of an attempt that failed is sent again byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::body::Bytes;
use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::secret::{self, CredentialRef, Credentials, Secret};
use roundsman_store::delivery::Body;
use roundsman_store::event::Event;
use uuid::Uuid;

use crate::client::{Client, ProxyAuth, Request, Settings, TlsSettings};
use crate::config::Endpoint;
use crate::format::{Format, Notice, Options, Renderer};
use crate::guard::Guard;
use crate::lane::Candidate;
use crate::mail::{Mailer, Writer};
use crate::plan::Reply;
use crate::sign::{Signer, message_id};
use crate::transport::{Payload, Transport};

/// More than this is no file of certificates.
const CA_BYTES: u64 = 4 << 20;

/// What names us to receivers.
const USER_AGENT: &str = concat!("roundsman-herald/", env!("CARGO_PKG_VERSION"));

/// What is sent: the bytes, and the header fields that belong to its format.
#[derive(Debug, Clone)]
pub struct Content {
    /// The bytes with their media type.
    pub body: Body,
    /// The format's own header fields.
    pub headers: BTreeMap<String, String>,
}

/// Makes the requests of one endpoint.
pub struct Composer {
    name: String,
    host: String,
    settings: Endpoint,
    /// A configuration that cannot be used was refused; this only keeps what it said.
    renderer: Result<Renderer, String>,
    uri: Result<Uri, String>,
    /// Of an endpoint that is a mail server.
    writer: Option<Writer>,
    credentials: Credentials,
}

/// What the formats need of an endpoint's settings.
pub fn options(settings: &Endpoint) -> Options<'_> {
    Options {
        topic: settings.topic.as_deref(),
        template: settings.template.as_deref(),
        content_type: settings.content_type.as_deref(),
        source_prefix: settings.source_prefix.as_deref(),
        type_prefix: settings.type_prefix.as_deref(),
    }
}

impl Composer {
    /// For the endpoint of this name; `host` is what tells.
    pub fn new(name: &str, host: &str, settings: &Endpoint, credentials: &Credentials) -> Self {
        let renderer = Renderer::new(settings.format, &options(settings));
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            writer: settings
                .mail
                .as_ref()
                .map(|mail| Writer::new(mail, credentials)),
            renderer: renderer.map_err(|error| error.to_string()),
            uri: settings
                .url
                .parse()
                .map_err(|error| format!("url: {error}")),
            settings: settings.clone(),
            credentials: credentials.clone(),
        }
    }

    /// What is to be sent of a delivery, frozen or made now.
    ///
    /// # Errors
    /// [`Reply::Unsendable`], as if somebody had answered so.
    pub fn content(&self, candidate: &Candidate) -> Result<Content, Reply> {
        let delivery = &candidate.delivery;
        let event = candidate.event.as_ref();
        let fresh = event.map(|event| self.render(event, &[], &delivery.trigger, &delivery.uid));
        // What was frozen before a URL became a mail server, or the other way, is nothing to send.
        let frozen = delivery.body.as_ref();
        let frozen = frozen.filter(|body| Writer::is_mail(body) == self.writer.is_some());
        match (frozen, fresh) {
            (Some(body), fresh) => Ok(Content {
                body: body.clone(),
                headers: match fresh {
                    Some(Ok(fresh)) => fresh.headers,
                    _ => delivery.headers.clone(),
                },
            }),
            (None, Some(fresh)) => fresh,
            (None, None) => Err(Reply::Unsendable {
                error: "its event is gone".into(),
                by_endpoint: false,
            }),
        }
    }

    /// What tells of `event`, or of `members`, which it leads.
    ///
    /// # Errors
    /// As [`Composer::content`].
    pub fn render(
        &self,
        event: &Event,
        members: &[Event],
        trigger: &str,
        uid: &str,
    ) -> Result<Content, Reply> {
        let notice = Notice {
            event,
            host: &self.host,
            trigger,
            endpoint: &self.name,
            members,
        };
        if let Some(writer) = &self.writer {
            return Ok(Content {
                body: writer.render(&notice, uid)?,
                headers: BTreeMap::new(),
            });
        }
        let renderer = self.renderer.as_ref().map_err(|e| by_endpoint(e.clone()))?;
        let rendered = renderer
            .render(&notice)
            .map_err(|error| Reply::Unsendable {
                error: error.to_string(),
                by_endpoint: false,
            })?;
        Ok(Content {
            body: Body {
                content_type: rendered.content_type,
                bytes: rendered.bytes,
            },
            headers: own(rendered.headers),
        })
    }

    /// What goes out at an attempt at this time.
    ///
    /// # Errors
    /// As [`Composer::content`].
    pub fn seal(&self, uid: &str, content: &Content, now: Timestamp) -> Result<Payload, Reply> {
        if let Some(writer) = &self.writer {
            let mail = writer.seal(&content.body, &self.host)?;
            return Ok(Payload::Mail(Box::new(mail)));
        }
        Ok(Payload::Http(Request {
            uri: self.uri.clone().map_err(by_endpoint)?,
            headers: self.headers(uid, content, now)?,
            body: Bytes::copy_from_slice(&content.body.bytes),
        }))
    }

    /// The header fields, each once: the operator's word goes before the format's, and the
    /// format's before ours. Nothing goes before a signature.
    fn headers(
        &self,
        uid: &str,
        content: &Content,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, Reply> {
        let settings = &self.settings;
        let mut headers = Fields::default();
        headers.set("user-agent", USER_AGENT);
        headers.set("content-type", &content.body.content_type);
        if settings.format == Format::Beacon {
            headers.set("x-request-id", &Uuid::new_v4().to_string());
        }
        for (name, value) in &content.headers {
            headers.set(name, value);
        }
        for (name, value) in &settings.headers {
            headers.set(name, value);
        }
        if let Some(authorization) = self.authorization()? {
            headers.set("authorization", &authorization);
        }
        let id = message_id(uid);
        if settings.secrets.is_empty() {
            headers.set("webhook-id", &id);
        } else {
            let secrets = settings.secrets.iter().map(|named| self.secret(named));
            let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
            let signer = Signer::new(settings.signature, &secrets)
                .map_err(|error| by_endpoint(format!("secrets: {error}")))?;
            let at = now.as_millis().div_euclid(1000);
            for (name, value) in signer.headers(&id, at, &content.body.bytes) {
                headers.set(name, &value);
            }
        }
        Ok(headers.0)
    }

    fn authorization(&self) -> Result<Option<String>, Reply> {
        let text = |secret: Secret| {
            let text = std::str::from_utf8(secret.expose()).map(|text| text.trim().to_owned());
            text.map_err(|_| by_endpoint("a token or password is not text".to_owned()))
        };
        if let Some(named) = &self.settings.bearer {
            let token = text(self.secret(named)?)?;
            return Ok(Some(format!("Bearer {token}")));
        }
        let Some(basic) = &self.settings.basic else {
            return Ok(None);
        };
        let password = text(self.secret(&basic.password)?)?;
        let pair = STANDARD.encode(format!("{}:{password}", basic.user));
        Ok(Some(format!("Basic {pair}")))
    }

    fn secret(&self, named: &CredentialRef) -> Result<Secret, Reply> {
        self.credentials
            .read(named)
            .map_err(|error| by_endpoint(told(&error)))
    }
}

/// Header fields in which the last word counts.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn set(&mut self, name: &str, value: &str) {
        let known = self
            .0
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        match known {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((name.to_ascii_lowercase(), value.to_owned())),
        }
    }
}

fn own(headers: Vec<(&'static str, String)>) -> BTreeMap<String, String> {
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Every delivery of the endpoint would fail alike.
fn by_endpoint(error: String) -> Reply {
    Reply::Unsendable {
        error,
        by_endpoint: true,
    }
}

fn told(error: &secret::Error) -> String {
    format!("{error} ({})", error.remedy("herald"))
}

/// The connections of an endpoint.
///
/// # Errors
/// In a sentence, what cannot be read or used.
pub fn transport(
    settings: &Endpoint,
    paths: &Paths,
    credentials: &Credentials,
) -> Result<Transport, String> {
    let mail = settings.mail.as_ref();
    let read = |named: &Option<CredentialRef>| -> Result<Option<Vec<u8>>, String> {
        let secret = named.as_ref().map(|named| credentials.read(named));
        let secret = secret.transpose().map_err(|error| told(&error))?;
        Ok(secret.map(|secret| secret.expose().to_vec()))
    };
    let ca_pem = match &settings.tls.ca {
        None => None,
        Some(path) => {
            let mut pem = Vec::new();
            let file = fs::File::open(paths.at(path));
            file.and_then(|file| file.take(CA_BYTES).read_to_end(&mut pem))
                .map_err(|error| format!("tls.ca: {}: {error}", path.display()))?;
            Some(pem)
        }
    };
    let tls = TlsSettings {
        ca_pem,
        certificate_pem: read(&settings.tls.certificate)?,
        key_pem: read(&settings.tls.key)?,
    };
    let proxy = settings.proxy.as_deref().map(str::parse::<Uri>);
    let proxy_auth = proxy_auth(settings, credentials)?;
    let settings = Settings {
        guard: guard(settings),
        connect_timeout: settings.connect_timeout.0,
        total_timeout: settings.timeout.0,
        tls: Some(tls),
        proxy: proxy
            .transpose()
            .map_err(|error| format!("proxy: {error}"))?,
        proxy_auth,
        max_idle: settings.concurrency,
    };
    match mail {
        Some(mail) => Mailer::new(&mail.into(), &settings).map(Transport::Mail),
        None => Client::new(&settings)
            .map(Transport::Http)
            .map_err(|error| error.to_string()),
    }
}

fn proxy_auth(settings: &Endpoint, credentials: &Credentials) -> Result<Option<ProxyAuth>, String> {
    let Some(auth) = &settings.proxy_auth else {
        return Ok(None);
    };
    let secret = credentials.read(&auth.password);
    let secret = secret.map_err(|error| told(&error))?;
    let password = std::str::from_utf8(secret.expose());
    let password = password.map_err(|_| "proxy_auth: the password is not text".to_owned())?;
    Ok(Some(ProxyAuth {
        user: auth.user.clone(),
        password: password.trim().to_owned(),
    }))
}

fn guard(settings: &Endpoint) -> Guard {
    // Those that are none were refused with the configuration.
    let allow = settings.allow.iter().filter_map(|net| net.parse().ok());
    Guard {
        allow: allow.collect(),
        public_only: settings.public_only,
    }
}

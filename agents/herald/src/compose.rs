//! From a delivery to a request. Address, header fields and secrets are read at each attempt; the
//! body of an attempt that failed is sent again byte by byte.

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

use crate::client::{Client, Request, Settings, TlsSettings};
use crate::config::Endpoint;
use crate::format::{Notice, Options, Renderer};
use crate::guard::Guard;
use crate::lane::Candidate;
use crate::plan::Reply;
use crate::sign::{Signer, message_id};

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
    pub headers: Vec<(&'static str, String)>,
}

/// Makes the requests of one endpoint.
pub struct Composer {
    name: String,
    settings: Endpoint,
    /// A configuration that cannot be used was refused; this only keeps what it said.
    renderer: Result<Renderer, String>,
    uri: Result<Uri, String>,
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
    /// For the endpoint of this name.
    pub fn new(name: &str, settings: &Endpoint, credentials: &Credentials) -> Self {
        let renderer = Renderer::new(settings.format, &options(settings));
        Self {
            name: name.to_owned(),
            renderer: renderer.map_err(|error| error.to_string()),
            uri: settings
                .url
                .parse()
                .map_err(|error| format!("url: {error}")),
            settings: settings.clone(),
            credentials: credentials.clone(),
        }
    }

    /// What is to be sent, frozen or made now.
    ///
    /// # Errors
    /// [`Reply::Unsendable`], as if somebody had answered so.
    pub fn content(&self, candidate: &Candidate, host: &str) -> Result<Content, Reply> {
        let delivery = &candidate.delivery;
        let rendered = candidate.event.as_ref().map(|event| {
            let renderer = self.renderer.as_ref().map_err(|e| by_endpoint(e.clone()))?;
            let notice = Notice {
                event,
                host,
                trigger: &delivery.trigger,
                endpoint: &self.name,
                members: &[],
            };
            renderer.render(&notice).map_err(|error| Reply::Unsendable {
                error: error.to_string(),
                by_endpoint: false,
            })
        });
        let (body, headers) = match (delivery.body.clone(), rendered) {
            (Some(frozen), Some(Ok(fresh))) => (frozen, fresh.headers),
            (Some(frozen), _) => (frozen, Vec::new()),
            (None, Some(rendered)) => {
                let rendered = rendered?;
                let body = Body {
                    content_type: rendered.content_type,
                    bytes: rendered.bytes,
                };
                (body, rendered.headers)
            }
            (None, None) => {
                return Err(Reply::Unsendable {
                    error: "its event is gone".into(),
                    by_endpoint: false,
                });
            }
        };
        Ok(Content { body, headers })
    }

    /// The request of an attempt at this time.
    ///
    /// # Errors
    /// As [`Composer::content`].
    pub fn seal(&self, uid: &str, content: &Content, now: Timestamp) -> Result<Request, Reply> {
        Ok(Request {
            uri: self.uri.clone().map_err(by_endpoint)?,
            headers: self.headers(uid, content, now)?,
            body: Bytes::copy_from_slice(&content.body.bytes),
        })
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
pub fn client(
    settings: &Endpoint,
    paths: &Paths,
    credentials: &Credentials,
) -> Result<Client, String> {
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
    let settings = Settings {
        guard: guard(settings),
        connect_timeout: settings.connect_timeout.0,
        total_timeout: settings.timeout.0,
        tls: Some(tls),
        proxy: proxy
            .transpose()
            .map_err(|error| format!("proxy: {error}"))?,
        max_idle: settings.concurrency,
    };
    Client::new(&settings).map_err(|error| error.to_string())
}

fn guard(settings: &Endpoint) -> Guard {
    // Those that are none were refused with the configuration.
    let allow = settings.allow.iter().filter_map(|net| net.parse().ok());
    Guard {
        allow: allow.collect(),
        public_only: settings.public_only,
    }
}

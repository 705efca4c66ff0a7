//! From a delivery to a request. Address, header fields and secrets are read at each attempt; the
//! body of an attempt that failed is sent again byte by byte.

use std::borrow::Cow;
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

/// Header fields that belong to a format.
type OfFormat = Vec<(Cow<'static, str>, String)>;

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

    /// The request, and the body to freeze if it fails.
    ///
    /// # Errors
    /// [`Reply::Unsendable`], as if somebody had answered so.
    pub fn compose(
        &self,
        candidate: &Candidate,
        host: &str,
        now: Timestamp,
    ) -> Result<(Request, Body), Reply> {
        let uri = self.uri.clone().map_err(by_endpoint)?;
        let (body, of_format) = self.body(candidate, host)?;
        let mut headers = self.headers(&candidate.delivery.uid, &body, now)?;
        for (name, value) in of_format {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name.into_owned(), value));
        }
        let request = Request {
            uri,
            headers,
            body: Bytes::copy_from_slice(&body.bytes),
        };
        Ok((request, body))
    }

    /// The bytes, frozen or made now, with the header fields that belong to the format.
    fn body(&self, candidate: &Candidate, host: &str) -> Result<(Body, OfFormat), Reply> {
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
        match (delivery.body.clone(), rendered) {
            (Some(frozen), Some(Ok(fresh))) => Ok((frozen, of_format(fresh.headers))),
            (Some(frozen), _) => {
                let kept = delivery.headers.clone().into_iter();
                Ok((
                    frozen,
                    kept.map(|(name, value)| (name.into(), value)).collect(),
                ))
            }
            (None, Some(rendered)) => {
                let rendered = rendered?;
                let body = Body {
                    content_type: rendered.content_type,
                    bytes: rendered.bytes,
                };
                Ok((body, of_format(rendered.headers)))
            }
            (None, None) => Err(Reply::Unsendable {
                error: "its event is gone".into(),
                by_endpoint: false,
            }),
        }
    }

    fn headers(
        &self,
        uid: &str,
        body: &Body,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, Reply> {
        let settings = &self.settings;
        let mut headers = vec![
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
            ("content-type".to_owned(), body.content_type.clone()),
        ];
        let id = message_id(uid);
        if settings.secrets.is_empty() {
            headers.push(("webhook-id".to_owned(), id));
        } else {
            let secrets = settings.secrets.iter().map(|named| self.secret(named));
            let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
            let signer = Signer::new(settings.signature, &secrets)
                .map_err(|error| by_endpoint(format!("secrets: {error}")))?;
            let signed = signer.headers(&id, now.as_millis().div_euclid(1000), &body.bytes);
            headers.extend(
                signed
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        if let Some(authorization) = self.authorization()? {
            headers.push(("authorization".to_owned(), authorization));
        }
        let own = settings.headers.iter();
        headers.extend(own.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        Ok(headers)
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

fn of_format(headers: Vec<(&'static str, String)>) -> OfFormat {
    let headers = headers.into_iter();
    headers.map(|(name, value)| (name.into(), value)).collect()
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

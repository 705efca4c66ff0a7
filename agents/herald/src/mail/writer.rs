//! From a delivery to a mail. The password is read at each attempt; the message of an attempt
//! that failed is sent again byte by byte.

use hyper::body::Bytes;
use roundsman_kit::secret::Credentials;
use roundsman_store::delivery::Body;

use super::{Mail, Server};
use crate::config::{self, mailbox};
use crate::format::mail::{MEDIA_TYPE, Parties, render};
use crate::format::{self, Notice};
use crate::lane::Candidate;
use crate::plan::Reply;

/// Writes the mails of one endpoint.
pub struct Writer {
    endpoint: String,
    settings: config::Mail,
    /// A configuration that cannot be used was refused; this only keeps what it said.
    parties: Result<Parties, String>,
    credentials: Credentials,
}

impl Writer {
    /// For the endpoint of this name.
    pub fn new(endpoint: &str, settings: &config::Mail, credentials: &Credentials) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            settings: settings.clone(),
            parties: parties(settings),
            credentials: credentials.clone(),
        }
    }

    /// The mail, and the body to freeze if it fails.
    ///
    /// # Errors
    /// [`Reply::Unsendable`], as if somebody had answered so.
    pub fn write(&self, candidate: &Candidate, host: &str) -> Result<(Mail, Body), Reply> {
        let parties = self.parties.as_ref().map_err(|e| by_endpoint(e.clone()))?;
        let body = self.body(candidate, host, parties)?;
        let mail = Mail {
            hello: host.to_owned(),
            from: parties.from.email.clone(),
            to: parties.to.iter().map(|to| to.email.clone()).collect(),
            login: self.login()?,
            message: Bytes::copy_from_slice(&body.bytes),
        };
        Ok((mail, body))
    }

    fn body(&self, candidate: &Candidate, host: &str, parties: &Parties) -> Result<Body, Reply> {
        let delivery = &candidate.delivery;
        // One that was frozen for a URL is no mail.
        let frozen = delivery.body.as_ref();
        if let Some(frozen) = frozen.filter(|body| body.content_type == MEDIA_TYPE) {
            return Ok(frozen.clone());
        }
        let event = candidate.event.as_ref();
        let event = event.ok_or_else(|| by_delivery("its event is gone".to_owned()))?;
        let notice = Notice {
            event,
            host,
            trigger: &delivery.trigger,
            endpoint: &self.endpoint,
            members: &[],
        };
        let format::Body {
            content_type,
            bytes,
            ..
        } = render(&notice, &delivery.uid, parties).map_err(by_delivery)?;
        Ok(Body {
            content_type,
            bytes,
        })
    }

    fn login(&self) -> Result<Option<(String, roundsman_kit::secret::Secret)>, Reply> {
        let (Some(user), Some(named)) = (&self.settings.user, &self.settings.password) else {
            return Ok(None);
        };
        let password = self.credentials.read(named);
        let password = password
            .map_err(|error| by_endpoint(format!("{error} ({})", error.remedy("herald"))))?;
        Ok(Some((user.clone(), password)))
    }
}

impl From<&config::Mail> for Server {
    fn from(settings: &config::Mail) -> Self {
        Self {
            host: settings.server.clone(),
            port: settings.port(),
            security: settings.security,
        }
    }
}

fn parties(settings: &config::Mail) -> Result<Parties, String> {
    let to = settings.to.iter().map(|to| mailbox(to));
    Ok(Parties {
        from: mailbox(&settings.from)?,
        to: to.collect::<Result<_, _>>()?,
    })
}

fn by_endpoint(error: String) -> Reply {
    Reply::Unsendable {
        error,
        by_endpoint: true,
    }
}

fn by_delivery(error: String) -> Reply {
    Reply::Unsendable {
        error,
        by_endpoint: false,
    }
}

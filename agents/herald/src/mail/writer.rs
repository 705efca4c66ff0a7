//! From a delivery to a mail. The password is read at each attempt; the message of an attempt
//! that failed is sent again byte by byte.

use hyper::body::Bytes;
use roundsman_kit::secret::Credentials;
use roundsman_store::delivery::Body;

use super::{Mail, Server};
use crate::config::{self, mailbox};
use crate::format::Notice;
use crate::format::mail::{MEDIA_TYPE, Parties, render};
use crate::plan::Reply;

/// Writes the mails of one endpoint.
pub struct Writer {
    settings: config::Mail,
    /// A configuration that cannot be used was refused; this only keeps what it said.
    parties: Result<Parties, String>,
    credentials: Credentials,
}

impl Writer {
    /// For an endpoint with these settings.
    pub fn new(settings: &config::Mail, credentials: &Credentials) -> Self {
        Self {
            settings: settings.clone(),
            parties: parties(settings),
            credentials: credentials.clone(),
        }
    }

    /// The message about a notice.
    ///
    /// # Errors
    /// [`Reply::Unsendable`], as if somebody had answered so.
    pub fn render(&self, notice: &Notice<'_>, uid: &str) -> Result<Body, Reply> {
        let parties = self.parties()?;
        let rendered = render(notice, uid, parties).map_err(|error| Reply::Unsendable {
            error,
            by_endpoint: false,
        })?;
        Ok(Body {
            content_type: rendered.content_type,
            bytes: rendered.bytes,
        })
    }

    /// The mail of an attempt, handed in by `host`.
    ///
    /// # Errors
    /// As [`Writer::render`].
    pub fn seal(&self, message: &Body, host: &str) -> Result<Mail, Reply> {
        let parties = self.parties()?;
        Ok(Mail {
            hello: host.to_owned(),
            from: parties.from.email.clone(),
            to: parties.to.iter().map(|to| to.email.clone()).collect(),
            login: self.login()?,
            message: Bytes::copy_from_slice(&message.bytes),
        })
    }

    /// Whether these bytes, frozen at some time, are a mail.
    pub fn is_mail(body: &Body) -> bool {
        body.content_type == MEDIA_TYPE
    }

    fn parties(&self) -> Result<&Parties, Reply> {
        self.parties.as_ref().map_err(|e| by_endpoint(e.clone()))
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

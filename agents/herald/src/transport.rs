//! What carries deliveries of an endpoint: HTTP or mail.

use crate::client::{Client, Outcome, Request};
use crate::mail::{Mail, Mailer};

/// What goes out.
pub enum Payload {
    /// As a request.
    Http(Request),
    /// As a mail.
    Mail(Box<Mail>),
}

/// What takes it there.
pub enum Transport {
    /// Posts to a URL.
    Http(Client),
    /// Hands in to a mail server.
    Mail(Mailer),
}

impl Transport {
    /// Sends one delivery, and waits for what comes of it; within the endpoint's `timeout`.
    pub async fn send(&self, payload: Payload) -> Outcome {
        match (self, payload) {
            (Self::Http(client), Payload::Http(request)) => client.send(request).await,
            (Self::Mail(mailer), Payload::Mail(mail)) => mailer.send(*mail).await,
            // An endpoint that has changed its kind between the two: the next attempt fits.
            (Self::Http(_), Payload::Mail(_)) | (Self::Mail(_), Payload::Http(_)) => changed(),
        }
    }
}

fn changed() -> Outcome {
    Outcome::Failed {
        fault: crate::client::Fault::Unsound("the endpoint has changed".to_owned()),
        took: std::time::Duration::ZERO,
    }
}

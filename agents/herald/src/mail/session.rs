//! One dialogue: greeting, login, envelope, message. What each refusal means is decided here.

use std::error::Error as _;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use roundsman_kit::secret::Secret;
use tokio::time::timeout;

use super::line::Line;
use super::{Mail, Verdict, quoted};
use crate::client::Fault;

/// How long a good-bye may take. The mail is decided by then.
const GOODBYE: Duration = Duration::from_secs(1);

/// The server shuts down, or has enough of us: never about the mail.
const LEAVING: u16 = 421;

/// The statuses of HTTP that say what a server says about a mail.
mod status {
    /// It has it.
    pub const TAKEN: u16 = 250;
    /// Not now.
    pub const LATER: u16 = 425;
    /// It is too large.
    pub const TOO_LARGE: u16 = 413;
    /// Not this one.
    pub const REFUSED: u16 = 422;
}

/// Hands in `mail` over `line`.
pub async fn hand_in(line: Line, hello: &ClientId, mail: &Mail) -> Result<Verdict, Fault> {
    let connected = AsyncSmtpConnection::connect_with_transport(Box::new(line), hello).await;
    let mut talk = connected.map_err(|error| about_us(&error, "the greeting"))?;
    if let Some((user, password)) = &mail.login {
        log_in(&mut talk, user, password).await?;
    }
    let verdict = transact(&mut talk, mail).await?;
    // Whatever comes of it: a server that has taken the mail has taken it.
    let _ = timeout(GOODBYE, talk.quit()).await;
    Ok(verdict)
}

async fn log_in(
    talk: &mut AsyncSmtpConnection,
    user: &str,
    password: &Secret,
) -> Result<(), Fault> {
    let text = std::str::from_utf8(password.expose());
    let text = text.map_err(|_| Fault::Unsound("the password is not text".to_owned()))?;
    let credentials = Credentials::new(user.to_owned(), text.trim().to_owned());
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if talk.server_info().get_auth_mechanism(&mechanisms).is_none() {
        return Err(Fault::Mail("offers no login by PLAIN or LOGIN".to_owned()));
    }
    let logged_in = talk.auth(&mechanisms, &credentials).await;
    logged_in.map(drop).map_err(|error| match error.status() {
        // Its words could repeat what was said to it.
        Some(code) => Fault::Mail(format!("refuses the user or the password ({code})")),
        None => about_us(&error, "the login"),
    })
}

async fn transact(talk: &mut AsyncSmtpConnection, mail: &Mail) -> Result<Verdict, Fault> {
    let from = MailFrom::new(Some(mail.from.clone()), Vec::new());
    let begun = talk.command(from).await;
    begun.map_err(|error| about_us(&error, "the sender"))?;
    let mut refused = Vec::new();
    for to in &mail.to {
        let asked = talk.command(Rcpt::new(to.clone(), Vec::new())).await;
        let Err(error) = asked else { continue };
        let verdict = about_it(&error, &format!("the recipient {to}"))?;
        // To send it to the others now would be to send it to them again later.
        if verdict.status == status::LATER {
            return Ok(verdict);
        }
        refused.push(verdict);
    }
    if let Some(verdict) = refused.first().filter(|_| refused.len() == mail.to.len()) {
        return Ok(verdict.clone());
    }
    for verdict in &refused {
        log::warn!("others get the mail, one does not: {}", verdict.said);
    }
    if let Err(error) = talk.command(Data).await {
        return about_it(&error, "DATA");
    }
    match talk.message(&mail.message).await {
        Err(error) => about_it(&error, "the message"),
        Ok(response) => Ok(Verdict {
            status: status::TAKEN,
            said: quoted(&format!(
                "{} {}",
                response.code(),
                response.message().collect::<Vec<_>>().join(" ")
            )),
        }),
    }
}

/// A refusal that every mail would meet.
fn about_us(error: &Error, to: &str) -> Fault {
    match error.status() {
        Some(code) => Fault::Mail(format!("answers {code} {} to {to}", words(error))),
        None => broken(error),
    }
}

/// A refusal of this mail, unless the server is leaving.
fn about_it(error: &Error, to: &str) -> Result<Verdict, Fault> {
    let Some(code) = error.status() else {
        return Err(broken(error));
    };
    let status = match u16::from(code) {
        LEAVING => return Err(about_us(error, to)),
        400..=499 => status::LATER,
        552 => status::TOO_LARGE,
        _ => status::REFUSED,
    };
    Ok(Verdict {
        status,
        said: quoted(&format!("{code} {} (to {to})", words(error))),
    })
}

/// There was no answer, or none of SMTP.
fn broken(error: &Error) -> Fault {
    let words = words(error);
    if words == "incomplete response" {
        return Fault::Reset("it was closed in the dialogue".to_owned());
    }
    if error.is_response() {
        return Fault::Mail(format!("does not speak SMTP: {words}"));
    }
    Fault::Reset(words)
}

/// What the server, or the system, said.
fn words(error: &Error) -> String {
    error
        .source()
        .map(|source| quoted(&source.to_string()))
        .unwrap_or_default()
}

//! The few words before TLS. They are read byte by byte: what stands behind the last of them
//! belongs to TLS, so that nobody on the way can slip a word of theirs into the dialogue.

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::quoted;
use crate::client::Fault;

/// The most that a server may say before TLS.
const HEARD: usize = 8 * 1024;

/// An answer: its code and its lines.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// Has the server wait for TLS.
///
/// # Errors
/// It does not, or the connection ends.
pub async fn ask(
    tcp: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hello: &ClientId,
) -> Result<(), Fault> {
    expect(220, "the connection", hear(tcp).await?)?;
    say(tcp, &format!("EHLO {hello}\r\n")).await?;
    let offer = expect(250, "EHLO", hear(tcp).await?)?;
    let mut offered = offer.lines.iter().skip(1);
    if !offered.any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(Fault::Mail("does not offer STARTTLS".to_owned()));
    }
    say(tcp, "STARTTLS\r\n").await?;
    expect(220, "STARTTLS", hear(tcp).await?).map(drop)
}

fn expect(code: u16, to: &str, reply: Reply) -> Result<Reply, Fault> {
    if reply.code == code {
        return Ok(reply);
    }
    let said = quoted(&reply.lines.join(" "));
    Err(Fault::Mail(format!(
        "answers {} {said} to {to}",
        reply.code
    )))
}

async fn say(tcp: &mut (impl AsyncWrite + Unpin), command: &str) -> Result<(), Fault> {
    let said = tcp.write_all(command.as_bytes()).await;
    said.map_err(|error| Fault::Reset(error.to_string()))
}

async fn hear(tcp: &mut (impl AsyncRead + Unpin)) -> Result<Reply, Fault> {
    let mut lines = Vec::new();
    let mut room = HEARD;
    loop {
        let line = line(tcp, &mut room).await?;
        let (code, rest) = split(&line).ok_or_else(not_smtp)?;
        let is_last = !rest.starts_with('-');
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if is_last {
            return Ok(Reply { code, lines });
        }
    }
}

fn split(line: &str) -> Option<(u16, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let sound = code.bytes().all(|byte| byte.is_ascii_digit())
        && (rest.is_empty() || rest.starts_with([' ', '-']));
    sound.then(|| Some((code.parse().ok()?, rest)))?
}

async fn line(tcp: &mut (impl AsyncRead + Unpin), room: &mut usize) -> Result<String, Fault> {
    let mut line = Vec::new();
    loop {
        let byte = tcp.read_u8().await;
        match byte.map_err(|error| Fault::Reset(error.to_string()))? {
            b'\n' => break,
            byte => line.push(byte),
        }
        *room = room.checked_sub(1).ok_or_else(not_smtp)?;
    }
    let line = String::from_utf8(line).map_err(|_| not_smtp())?;
    Ok(line.trim_end_matches('\r').to_owned())
}

fn not_smtp() -> Fault {
    Fault::Mail("does not speak SMTP".to_owned())
}

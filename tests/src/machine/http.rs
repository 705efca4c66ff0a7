//! Connections into a machine's private network, and just enough HTTP to read a page.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::LinkNameSpaceType;

use super::Machine;
use crate::PATIENCE;

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body as sent: a content coding is not undone.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A machine's network, in which sockets can be opened; outlives the machine harmlessly.
pub struct Network(File);

impl Network {
    /// Connects to a port of the machine's loopback.
    pub fn connect(&self, port: u16) -> Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.inside(|| TcpStream::connect_timeout(&address, PATIENCE))
            .with_context(|| format!("connecting to {address} in the machine"))
    }

    /// Listens on a free port of the machine's loopback.
    pub fn listen(&self) -> Result<TcpListener> {
        self.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("listening in the machine")
    }

    /// Makes a socket in the machine's network. The namespace belongs to the thread: one of its
    /// own enters it and ends; the socket stays in the network it was made in.
    fn inside<T: Send>(&self, make: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        let enter = || {
            let network = std::os::fd::AsFd::as_fd(&self.0);
            let kind = Some(LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(network, kind)
                .context("entering the machine's network")?;
            Ok(make()?)
        };
        std::thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| anyhow!("the thread in the machine's network panicked"))?
    }
}

impl Machine {
    /// The machine's network.
    pub fn network(&self) -> Result<Network> {
        let path = format!("/proc/{}/ns/net", self.leader);
        Ok(Network(File::open(&path).context(path)?))
    }

    /// Gets a page from a port of the machine's loopback, on a connection of its own.
    pub fn get(&self, port: u16, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let stream = self.network()?.connect(port)?;
        get(stream, path, headers).with_context(|| format!("GET {path} on port {port}"))
    }
}

/// Gets a page over an open connection.
pub fn get(mut stream: TcpStream, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    read_answer(BufReader::new(stream))
}

fn read_answer(mut source: impl BufRead) -> Result<Answer> {
    let mut line = String::new();
    source.read_line(&mut line)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("no HTTP status line: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        source.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = read_chunks(&mut source)?;
        return Ok(answer);
    }
    let length = answer
        .header("content-length")
        .map(str::parse)
        .transpose()?;
    source.read_to_end(&mut answer.body)?;
    ensure!(
        length.is_none_or(|length: usize| length == answer.body.len()),
        "{} bytes came of the {length:?} that were announced",
        answer.body.len()
    );
    Ok(answer)
}

fn read_chunks(source: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        source.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
            .with_context(|| format!("chunk size {line:?}"))?;
        if size == 0 {
            return Ok(body);
        }
        let read = source.by_ref().take(size).read_to_end(&mut body)?;
        ensure!(read as u64 == size, "a chunk ends early");
        line.clear();
        source.read_line(&mut line)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_give_the_body() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello";
        let answer = read_answer(plain.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.header("x-y"), Some("z"));
        let chunked =
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let answer = read_answer(chunked.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (503, "abcde"));
    }

    #[test]
    fn a_short_body_is_an_error() {
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
        assert!(read_answer(short.as_bytes()).is_err());
        assert!(read_answer(&b"nonsense\r\n\r\n"[..]).is_err());
    }
}

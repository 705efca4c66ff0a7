//! Receivers that behave as a test wants.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One accepted connection; `number` counts from 0.
pub struct Conn {
    pub number: usize,
    pub io: Box<dyn Io>,
    rest: Vec<u8>,
}

impl Conn {
    pub fn new(number: usize, io: Box<dyn Io>) -> Self {
        let rest = Vec::new();
        Self { number, io, rest }
    }

    /// The next head with its blank line; `None` once the client has ended the connection.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.rest.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            let read = self.io.read_buf(&mut self.rest).await;
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next request: its head and its body.
    pub async fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head().await?;
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap_or("0").parse().unwrap();
        while self.rest.len() < length {
            let read = self.io.read_buf(&mut self.rest).await;
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
        Some((head, self.rest.drain(..length).collect()))
    }

    /// Whether the bytes could still be said.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let said = self.io.write_all(bytes.as_ref()).await;
        said.is_ok() && self.io.flush().await.is_ok()
    }

    /// Returns when the client has ended the connection.
    pub async fn ended(&mut self) {
        let mut part = [0; 4096];
        while let Ok(1..) = self.io.read(&mut part).await {}
    }

    /// Answers every request in the same way.
    pub async fn answer_all(&mut self, answer: &str) {
        while self.request().await.is_some() {
            self.say(answer).await;
        }
    }
}

pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::tcp(move |number, tcp| {
            let script = Arc::clone(&script);
            async move { script(Conn::new(number, Box::new(tcp))).await }
        })
        .await
    }

    /// As `start`, in TLS; a failed handshake ends the connection.
    pub async fn tls<F, Fut>(acceptor: TlsAcceptor, script: F) -> Self
    where
        F: Fn(Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::tcp(move |number, tcp| {
            let script = Arc::clone(&script);
            let acceptor = acceptor.clone();
            async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                script(Conn::new(number, Box::new(tls))).await;
            }
        })
        .await
    }

    async fn tcp<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(number, tcp));
            }
        });
        Self { address, accepted }
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}/path-of-a-secret", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

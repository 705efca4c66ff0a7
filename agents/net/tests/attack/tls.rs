//! TLS: what is not a handshake, and a certificate that changes while it is served.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use roundsman_net::{Limits, Refusal, Tls, TlsError};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use crate::support::{BIG, PATIENCE, Pages, SHORT, Served, get, hasty, limits, serve_with};

/// A self-signed certificate for `localhost`, with its key.
struct Identity {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Identity {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

impl Identity {
    fn tls(&self) -> Tls {
        Tls::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A client that trusts only this certificate and has asked for `path`.
    fn asks(
        &self,
        served: &Served,
        path: &str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(session, served.client().0);
        let request = get(path).replace("Host", "Connection: close\r\nHost");
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    fn ask(&self, served: &Served, path: &str) -> std::io::Result<String> {
        let mut reply = String::new();
        self.asks(served, path)?.read_to_string(&mut reply)?;
        Ok(reply)
    }

    fn is_served(&self, served: &Served) {
        let reply = self.ask(served, "/ok").unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with("\r\n\r\nok\n"), "{reply}");
    }
}

#[test]
fn garbage_plain_text_and_silence_end_and_the_next_handshake_succeeds() {
    let ours = identity();
    let served = serve_with(hasty(), Some(ours.tls()), Pages::default());
    ours.is_served(&served);

    let mut garbage = vec![0x16, 3, 1, 0xff, 0xff];
    garbage.extend([0xa5; 70_000]);
    for bytes in [get("/ok").into_bytes(), garbage, vec![0; 4096]] {
        let mut client = served.client();
        // The server may have seen enough before the last byte.
        let _ = client.push(&bytes);
        client.until_closed();
        ours.is_served(&served);
    }
    let start = std::time::Instant::now();
    let mut silent = served.client();
    let mut half = served.client().send([0x16, 3, 1, 2, 0, 1]);
    silent.until_closed();
    half.until_closed();
    assert!(start.elapsed() < SHORT * 8);
    let stats = served.stats_when(|stats| stats.refused(Refusal::Handshake) >= 5);
    assert_eq!(stats.refused(Refusal::Handshake), 5);
    ours.is_served(&served);
}

#[test]
fn handshakes_that_hang_give_way_like_other_half_open_connections() {
    let ours = identity();
    let served = serve_with(limits(), Some(ours.tls()), Pages::default());
    let _flood: Vec<_> = (0..150).map(|_| served.client().send([0x16])).collect();
    ours.is_served(&served);
    assert!(served.server.stats().refused(Refusal::Evicted) >= 80);
}

#[test]
fn a_replaced_certificate_is_the_one_of_the_next_handshake() {
    let (old, new) = (identity(), identity());
    let tls = old.tls();
    let served = serve_with(limits(), Some(tls.clone()), Pages::default());
    old.is_served(&served);
    tls.replace(new.chain.as_bytes(), new.key.as_bytes())
        .unwrap();
    new.is_served(&served);
    assert!(
        old.ask(&served, "/ok").is_err(),
        "the old one is still served"
    );

    // A pair that does not go together changes nothing.
    let mixed = tls.replace(old.chain.as_bytes(), new.key.as_bytes());
    assert!(matches!(mixed, Err(TlsError::Pair(_))));
    new.is_served(&served);
}

#[test]
fn what_is_no_certificate_is_told_apart() {
    let ours = identity();
    let with = |chain: &str, key: &str| Tls::from_pem(chain.as_bytes(), key.as_bytes()).err();
    assert!(matches!(with("", &ours.key), Some(TlsError::NoCertificate)));
    assert!(matches!(with(&ours.chain, ""), Some(TlsError::Key(_))));
    let cut = &ours.chain[..200];
    assert!(matches!(with(cut, &ours.key), Some(TlsError::Chain(_))));
    assert!(matches!(
        with(&ours.chain, &identity().key),
        Some(TlsError::Pair(_))
    ));
}

#[test]
fn a_large_page_comes_whole_and_who_does_not_read_it_is_reset() {
    let ours = identity();
    let in_time = Limits {
        write: PATIENCE,
        ..limits()
    };
    let served = serve_with(in_time, Some(ours.tls()), Pages::default());
    let page = ours.ask(&served, "/big").unwrap();
    assert!(page.len() > BIG && page.ends_with('x'));

    let served = serve_with(limits(), Some(ours.tls()), Pages::default());
    let deaf = ours.asks(&served, "/big").unwrap();
    served.stats_when(|stats| stats.refused(Refusal::WriteLate) == 1);
    drop(deaf);
    ours.is_served(&served);
}

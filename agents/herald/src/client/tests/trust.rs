//! Certificates of receivers and of ours.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::*;

pub type Authority = CertifiedIssuer<'static, KeyPair>;

pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let name = name.to_owned();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

struct Issued {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

fn issue(by: &Authority, name: &str, year: i32) -> Issued {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Issued {
        chain: vec![certificate.der().clone()],
        pem: certificate.pem(),
        key,
    }
}

/// A receiver with a certificate for `name`, which wants one of `clients` from its clients.
fn acceptor(by: &Authority, name: &str, year: i32, clients: Option<&Authority>) -> TlsAcceptor {
    let issued = issue(by, name, year);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(issued.chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

pub async fn receiver(by: &Authority, name: &str, year: i32) -> Server {
    let acceptor = acceptor(by, name, year, None);
    Server::tls(
        acceptor,
        |mut conn| async move { conn.answer_all(OK).await },
    )
    .await
}

pub fn trusting(authority: &Authority) -> Settings {
    Settings {
        tls: Some(TlsSettings {
            ca_pem: Some(authority.pem().into_bytes()),
            ..TlsSettings::default()
        }),
        ..settings()
    }
}

async fn get(settings: &Settings, host: &str, server: &Server) -> Outcome {
    let url = format!("https://{host}:{}/", server.port());
    Client::new(settings).unwrap().send(post(&url)).await
}

async fn refused(settings: &Settings, host: &str, server: &Server) -> String {
    match fault(get(settings, host, server).await) {
        Fault::Tls(reason) => reason,
        fault => panic!("{fault}"),
    }
}

#[tokio::test]
async fn a_receiver_is_trusted_by_its_authority_its_name_and_its_time() {
    let ours = authority("ours");
    let theirs = authority("theirs");
    let server = receiver(&ours, "localhost", 4000).await;
    let settings = trusting(&ours);
    for host in ["localhost", "LocalHost"] {
        assert_eq!(status(get(&settings, host, &server).await), 200, "{host}");
    }
    let reason = refused(&settings, "127.0.0.1", &server).await;
    assert!(reason.contains("not valid for name"), "{reason}");
    let reason = refused(&trusting(&theirs), "localhost", &server).await;
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    let reason = refused(&super::settings(), "localhost", &server).await;
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    let old = receiver(&ours, "localhost", 2020).await;
    let reason = refused(&settings, "localhost", &old).await;
    assert!(reason.contains("expired"), "{reason}");
    let address = receiver(&ours, "127.0.0.1", 4000).await;
    for host in ["127.0.0.1", "0x7f.1"] {
        assert_eq!(status(get(&settings, host, &address).await), 200, "{host}");
    }
}

#[tokio::test]
async fn connections_in_tls_are_used_again() {
    let ours = authority("ours");
    let server = receiver(&ours, "localhost", 4000).await;
    let client = Client::new(&trusting(&ours)).unwrap();
    let url = format!("https://localhost:{}/", server.port());
    for _ in 0..3 {
        assert_eq!(status(client.send(post(&url)).await), 200);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_new_connection_in_tls_that_is_lost_is_not_asked_again() {
    let ours = authority("ours");
    let acceptor = acceptor(&ours, "localhost", 4000, None);
    let server = Server::tls(acceptor, |mut conn| async move {
        conn.request().await.unwrap();
    })
    .await;
    let lost = fault(get(&trusting(&ours), "localhost", &server).await);
    assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_receiver_may_want_our_certificate() {
    let ours = authority("ours");
    let theirs = authority("theirs");
    let acceptor = acceptor(&ours, "localhost", 4000, Some(&theirs));
    let server = Server::tls(
        acceptor,
        |mut conn| async move { conn.answer_all(OK).await },
    )
    .await;
    let with = |by| {
        let issued = issue(by, "herald", 4000);
        Settings {
            tls: Some(TlsSettings {
                ca_pem: Some(ours.pem().into_bytes()),
                certificate_pem: Some(issued.pem.into_bytes()),
                key_pem: Some(issued.key.serialize_pem().into_bytes()),
            }),
            ..settings()
        }
    };
    assert_eq!(status(get(&with(&theirs), "localhost", &server).await), 200);
    refused(&with(&ours), "localhost", &server).await;
    refused(&trusting(&ours), "localhost", &server).await;
}

#[tokio::test]
async fn a_receiver_without_tls_is_said() {
    let server = Server::start(|mut conn| async move {
        conn.say("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        conn.ended().await;
    })
    .await;
    refused(&settings(), "localhost", &server).await;
}

#[test]
fn unusable_settings_are_said() {
    let ours = authority("ours");
    let issued = issue(&ours, "herald", 4000);
    let other = issue(&ours, "herald", 4000);
    let said = |ca: Option<&str>, certificate: Option<&str>, key: Option<&str>| {
        let bytes = |pem: Option<&str>| pem.map(|pem| pem.as_bytes().to_vec());
        let settings = Settings {
            tls: Some(TlsSettings {
                ca_pem: bytes(ca),
                certificate_pem: bytes(certificate),
                key_pem: bytes(key),
            }),
            ..settings()
        };
        Client::new(&settings).err()
    };
    let key = issued.key.serialize_pem();
    let wrong = other.key.serialize_pem();
    let certificate = &*issued.pem;
    assert!(said(None, Some(certificate), Some(&key)).is_none());
    assert!(matches!(
        said(Some("no"), None, None),
        Some(SettingsError::Ca(_))
    ));
    let found = said(None, Some("no"), Some(&key));
    assert!(matches!(found, Some(SettingsError::Certificate(_))));
    let found = said(None, Some(certificate), Some("no"));
    assert!(matches!(found, Some(SettingsError::Key(_))));
    let found = said(None, Some(certificate), None);
    assert!(matches!(found, Some(SettingsError::Half)));
    let found = said(None, Some(certificate), Some(&wrong));
    assert!(matches!(found, Some(SettingsError::Pair(_))));
}

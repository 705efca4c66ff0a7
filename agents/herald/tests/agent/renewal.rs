//! Certificates that are put in place, or replaced, while herald runs.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use roundsman_tests::PATIENCE;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio_rustls::rustls;

use crate::receiver::read;
use crate::support::{World, trigger};

type Authority = CertifiedIssuer<'static, KeyPair>;

const OFTEN: &str = "schedule = ['1s', '1s', '1s', '1s', '1s', '1s', '1s', '1s']\n";

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
fn issue(by: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, by).unwrap(), key)
}

/// A receiver that speaks TLS, and the ids that it got.
struct Receiver {
    address: SocketAddr,
    got: mpsc::Receiver<String>,
}

impl Receiver {
    /// Its certificate is of `by`; it wants one of `clients`.
    fn new(by: &Authority, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.der().clone()).unwrap();
                let judge = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(judge.build().unwrap())
            }
        };
        let (certificate, key) = issue(by, "localhost");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, got) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, sender) = (Arc::clone(&config), sender.clone());
                // Clients that are refused end as they like.
                std::thread::spawn(move || drop(serve(stream, config, &sender)));
            }
        });
        Self { address, got }
    }

    fn endpoint(&self, tls: &str) -> String {
        let port = self.address.port();
        format!(
            "[endpoints.ops]\nurl = 'https://localhost:{port}/in'\n{OFTEN}\
             allow = ['127.0.0.1/32', '::1/128']\ntls = {tls}\n"
        )
    }

    #[track_caller]
    fn wait_for(&self, id: &str) {
        while self.got.recv_timeout(PATIENCE).unwrap() != id {}
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    got: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some((headers, _)) = read(&mut stream)? {
        stream.get_mut().write_all(b"HTTP/1.1 204 Taken\r\n\r\n")?;
        let _ = got.send(headers["webhook-id"].clone());
    }
    Ok(())
}

#[track_caller]
fn wait_failed(world: &World, uid: &str) {
    world.wait("failed attempt", |world| {
        world
            .delivery(uid)
            .is_some_and(|one| one.last_error.is_some())
    });
}

#[test]
fn an_authority_that_is_put_in_place_later_is_trusted_without_a_reload() {
    let ours = authority("ours");
    let ops = Receiver::new(&ours, None);
    let tls = "{ ca = '/etc/ssl/own.pem' }";
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint(tls)));
    let herald = world.start();
    world.publish("one", None);
    wait_failed(&world, "one");
    let error = world.delivery("one").unwrap().last_error.unwrap();
    assert!(error.contains("/etc/ssl/own.pem"), "{error}");
    world.root.write("/etc/ssl/own.pem", ours.pem());
    ops.wait_for("one");
    world.wait_done("one");
    herald.stop();
}

#[test]
fn a_rotated_certificate_counts_without_a_reload() {
    let (ours, former, current) = (authority("ours"), authority("former"), authority("current"));
    let ops = Receiver::new(&ours, Some(&current));
    let tls = "{ ca = '/etc/ssl/own.pem', certificate = { credential = 'certificate' }, \
               key = { credential = 'key' } }";
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint(tls)));
    world.root.write("/etc/ssl/own.pem", ours.pem());
    let (certificate, key) = issue(&former, "herald");
    let herald = world.start_with(|command| {
        let command = command.credential("certificate", certificate.pem());
        command.credential("key", key.serialize_pem())
    });
    world.publish("one", None);
    wait_failed(&world, "one");
    let (certificate, key) = issue(&current, "herald");
    world
        .root
        .write("/credentials/certificate", certificate.pem());
    world.root.write("/credentials/key", key.serialize_pem());
    ops.wait_for("one");
    world.wait_done("one");
    herald.stop();
}

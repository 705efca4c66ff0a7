//! How it is served: paths, methods, token, TLS, sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use roundsman_tests::PATIENCE;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use crate::support::{Exporter, registry, reply, request, sound_root, start, start_with};

#[test]
fn the_site_has_three_pages_for_readers() {
    let exporter = start(sound_root(""));
    let landing = exporter.get("/", "");
    assert_eq!(
        landing.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(landing.text().contains("href=\"/metrics\""));
    assert_eq!(exporter.get("/healthz", "").text(), "ok\n");
    assert_eq!(exporter.get("/nothing", "").status, 404);
    assert_eq!(exporter.get("/metrics/", "").status, 404);
    let refused = exporter.ask("POST", "/metrics", "Content-Length: 0\r\n");
    assert_eq!(refused.status, 405);
    assert_eq!(refused.field("allow"), Some("GET, HEAD"));

    let head = exporter.ask("HEAD", "/metrics", "");
    assert_eq!(head.status, 200);
    assert!(
        head.field("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 10_000
    );
    exporter.stop();
}

#[test]
fn a_kept_connection_serves_scrape_after_scrape() {
    let exporter = start(sound_root(""));
    let mut client = exporter.client();
    for _ in 0..5 {
        client
            .write_all(request("GET", "/metrics", "").as_bytes())
            .unwrap();
        assert_eq!(reply(&mut client, "GET").status, 200);
    }
    drop(client);
    let page = exporter.page();
    assert_eq!(
        page.expect("roundsman_exporter_http_connections_total"),
        2.0
    );
    exporter.stop();
}

#[test]
fn a_crowd_that_asks_at_once_is_served_with_few_scrapes() {
    let exporter = start(sound_root("[registries]\ndeadline = '1m'"));
    let (asked, came) = channel();
    let is_first = AtomicBool::new(true);
    registry(&exporter.root, "slow", move |stream| {
        // The first is held by the test until all have asked; later ones end at once.
        if is_first.swap(false, Ordering::Relaxed) {
            asked.send(stream).unwrap();
        }
    });
    let ask = || {
        let mut client = exporter.client();
        client
            .write_all(request("GET", "/metrics", "").as_bytes())
            .unwrap();
        client
    };
    let mut crowd = vec![ask()];
    let first: UnixStream = came.recv_timeout(PATIENCE).unwrap();
    crowd.extend((0..25).map(|_| ask()));
    drop(first);
    for client in &mut crowd {
        assert_eq!(reply(client, "GET").status, 200);
    }
    let scrapes = exporter.page().expect("roundsman_exporter_scrapes_total");
    assert!(scrapes < 15.0, "{scrapes} for 26 clients");
    exporter.stop();
}

#[test]
fn a_token_opens_the_page_and_nothing_else_does() {
    let root = sound_root("token = { credential = 'scrape' }");
    let exporter = start_with(root, |command| command.credential("scrape", "s3cret\n"));
    let refused = exporter.get("/metrics", "");
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .field("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    for wrong in ["Bearer wrong", "Basic s3cret", "Bearer s3cret2"] {
        let refused = exporter.get("/metrics", &format!("Authorization: {wrong}\r\n"));
        assert_eq!(refused.status, 401, "{wrong}");
    }
    let page = exporter.get("/metrics", "Authorization: Bearer s3cret\r\n");
    assert_eq!(page.status, 200);
    assert_eq!(exporter.get("/healthz", "").status, 200);
    let (_, output) = exporter.stop();
    assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
}

struct Identity {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }

    /// A client that trusts only this certificate.
    fn client(&self, exporter: &Exporter) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(session, exporter.client())
    }
}

const TLS: &str = "[tls]\ncertificate = { credential = 'chain' }\nkey = { credential = 'key' }";

#[test]
fn tls_is_spoken_and_a_new_certificate_takes_a_reload() {
    let (first, second) = (Identity::new(), Identity::new());
    let exporter = start_with(sound_root(TLS), |command| {
        command
            .credential("chain", &first.chain)
            .credential("key", &first.key)
    });
    let scrape = |identity: &Identity| {
        let mut client = identity.client(&exporter);
        client.write_all(request("GET", "/metrics", "").as_bytes())?;
        let mut byte = [0];
        client.read_exact(&mut byte).map(|()| byte[0])
    };
    assert_eq!(scrape(&first).unwrap(), b'H');
    assert!(scrape(&second).is_err());
    let mut plain = exporter.client();
    plain
        .write_all(request("GET", "/metrics", "").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as an alert.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    exporter.root.write("/credentials/chain", &second.chain);
    exporter.root.write("/credentials/key", &second.key);
    exporter
        .process
        .signal(rustix::process::Signal::HUP)
        .unwrap();
    exporter
        .manager
        .wait_for("the reload", |n| n.is("RELOADING", "1"));
    exporter.manager.wait_ready();
    assert_eq!(scrape(&second).unwrap(), b'H');
    assert!(scrape(&first).is_err());
    exporter.stop();
}

#[test]
fn without_a_passed_socket_it_binds_its_own() {
    let root = sound_root("listen = ['127.0.0.1:0', '/run/roundsman/scrape.sock']");
    let manager = root.manager();
    let process = root.agent("exporter").manager(&manager).spawn();
    let ready = manager.wait_ready();
    let status = ready.get("STATUS").unwrap();
    assert!(status.contains("/run/roundsman/scrape.sock"), "{status}");
    let mut client = UnixStream::connect(root.at("/run/roundsman/scrape.sock")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
        .write_all(request("GET", "/metrics", "").as_bytes())
        .unwrap();
    assert_eq!(reply(&mut client, "GET").status, 200);
    process.stop(PATIENCE).expect_code(0);
}

#[test]
fn a_place_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let root = sound_root(&format!("listen = ['{address}']"));
    let output = root.agent("exporter").run().expect_code(75);
    let wanted = format!("listening on {address}: Address already in use");
    assert!(output.stderr.contains(&wanted), "{}", output.stderr);
}

#[test]
fn it_pings_the_watchdog_and_stops_with_a_scrape_under_way() {
    let root = sound_root("[registries]\ndeadline = '1m'");
    let (asked, came) = channel();
    let watched = start_with(root, |command| command.watchdog(Duration::from_millis(200)));
    watched
        .manager
        .wait_for("a ping", |n| n.is("WATCHDOG", "1"));
    registry(&watched.root, "hangs", move |stream| {
        let _ = asked.send(stream);
    });
    let mut client = watched.client();
    client
        .write_all(request("GET", "/metrics", "").as_bytes())
        .unwrap();
    // Held, so that the scrape goes on.
    let _question = came.recv_timeout(PATIENCE).unwrap();
    watched
        .manager
        .wait_for("a ping meanwhile", |n| n.is("WATCHDOG", "1"));
    watched.stop();
}

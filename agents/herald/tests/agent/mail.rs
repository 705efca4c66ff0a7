//! Mail, by a mail server that others have written.

use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::State;
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_tests::{PATIENCE, Process, Root, skipped};

use crate::support::{World, trigger};

const PASSWORD: &str = "correct-horse-battery";

/// A mail server in a tree of its own.
struct MailServer {
    root: Root,
    port: u16,
    _process: Process,
}

/// `None`, and a line among the skipped, where aiosmtpd is not installed.
fn server(test: &str, security: &str, login: bool) -> Option<MailServer> {
    const PYTHON: &str = "/usr/bin/python3";
    let found = Command::new(PYTHON)
        .args(["-c", "import aiosmtpd"])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        skipped::test(test, "python3-aiosmtpd is not installed");
        return None;
    }
    let root = Root::new();
    root.write("/mail_server.py", include_str!("mail_server.py"));
    root.write("/mails/.keep", "");
    let is_secure = security != "none";
    if is_secure {
        certify(&root);
    }
    let at = |path: &str| root.at(path).display().to_string();
    let want = serde_json::json!({
        "dir": at("/mails"),
        "port": 0,
        "security": security,
        "cert": is_secure.then(|| at("/cert.pem")),
        "key": is_secure.then(|| at("/key.pem")),
        "login": login.then_some(["herald", PASSWORD]),
    });
    let mut command = Command::new(PYTHON);
    command
        .arg(root.at("/mail_server.py"))
        .arg(want.to_string());
    let process = Process::spawn(&mut command, None).unwrap();
    process.wait_for_stderr("port ", PATIENCE);
    let stderr = process.stderr();
    let port = stderr.split("port ").nth(1).unwrap();
    let port = port.lines().next().unwrap();
    Some(MailServer {
        port: port.parse().unwrap(),
        root,
        _process: process,
    })
}

/// An authority and a certificate of it for `localhost`.
fn certify(root: &Root) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    root.write("/ca.pem", authority.pem());
    root.write("/cert.pem", certificate.pem());
    root.write("/key.pem", key.serialize_pem());
}

/// A mail as it came: what the server knows of it, and its lines.
struct Arrived {
    envelope: serde_json::Value,
    text: String,
}

impl Arrived {
    /// A field of its head, unfolded.
    fn field(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        let head = head.replace("\r\n ", " ");
        let mut lines = head.lines();
        let prefix = format!("{name}: ");
        lines.find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
    }
}

impl MailServer {
    fn arrived(&self) -> Vec<Arrived> {
        let files = std::fs::read_dir(self.root.at("/mails")).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "mail"));
        paths.sort();
        let read = paths.iter().map(|path| {
            let whole = std::fs::read_to_string(path).unwrap();
            let (envelope, text) = whole.split_once('\n').unwrap();
            Arrived {
                envelope: serde_json::from_str(envelope).unwrap(),
                text: text.to_owned(),
            }
        });
        read.collect()
    }

    fn endpoint(&self, security: &str, to: &[&str], more: &str) -> String {
        let port = self.port;
        let ca = match security {
            "none" => "",
            _ => "[endpoints.ops.tls]\nca = '/ca.pem'\n",
        };
        format!(
            "[endpoints.ops]\nallow = ['127.0.0.1/32']\ntries_if_refused = 1\nschedule = ['5m', '1h']\n\
             {ca}[endpoints.ops.mail]\nserver = 'localhost'\nport = {port}\nsecurity = '{security}'\n\
             from = 'Herald <herald@example.org>'\nto = {to:?}\n{more}\n"
        )
    }
}

impl MailServer {
    /// The authority is where the endpoint of `world` looks for it.
    fn trusted_by(&self, world: &World) {
        world.root.write("/ca.pem", self.root.read("/ca.pem"));
    }
}

const LOGIN: &str = "user = 'herald'\npassword = { credential = 'mail' }";

fn alert(world: &World, uid: &str, event: NewEvent) {
    let event = event.uid(uid).subject("/home").order_key("disk");
    let mut store = world.store();
    store.publish(|tx| event::insert(tx, &event)).unwrap();
}

#[test]
fn an_alert_and_its_end_arrive_as_one_thread() {
    const TEST: &str = "an_alert_and_its_end_arrive_as_one_thread";
    for security in ["tls", "starttls"] {
        let Some(server) = server(TEST, security, true) else {
            return;
        };
        let to = ["Ops <ops@example.org>", "boss@example.org"];
        let toml = trigger("all", &["ops"]) + &server.endpoint(security, &to, LOGIN);
        let world = World::with_clock(&toml);
        server.trusted_by(&world);
        let herald = world.start_with(|command| command.credential("mail", PASSWORD));
        let firing = NewEvent::firing(world.now(), "test", "test.disk", "disk:7");
        let firing = firing.severity(Severity::Warning);
        alert(
            &world,
            "one",
            firing.message("größer\r\nBcc: evil@example.org"),
        );
        let end = Timestamp(world.now().0 + 60_000);
        let resolved = NewEvent::resolved(end, "test", "test.disk", "disk:7");
        alert(&world, "two", resolved.message("it is well again"));
        world.wait_done("two");
        let output = herald.stop();
        assert!(!output.to_string().contains(PASSWORD), "{output}");
        let [first, second] = server.arrived().try_into().ok().unwrap();
        assert_eq!(first.envelope["from"], "herald@example.org");
        let to = serde_json::json!(["ops@example.org", "boss@example.org"]);
        assert_eq!(first.envelope["to"], to);
        assert_eq!(first.envelope["tls"], true);
        assert_eq!(first.field("Message-ID").unwrap(), "<one@example.org>");
        assert_eq!(
            first.field("Date").unwrap(),
            "Fri, 20 Nov 2026 18:00:00 +0000"
        );
        assert_eq!(first.field("Auto-Submitted").unwrap(), "auto-generated");
        assert_eq!(first.field("X-Roundsman-Kind").unwrap(), "test.disk");
        assert_eq!(first.field("X-Roundsman-Severity").unwrap(), "warning");
        assert!(first.field("X-Roundsman-Host").is_some());
        // The line break of the message made no field of its own.
        assert_eq!(first.field("Bcc"), None);
        assert!(first.field("Subject").unwrap().contains("=?utf-8?b?"));
        assert!(first.text.is_ascii());
        let thread = first.field("References").unwrap();
        assert_eq!(second.field("References").as_ref(), Some(&thread));
        assert_eq!(second.field("In-Reply-To"), Some(thread));
        assert!(second.text.contains("it is well again"));
    }
}

#[test]
fn a_recipient_that_is_refused_parks_the_mail() {
    let Some(server) = server("a_recipient_that_is_refused_parks_the_mail", "none", false) else {
        return;
    };
    let toml = server.endpoint("none", &["nobody@example.org"], "");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &toml));
    let herald = world.start();
    world.publish("one", None);
    world.wait("parked mail", |world| {
        world
            .delivery("one")
            .is_some_and(|one| one.state == State::Parked)
    });
    let parked = world.delivery("one").unwrap();
    let answer = parked.last_answer.unwrap();
    assert!(answer.contains("550 5.1.1 no such user"), "{answer}");
    assert!(world.endpoint("ops").unwrap().opened_at.is_none());
    herald.stop();
    assert!(server.arrived().is_empty());
}

#[test]
fn a_mail_that_was_put_off_arrives_later_with_the_same_id() {
    const TEST: &str = "a_mail_that_was_put_off_arrives_later_with_the_same_id";
    let Some(server) = server(TEST, "none", false) else {
        return;
    };
    let toml = server.endpoint("none", &["grey@example.org"], "");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &toml));
    let herald = world.start();
    world.publish("one", None);
    world.wait("first attempt", |world| {
        world.delivery("one").is_some_and(|one| one.attempts == 1)
    });
    assert_eq!(world.delivery("one").unwrap().last_status, Some(425));
    server.root.write("/mails/known", "");
    world.advance(Duration::from_secs(600));
    world.wait_done("one");
    herald.stop();
    let [mail] = server.arrived().try_into().ok().unwrap();
    assert_eq!(mail.field("Message-ID").unwrap(), "<one@example.org>");
}

#[test]
fn a_wrong_password_is_the_endpoints_fault_and_is_not_told() {
    const TEST: &str = "a_wrong_password_is_the_endpoints_fault_and_is_not_told";
    let Some(server) = server(TEST, "tls", true) else {
        return;
    };
    let toml = server.endpoint("tls", &["ops@example.org"], LOGIN);
    let world = World::with_clock(&(trigger("all", &["ops"]) + &toml));
    server.trusted_by(&world);
    let herald = world.start_with(|command| command.credential("mail", "mistaken-words"));
    world.publish("one", None);
    world.wait("the fault", |world| {
        world
            .endpoint("ops")
            .is_some_and(|ops| ops.last_error.is_some())
    });
    let error = world.endpoint("ops").unwrap().last_error.unwrap();
    assert_eq!(
        error,
        "the mail server refuses the user or the password (535)"
    );
    let output = herald.stop();
    assert!(!output.to_string().contains("mistaken-words"), "{output}");
    assert!(server.arrived().is_empty());
}

//! Servers that close, stall, talk without end, or are not to be dialled.

use super::*;

#[tokio::test]
async fn a_server_that_closes_midway_is_told() {
    let scripts: [Script; 4] = [
        |_| "",
        |said| if said == "connected" { "220 he" } else { "" },
        |said| {
            if said.starts_with("MAIL") {
                ""
            } else {
                kind(said)
            }
        },
        |said| {
            if said.starts_with("Subject") {
                ""
            } else {
                kind(said)
            }
        },
    ];
    for script in scripts {
        let lost = fault(send(script, mail()).await);
        assert!(matches!(lost, Fault::Reset(_)), "{lost}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_is_left() {
    let scripts: [Script; 3] = [
        |_| "…",
        |said| {
            if said.starts_with("RCPT") {
                "…"
            } else {
                kind(said)
            }
        },
        |said| {
            if said.starts_with("Subject") {
                "…"
            } else {
                kind(said)
            }
        },
    ];
    let hurried = Settings {
        total_timeout: SHORT,
        ..settings()
    };
    for security in [Security::None, Security::Starttls] {
        let (port, _told) = server(scripts[0]).await;
        let outcome = mailer(port, security, &hurried).send(mail()).await;
        assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    }
    for script in &scripts[1..] {
        let (port, _told) = server(*script).await;
        let outcome = mailer(port, Security::None, &hurried).send(mail()).await;
        assert_eq!(fault(outcome), Fault::Timeout(Stage::Answer));
    }
    // What was taken is taken, although the server never says good-bye.
    let silent: Script = |said| if said == "QUIT" { "…" } else { kind(said) };
    assert_eq!(verdict(send(silent, mail()).await).0, 250);
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_left() {
    for security in [Security::None, Security::Starttls] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let talker = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut told = 0;
            while tcp.write_all(&[b'x'; 10_000]).await.is_ok() {
                told += 10_000;
            }
            told
        });
        let outcome = mailer(port, security, &settings()).send(mail()).await;
        fault(outcome);
        // What the buffers of the system hold was said in vain.
        assert!(talker.await.unwrap() < 100_000_000);
    }
}

#[tokio::test]
async fn starttls_is_not_optional_and_nothing_passes_with_it() {
    let (port, mut told) = server(kind).await;
    let outcome = mailer(port, Security::Starttls, &settings())
        .send(with_login())
        .await;
    assert_eq!(said(outcome), "the mail server does not offer STARTTLS");
    assert_eq!(told.recv().await.unwrap(), "EHLO web1\r\n");
    // No password in the clear, and no mail: the connection has ended, so no more will come.
    assert!(told.try_recv().is_err());
    let injected: Script = |said| match said {
        "EHLO web1" => "250-here\r\n250 STARTTLS\r\n",
        "STARTTLS" => "220 go\r\n250 injected\r\n",
        said => kind(said),
    };
    let (port, _told) = server(injected).await;
    let outcome = mailer(port, Security::Starttls, &settings())
        .send(mail())
        .await;
    assert!(matches!(fault(outcome), Fault::Tls(_)));
}

#[tokio::test]
async fn the_guard_judges_mail_servers_too() {
    let (port, mut told) = server(kind).await;
    let guarded = Settings {
        guard: Guard::default(),
        ..settings()
    };
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let server = Server {
            host: host.to_owned(),
            port,
            security: Security::None,
        };
        let outcome = Mailer::new(&server, &guarded).unwrap().send(mail()).await;
        assert!(matches!(fault(outcome), Fault::Refused(_)), "{host}");
    }
    assert!(told.try_recv().is_err());
}

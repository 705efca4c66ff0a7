//! Servers that refuse, stall, close midway or talk nonsense; real ones are met in the tests of
//! the agent.

mod hostile;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::guard::Guard;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const PASSWORD: &str = "correct-horse";

fn settings() -> Settings {
    Settings {
        guard: Guard {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            public_only: false,
        },
        connect_timeout: LONG,
        total_timeout: LONG,
        tls: None,
        proxy: None,
        proxy_auth: None,
        max_idle: 0,
    }
}

fn mailer(port: u16, security: Security, settings: &Settings) -> Mailer {
    let host = "127.0.0.1".to_owned();
    let server = Server {
        host,
        port,
        security,
    };
    Mailer::new(&server, settings).unwrap()
}

fn mail() -> Mail {
    Mail {
        hello: "web1".to_owned(),
        from: "herald@example.org".parse().unwrap(),
        to: vec![
            "one@example.org".parse().unwrap(),
            "two@example.org".parse().unwrap(),
        ],
        login: None,
        message: Bytes::from_static(b"Subject: x\r\n\r\nfirst\r\n.\r\n.hidden\r\n"),
    }
}

fn with_login() -> Mail {
    let login = Some(("me".to_owned(), Secret::new(PASSWORD)));
    Mail { login, ..mail() }
}

/// Answers each line that comes; after `DATA` the lines of the message are one.
type Script = fn(&str) -> &'static str;

/// A server whose words are those of `script`; nothing, and half a line, end the connection; `…` waits for ever.
/// What comes is told.
async fn server(script: Script) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, script, tell.clone()));
        }
    });
    (port, told)
}

async fn serve(tcp: tokio::net::TcpStream, script: Script, tell: mpsc::UnboundedSender<String>) {
    let mut io = BufReader::new(tcp);
    let mut said = "connected".to_owned();
    loop {
        match script(&said) {
            "" => return,
            "…" => {
                let _ = io.read_to_end(&mut Vec::new()).await;
                return;
            }
            answer => {
                let wrote = io.write_all(answer.as_bytes()).await;
                if wrote.is_err() || !answer.ends_with('\n') {
                    return;
                }
            }
        }
        let is_message = said == "DATA";
        said.clear();
        while io.read_line(&mut said).await.is_ok_and(|read| read > 0) {
            if !is_message || said.ends_with("\r\n.\r\n") {
                break;
            }
        }
        if said.is_empty() {
            return;
        }
        let _ = tell.send(said.clone());
        said = said.trim_end().to_owned();
    }
}

/// A server that takes everything.
fn kind(said: &str) -> &'static str {
    match said.split([' ', ':']).next().unwrap() {
        "connected" => "220 here\r\n",
        "EHLO" => "250-here\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
        "AUTH" => "235 welcome\r\n",
        "DATA" => "354 go on\r\n",
        "QUIT" => "221 bye\r\n",
        _ => "250 2.0.0 fine\r\n",
    }
}

async fn send(script: Script, mail: Mail) -> Outcome {
    let (port, _told) = server(script).await;
    mailer(port, Security::None, &settings()).send(mail).await
}

fn verdict(outcome: Outcome) -> (u16, String) {
    match outcome {
        Outcome::Answered { status, head, .. } => (status, String::from_utf8(head).unwrap()),
        Outcome::Failed { fault, .. } => panic!("{fault}"),
    }
}

fn fault(outcome: Outcome) -> Fault {
    let Outcome::Failed { fault, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let told = format!("{fault} {fault:?}");
    assert!(
        !told.contains(PASSWORD) && !told.contains("AG1lAGNvcnJlY3Q"),
        "{told}"
    );
    fault
}

fn said(outcome: Outcome) -> String {
    fault(outcome).to_string()
}

#[tokio::test]
async fn a_mail_is_handed_in_whole() {
    let (port, mut told) = server(kind).await;
    let outcome = mailer(port, Security::None, &settings()).send(mail()).await;
    assert_eq!(verdict(outcome), (250, "250 2.0.0 fine".to_owned()));
    for expected in [
        "EHLO web1\r\n",
        "MAIL FROM:<herald@example.org>\r\n",
        "RCPT TO:<one@example.org>\r\n",
        "RCPT TO:<two@example.org>\r\n",
        "DATA\r\n",
        // Lines that begin with a dot are no end.
        "Subject: x\r\n\r\nfirst\r\n..\r\n..hidden\r\n\r\n.\r\n",
        "QUIT\r\n",
    ] {
        assert_eq!(told.recv().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn what_is_said_of_the_mail_is_its_own_fault() {
    let is = |script: Script| async move { verdict(send(script, mail()).await) };
    let (status, said) = is(|said| match said {
        "RCPT TO:<two@example.org>" => "450 4.7.1 greylisted\r\n",
        "DATA" => panic!("one would get it twice"),
        said => kind(said),
    })
    .await;
    assert_eq!(status, 425);
    assert_eq!(
        said,
        "450 4.7.1 greylisted (to the recipient two@example.org)"
    );
    let (status, said) = is(|said| match said {
        said if said.starts_with("RCPT") => "550-5.1.1 no\r\n550 such user\r\n",
        said => kind(said),
    })
    .await;
    assert_eq!(status, 422);
    assert!(said.starts_with("550 5.1.1 no"), "{said}");
    // One of two gets it.
    let (status, _) = is(|said| match said {
        "RCPT TO:<one@example.org>" => "550 no such user\r\n",
        said => kind(said),
    })
    .await;
    assert_eq!(status, 250);
    for (answer, expected) in [
        ("552 too large\r\n" as &'static str, 413),
        ("554 spam\r\n", 422),
        ("452 full\r\n", 425),
    ] {
        let script: Script = match answer {
            "552 too large\r\n" => |said| match said {
                said if said.starts_with("Subject") => "552 too large\r\n",
                said => kind(said),
            },
            "554 spam\r\n" => |said| match said {
                said if said.starts_with("Subject") => "554 spam\r\n",
                said => kind(said),
            },
            _ => |said| match said {
                said if said.starts_with("DATA") => "452 full\r\n",
                said => kind(said),
            },
        };
        assert_eq!(is(script).await.0, expected, "{answer}");
    }
}

#[tokio::test]
async fn what_every_mail_would_meet_is_the_endpoints_fault() {
    let cases: [(Script, &str); 8] = [
        (
            |_| "554 not from there\r\n",
            "answers 554 not from there to the greeting",
        ),
        (|_| "421 busy\r\n", "answers 421 busy to the greeting"),
        (
            |said| match said {
                said if said.starts_with("MAIL") => "451 later\r\n",
                said => kind(said),
            },
            "answers 451 later to the sender",
        ),
        (
            |said| match said {
                said if said.starts_with("MAIL") => "553 not you\r\n",
                said => kind(said),
            },
            "answers 553 not you to the sender",
        ),
        (
            |said| match said {
                said if said.starts_with("RCPT") => "421 leaving\r\n",
                said => kind(said),
            },
            "answers 421 leaving to the recipient one@example.org",
        ),
        (
            |said| match said {
                said if said.starts_with("Subject") => "421 leaving\r\n",
                said => kind(said),
            },
            "answers 421 leaving to the message",
        ),
        (|_| "HTTP/1.1 400 Bad Request\r\n", "does not speak SMTP"),
        (
            |_| "220 here\r\n250 no lines\r\n250\u{0} \r\n",
            "does not speak SMTP",
        ),
    ];
    for (script, expected) in cases {
        let said = said(send(script, mail()).await);
        assert!(said.contains(expected), "{said}, not {expected}");
    }
}

#[tokio::test]
async fn a_login_that_fails_is_told_without_the_servers_words() {
    let refuses: Script = |said| match said {
        said if said.starts_with("AUTH") => "535 no: AG1lAGNvcnJlY3QtaG9yc2U=\r\n",
        said => kind(said),
    };
    assert_eq!(
        said(send(refuses, with_login()).await),
        "the mail server refuses the user or the password (535)"
    );
    let offers_none: Script = |said| match said {
        "EHLO web1" => "250 here\r\n",
        said => kind(said),
    };
    assert_eq!(
        said(send(offers_none, with_login()).await),
        "the mail server offers no login by PLAIN or LOGIN"
    );
    let (port, mut told) = server(kind).await;
    let outcome = mailer(port, Security::None, &settings())
        .send(with_login())
        .await;
    assert_eq!(verdict(outcome).0, 250);
    told.recv().await.unwrap();
    assert_eq!(
        told.recv().await.unwrap(),
        "AUTH PLAIN AG1lAGNvcnJlY3QtaG9yc2U=\r\n"
    );
}

//! The way through a proxy.

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;
use crate::guard::Class;

/// A proxy that lets everything through, and tells what it was asked.
async fn proxy() -> (Server, mpsc::UnboundedReceiver<String>) {
    let (tell, asked) = mpsc::unbounded_channel();
    let server = Server::start(move |mut conn| {
        let tell = tell.clone();
        async move {
            let head = conn.head().await.unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            tell.send(head).unwrap();
            let mut there = TcpStream::connect(target).await.unwrap();
            conn.say("HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n")
                .await;
            let _ = copy_bidirectional(&mut conn.io, &mut there).await;
        }
    })
    .await;
    (server, asked)
}

fn through(proxy: &Server) -> Settings {
    Settings {
        proxy: Some(format!("http://{}", proxy.address).parse().unwrap()),
        ..settings()
    }
}

#[tokio::test]
async fn http_and_https_go_through_a_tunnel() {
    let (proxy, mut asked) = proxy().await;
    let server = Server::start(|mut conn| async move { conn.answer_all(OK).await }).await;
    let client = Client::new(&through(&proxy)).unwrap();
    for host in ["127.0.0.1", "0x7f.1"] {
        for _ in 0..2 {
            let url = format!("http://{host}:{}/x", server.port());
            assert_eq!(status(client.send(post(&url)).await), 200);
        }
        let target = server.address;
        let expected = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        assert_eq!(asked.recv().await.unwrap(), expected);
    }
    // One tunnel for each spelling, and each is used twice.
    assert_eq!((proxy.accepted(), server.accepted()), (2, 2));

    let ours = trust::authority("ours");
    let server = trust::receiver(&ours, "127.0.0.1", 4000).await;
    let settings = Settings {
        proxy: through(&proxy).proxy,
        ..trust::trusting(&ours)
    };
    let url = format!("https://{}/", server.address);
    let outcome = Client::new(&settings).unwrap().send(post(&url)).await;
    assert_eq!(status(outcome), 200);
}

#[tokio::test]
async fn names_are_left_to_the_proxy_and_addresses_are_not() {
    let proxy = Server::start(|mut conn| async move {
        let head = conn.head().await.unwrap();
        assert!(
            head.starts_with("CONNECT receiver.example:443 HTTP/1.1\r\n"),
            "{head}"
        );
        conn.say("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            .await;
        conn.ended().await;
    })
    .await;
    let settings = Settings {
        guard: Guard {
            allow: vec!["127.0.0.1/32".parse().unwrap()],
            public_only: false,
        },
        ..through(&proxy)
    };
    let client = Client::new(&settings).unwrap();
    let lost = fault(client.send(post("https://receiver.example/secret")).await);
    assert_eq!(lost, Fault::Proxy(ProxyFault::Status(403)));
    assert_eq!(proxy.accepted(), 1);
    for url in [
        "https://[::1]/",
        "http://169.254.169.254/",
        "http://0xa9fea9fe/",
    ] {
        let lost = fault(client.send(post(url)).await);
        assert!(matches!(lost, Fault::Refused(_)), "{url}: {lost}");
    }
    assert_eq!(proxy.accepted(), 1);
    // The way to the proxy is guarded too, and `localhost` means nobody else's host.
    for allow in [vec![], vec!["127.0.0.2/32".parse().unwrap()]] {
        let settings = Settings {
            guard: Guard {
                allow,
                public_only: false,
            },
            ..through(&proxy)
        };
        let client = Client::new(&settings).unwrap();
        for url in [
            "https://receiver.example/",
            "http://localhost/",
            "http://a.localhost./",
        ] {
            let Fault::Refused(refused) = fault(client.send(post(url)).await) else {
                panic!("{url}");
            };
            assert_eq!(refused.class, Class::Loopback);
        }
    }
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_proxy_that_does_not_help_is_said() {
    let is = |answer: &'static str| async move {
        let proxy = Server::start(move |mut conn| async move {
            conn.head().await.unwrap();
            conn.say(answer).await;
        })
        .await;
        let client = Client::new(&through(&proxy)).unwrap();
        match fault(client.send(post("http://receiver.example/")).await) {
            Fault::Proxy(fault) => fault,
            fault => panic!("{fault}"),
        }
    };
    let found = is("HTTP/1.1 407 Who are you\r\n\r\n").await;
    assert_eq!(found, ProxyFault::Status(407));
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nmore",
        Box::leak("x".repeat(9000).into_boxed_str()),
    ] {
        assert_eq!(is(answer).await, ProxyFault::Malformed, "{answer:.40}");
    }
    assert!(matches!(
        is("HTTP/1.1 200 OK\r\n").await,
        ProxyFault::Closed(_)
    ));
}

#[tokio::test]
async fn a_silent_proxy_is_left() {
    let proxy = Server::start(|mut conn| async move { conn.ended().await }).await;
    let settings = Settings {
        connect_timeout: SHORT,
        ..through(&proxy)
    };
    let client = Client::new(&settings).unwrap();
    let lost = fault(client.send(post("http://receiver.example/")).await);
    assert_eq!(lost, Fault::Timeout(Stage::Proxy));
}

#[test]
fn unusable_proxies_are_said() {
    for (url, said) in [
        ("https://proxy:1/", "its URL does not begin with http://"),
        ("socks5://proxy:1", "its URL does not begin with http://"),
        (
            "http://me:secret@proxy:1",
            "its URL holds a user, which belongs into proxy_auth",
        ),
        (
            "http://1.2.3.4.5:1",
            "\"1.2.3.4.5\" is neither the name of a host nor an IP address",
        ),
    ] {
        let settings = Settings {
            proxy: Some(url.parse().unwrap()),
            ..settings()
        };
        let error = Client::new(&settings).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("the proxy is not usable: {said}")
        );
    }
}

/// A proxy that wants to know who asks.
async fn wary() -> Server {
    Server::start(|mut conn| async move {
        let head = conn.head().await.unwrap();
        // `me:secret` in base64.
        if head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n") {
            conn.say("HTTP/1.1 200 OK\r\n\r\n").await;
            let inner = conn.request().await.unwrap().0;
            assert!(
                !inner.to_lowercase().contains("proxy-authorization"),
                "{inner}"
            );
            conn.say(OK).await;
        } else {
            conn.say("HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n")
                .await;
        }
    })
    .await
}

#[tokio::test]
async fn a_proxy_is_told_who_asks_and_the_receiver_is_not() {
    let proxy = wary().await;
    let with = |password: Option<&str>| {
        let proxy_auth = password.map(|password| ProxyAuth {
            user: "me".to_owned(),
            password: password.to_owned(),
        });
        let settings = Settings {
            proxy_auth,
            ..through(&proxy)
        };
        Client::new(&settings).unwrap()
    };
    let url = "http://receiver.example/";
    assert_eq!(status(with(Some("secret")).send(post(url)).await), 200);
    for wrong in [None, Some("secret2")] {
        let lost = fault(with(wrong).send(post(url)).await);
        assert_eq!(lost, Fault::Proxy(ProxyFault::Status(407)));
    }
}

use super::*;

fn class(guard: &Guard, address: &str) -> Option<Class> {
    guard
        .check(address.parse().unwrap())
        .err()
        .map(|it| it.class)
}

fn allowing(nets: &[&str]) -> Guard {
    Guard {
        allow: nets.iter().map(|net| net.parse().unwrap()).collect(),
        public_only: false,
    }
}

/// Addresses at the edges of every class, and in what IPv6 wraps around them.
const REFUSED: &[(Class, &[&str])] = &[
    (
        Class::Loopback,
        &[
            "127.0.0.1",
            "127.255.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:7f00:1:1::9",
            // Teredo with a public server and 127.0.0.1 as its client, and the other way round.
            "2001:0:808:808::80ff:fffe",
            "2001:0:7f00:1::f7f7:f7f7",
        ],
    ),
    (
        Class::Unspecified,
        &[
            "0.0.0.0",
            "0.255.255.255",
            "::",
            "::2",
            "::ffff:0.0.0.0",
            "64:ff9b::",
        ],
    ),
    (
        Class::LinkLocal,
        &[
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ],
    ),
    (
        Class::Metadata,
        &[
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "::ffff:168.63.129.16",
        ],
    ),
    (
        Class::Multicast,
        &[
            "224.0.0.1",
            "239.255.255.255",
            "ff02::1",
            "::ffff:224.0.0.1",
        ],
    ),
    (
        Class::Broadcast,
        &["255.255.255.255", "::ffff:255.255.255.255"],
    ),
    (Class::SiteLocal, &["fec0::1", "feff::1"]),
    (
        Class::Hidden,
        &["64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::7f00:1"],
    ),
    (
        Class::NotRoutable,
        &[
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "240.0.0.1",
            "255.255.255.254",
            "2001:db8::1",
            "2001:2::1",
            "2001:10::1",
            "2001:2f::1",
            "3fff:fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "64:ff9b:2::1",
            "2002:c000:201::1",
        ],
    ),
];

const PRIVATE: &[&str] = &[
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "fc00::1",
    "fdff::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:c0a8:101::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:4860::8888",
    "2001:3::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
    "2001:0:808:808::f7f7:f7f7",
];

#[test]
fn every_class_is_refused_in_every_wrapping() {
    let all = Guard {
        allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
        public_only: true,
    };
    let public_only = Guard {
        public_only: true,
        ..Guard::default()
    };
    for (expected, addresses) in REFUSED {
        for address in *addresses {
            let found = class(&Guard::default(), address);
            assert_eq!(found, Some(*expected), "{address}");
            assert!(class(&public_only, address).is_some(), "{address}");
            assert_eq!(class(&all, address), None, "{address}");
        }
    }
    for address in PRIVATE {
        assert_eq!(class(&Guard::default(), address), None, "{address}");
        let found = class(&public_only, address);
        assert_eq!(found, Some(Class::Private), "{address}");
        assert_eq!(class(&all, address), None, "{address}");
    }
    for address in PUBLIC {
        assert_eq!(class(&public_only, address), None, "{address}");
    }
}

#[test]
fn what_is_allowed_is_allowed_alone() {
    let guard = allowing(&["127.0.0.1/32", "fe80::/64"]);
    assert_eq!(class(&guard, "127.0.0.1"), None);
    assert_eq!(class(&guard, "::ffff:127.0.0.1"), None);
    assert_eq!(class(&guard, "127.0.0.2"), Some(Class::Loopback));
    assert_eq!(class(&guard, "::1"), Some(Class::Loopback));
    assert_eq!(class(&guard, "fe80::9"), None);
    assert_eq!(class(&guard, "fe80:0:0:1::9"), Some(Class::LinkLocal));
    let six = allowing(&["::/0"]);
    assert_eq!(class(&six, "127.0.0.1"), Some(Class::Loopback));
}

#[test]
fn a_refusal_names_the_class() {
    let refused = Guard::default().check("::ffff:127.0.0.1".parse().unwrap());
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the address ::ffff:127.0.0.1 is this host itself, which is not dialled unless `allow` \
         names it"
    );
}

#[test]
fn networks_are_read_strictly() {
    for (text, shown) in [
        ("127.0.0.1", "127.0.0.1/32"),
        ("::1", "::1/128"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("fd00::/8", "fd00::/8"),
    ] {
        assert_eq!(text.parse::<Net>().unwrap().to_string(), shown);
    }
    for (text, fault) in [
        ("localhost", "\"localhost\" is not an IP address"),
        ("", "\"\" is not an IP address"),
        ("0177.0.0.1/32", "\"0177.0.0.1\" is not an IP address"),
        ("10.0.0.0/33", "\"33\" is not a prefix length from 0 to 32"),
        ("10.0.0.0/+8", "\"+8\" is not a prefix length from 0 to 32"),
        ("10.0.0.0/", "\"\" is not a prefix length from 0 to 32"),
        ("::/129", "\"129\" is not a prefix length from 0 to 128"),
        (
            "10.1.0.0/8",
            "10.1.0.0/8 has bits behind its prefix; the network is 10.0.0.0/8",
        ),
        (
            "fe80::1/10",
            "fe80::1/10 has bits behind its prefix; the network is fe80::/10",
        ),
    ] {
        assert_eq!(text.parse::<Net>().unwrap_err().to_string(), fault);
    }
}

#[test]
fn an_address_is_known_in_every_spelling() {
    for text in [
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F.1",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.0x0.0x.1",
        "00000177.0.0.01",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
    ] {
        let Host::Address(address) = Host::parse(text).unwrap() else {
            panic!("{text} is taken for a name");
        };
        let found = class(&Guard::default(), &address.to_string());
        assert_eq!(found, Some(Class::Loopback), "{text}");
    }
    let public = Host::Address("1.1.1.1".parse().unwrap());
    assert_eq!(Host::parse("1.1.257"), Ok(public));
}

#[test]
fn names_are_names_and_nothing_else() {
    for text in ["localhost", "LOCALHOST", "localhost.", "a.b.localhost"] {
        assert!(Host::parse(text).unwrap().is_localhost(), "{text}");
    }
    for text in ["example.com", "EXAMPLE.com.", "1.example", "a_b", "0xyz.de"] {
        let host = Host::parse(text).unwrap();
        assert!(matches!(host, Host::Name(_)) && !host.is_localhost());
    }
    for text in [
        "",
        ".",
        "a..b",
        "example.com..",
        "256.1.1.1",
        "1.2.3.4.5",
        "4294967296",
        "127.0x1g",
        "089",
        "1.2.3.09",
        "a.1",
        "a.0x7f",
        "[::1",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "%31.example",
        "a b",
        "1\u{ff12}7.0.0.1",
    ] {
        assert!(Host::parse(text).is_err(), "{text}");
    }
    assert!(Host::parse(&"a.".repeat(200)).is_err());
}

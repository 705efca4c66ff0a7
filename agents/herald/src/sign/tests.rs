use super::*;
use ring::signature::{ED25519, UnparsedPublicKey};

const V1: (&str, i64, &[u8]) = (
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    b"{\"test\": 2432232314}",
);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PRIVATE_KEY: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dR\
                           qSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC_KEY: &str = "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const KEY_SIGNATURE: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ\
                             dpXwVLPo3mNl8EM+m7TBAg==";

fn standard(secrets: &[&str]) -> Result<Signer, SecretError> {
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
    Signer::new(Scheme::Standard, &secrets)
}

fn signature(secrets: &[&str], (id, at, body): (&str, i64, &[u8])) -> String {
    let headers = standard(secrets).unwrap().headers(id, at, body);
    assert_eq!(headers[0], ("webhook-id", id.to_owned()));
    assert_eq!(headers[1], ("webhook-timestamp", at.to_string()));
    assert_eq!(headers[2].0, "webhook-signature");
    headers[2].1.clone()
}

fn fault(secret: &str) -> SecretFault {
    match standard(&[secret]) {
        Err(SecretError::Unfit { number: 1, fault }) => fault,
        other => panic!("{other:?}"),
    }
}

fn encoded(length: usize) -> String {
    STANDARD.encode(vec![7; length])
}

#[test]
fn the_vectors_of_the_standard_come_out() {
    assert_eq!(signature(&[SECRET], V1), SIGNATURE);
    let v2 = (
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        b"{\"email\":\"test@example.com\",\"username\":\"test_user\"}".as_slice(),
    );
    let expected = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    assert_eq!(signature(&[OTHER], v2), expected);
    assert_eq!(signature(&[PRIVATE_KEY], V1), KEY_SIGNATURE);
}

#[test]
fn every_active_secret_signs_in_the_order_of_the_configuration() {
    let signed = signature(&[OTHER, SECRET, PRIVATE_KEY], V1);
    let signatures: Vec<&str> = signed.split(' ').collect();
    assert_eq!(signatures[1..], [SIGNATURE, KEY_SIGNATURE]);
    assert!(signatures[0].starts_with("v1,") && signatures[0] != SIGNATURE);
}

#[test]
fn an_ed25519_signature_is_verified_by_the_public_key_and_a_seed_alone_makes_the_same() {
    let public = STANDARD.decode(PUBLIC_KEY).unwrap();
    let signed = STANDARD.decode(&KEY_SIGNATURE[4..]).unwrap();
    let text = format!("{}.{}.{}", V1.0, V1.1, str::from_utf8(V1.2).unwrap());
    let key = UnparsedPublicKey::new(&ED25519, &public);
    key.verify(text.as_bytes(), &signed).unwrap();
    assert!(key.verify(&text.as_bytes()[1..], &signed).is_err());

    let whole = STANDARD.decode(&PRIVATE_KEY[5..]).unwrap();
    let seed = format!("whsk_{}", STANDARD.encode(&whole[..32]));
    assert_eq!(signature(&[&seed], V1), KEY_SIGNATURE);
}

#[test]
fn a_secret_may_lack_its_prefix_or_its_padding() {
    assert_eq!(signature(&[&SECRET[6..]], V1), SIGNATURE);
    // 25 bytes, two pads short; the reference libraries take it.
    standard(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"]).unwrap();
    let padded = encoded(32);
    let unpadded = padded.trim_end_matches('=');
    assert_ne!(padded, unpadded);
    assert_eq!(signature(&[&padded], V1), signature(&[unpadded], V1));
}

#[test]
fn secrets_without_content_or_of_wrong_length_are_refused() {
    for empty in ["", "whsec_", "whsk_"] {
        assert_eq!(fault(empty), SecretFault::Empty, "{empty:?}");
    }
    for (length, fits) in [(1, false), (23, false), (24, true), (64, true), (65, false)] {
        let secret = format!("whsec_{}", encoded(length));
        assert_eq!(standard(&[&secret]).is_ok(), fits, "{length}");
    }
    // One pad short: 23 bytes.
    let short = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS";
    assert_eq!(fault(short), SecretFault::Length(23));
    for length in [31, 33, 63, 65] {
        let key = format!("whsk_{}", encoded(length));
        assert_eq!(fault(&key), SecretFault::KeyLength(length));
    }
    assert_eq!(
        fault(&format!("whsk_{}", encoded(64))),
        SecretFault::Mismatch
    );
    assert_eq!(fault(&format!("whpk_{PUBLIC_KEY}")), SecretFault::Public);
    assert_eq!(fault("whsec_pass phrase!"), SecretFault::Base64);
    assert_eq!(fault(&format!("{SECRET}\r")), SecretFault::Base64);
    assert_eq!(standard(&[]).unwrap_err(), SecretError::None);
    let many = standard(&[SECRET; 9]).unwrap_err();
    assert_eq!(many, SecretError::TooMany { given: 9, most: 8 });
}

#[test]
fn an_error_names_the_place_and_nothing_of_the_secret() {
    let error = standard(&[SECRET, "whsec_hunter2!"]).unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(printed.starts_with("secret 2 is not base64"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
    let signer = format!("{:?}", standard(&[SECRET, PRIVATE_KEY]).unwrap());
    assert_eq!(signer, "Signer::Standard(2 keys)");
}

#[test]
fn the_hub_header_is_the_hmac_of_the_raw_body_keyed_by_the_raw_secret() {
    // The example of GitHub's documentation.
    let secret = Secret::new("It's a Secret to Everybody");
    let signer = Signer::new(Scheme::Hub, std::slice::from_ref(&secret)).unwrap();
    assert_eq!(
        signer.headers("id", 0, b"Hello, World!"),
        [(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned()
        )]
    );
    let refused = |secrets: &[Secret]| Signer::new(Scheme::Hub, secrets).unwrap_err();
    assert_eq!(refused(&[]), SecretError::None);
    let two = refused(&[secret.clone(), secret]);
    assert_eq!(two, SecretError::TooMany { given: 2, most: 1 });
    let fault = SecretFault::Empty;
    let empty = refused(&[Secret::new("")]);
    assert_eq!(empty, SecretError::Unfit { number: 1, fault });
}

#[test]
fn an_id_never_breaks_the_header_or_the_signed_text() {
    assert_eq!(message_id("0a9133f9-a747_5993"), "0a9133f9-a747_5993");
    let long = "x".repeat(129);
    for odd in ["", "a.b", "a\r\nx-evil: 1", "ä", long.as_str()] {
        let id = message_id(odd);
        assert_eq!(id.len(), 64, "{odd:?}");
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(message_id("a.b"), message_id("a.c"));
    let headers = standard(&[SECRET]).unwrap().headers("a\r\nb", -1, b"");
    assert!(
        headers
            .iter()
            .all(|(_, value)| !value.contains(['\r', '\n']))
    );
    assert_eq!(headers[1].1, "-1");
}

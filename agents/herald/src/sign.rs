//! Signatures of a request's bytes: Standard Webhooks 1.0.0, and GitHub's `X-Hub-Signature-256`.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ring::signature::Ed25519KeyPair;
use ring::{digest, hmac};
use roundsman_kit::secret::Secret;

/// Reads base64 as the reference libraries do: padded or not, whatever the last bits are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The prefixes of a symmetric secret, a private and a public key.
const SYMMETRIC: &[u8] = b"whsec_";
const PRIVATE: &[u8] = b"whsk_";
const PUBLIC: &[u8] = b"whpk_";

/// How many bytes a symmetric secret may have.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The half of an ed25519 key: its seed, or its public part.
const HALF: usize = 32;

/// The longest id that goes into a header as it is.
const ID_BYTES: usize = 128;

/// How many secrets one signer may have: two while they rotate, and some to spare.
const SECRETS: usize = 8;

/// How a request is signed, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Standard Webhooks 1.0.0: id, time and body are signed.
    #[default]
    Standard,
    /// `X-Hub-Signature-256`, as GitHub and tinyforge: the body alone is signed.
    Hub,
}

/// Why a list of secrets cannot sign. No variant holds anything of a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// There is nothing to sign with.
    #[error("no secret is given")]
    None,
    /// More than can be active at once.
    #[error("{given} secrets are given, at most {most} can be active")]
    TooMany {
        /// How many there are.
        given: usize,
        /// How many there may be.
        most: usize,
    },
    /// One of them is of no use.
    #[error("secret {number} {fault}")]
    Unfit {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        fault: SecretFault,
    },
}

/// What is wrong with a secret.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum SecretFault {
    /// Nothing, or nothing behind the prefix.
    #[error("is empty")]
    Empty,
    /// Not base64.
    #[error("is not base64 (behind its prefix \"whsec_\" or \"whsk_\", if it has one)")]
    Base64,
    /// A symmetric secret of another length than the standard has.
    #[error("has {0} bytes; a symmetric secret has 24 to 64, before base64")]
    Length(usize),
    /// A private key of another length than ed25519 has.
    #[error("has {0} bytes; a private key has 32 (the seed) or 64 (seed and public key)")]
    KeyLength(usize),
    /// The two halves of a private key do not belong together.
    #[error("is no ed25519 key: its public half does not belong to its seed")]
    Mismatch,
    /// The receiver's half.
    #[error("is a public key (\"whpk_\"); signing needs the private one (\"whsk_\")")]
    Public,
}

/// Signs requests with every active secret.
///
/// With [`Scheme::Standard`] a secret is one of
/// - `whsec_` and base64 of 24 to 64 bytes: HMAC-SHA256, version `v1`;
/// - the same without the prefix, as the reference libraries take it: the text is still base64,
///   and never the key itself;
/// - `whsk_` and base64 of an ed25519 seed, with or without the public key behind it: `v1a`.
///
/// Base64 is of the standard alphabet, padded or not. With [`Scheme::Hub`] there is one secret,
/// and its bytes are the key, as GitHub has it.
pub enum Signer {
    /// Keys of Standard Webhooks, in the order of the configuration.
    Standard(Vec<Key>),
    /// The key of `X-Hub-Signature-256`.
    Hub(hmac::Key),
}

/// A key of Standard Webhooks.
pub enum Key {
    /// HMAC-SHA256.
    V1(hmac::Key),
    /// ed25519.
    V1a(Ed25519KeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(keys) => write!(f, "Signer::Standard({} keys)", keys.len()),
            Self::Hub(_) => f.write_str("Signer::Hub(…)"),
        }
    }
}

impl Signer {
    /// A signer with all of `secrets`, in their order.
    ///
    /// # Errors
    /// [`SecretError`] names the first one that is of no use.
    pub fn new(scheme: Scheme, secrets: &[Secret]) -> Result<Self, SecretError> {
        let most = match scheme {
            Scheme::Standard => SECRETS,
            // The header holds one signature.
            Scheme::Hub => 1,
        };
        if secrets.len() > most {
            let given = secrets.len();
            return Err(SecretError::TooMany { given, most });
        }
        let unfit = |at: usize, fault| SecretError::Unfit {
            number: at + 1,
            fault,
        };
        match scheme {
            Scheme::Standard if !secrets.is_empty() => {
                let keys = secrets.iter().enumerate();
                keys.map(|(at, secret)| Key::read(secret).map_err(|fault| unfit(at, fault)))
                    .collect::<Result<_, _>>()
                    .map(Self::Standard)
            }
            Scheme::Hub if !secrets.is_empty() => match secrets[0].expose() {
                [] => Err(unfit(0, SecretFault::Empty)),
                bytes => Ok(Self::Hub(hmac::Key::new(hmac::HMAC_SHA256, bytes))),
            },
            _ => Err(SecretError::None),
        }
    }

    /// The headers that sign `body`. `timestamp_secs` is the time of the attempt.
    pub fn headers(
        &self,
        id: &str,
        timestamp_secs: i64,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        match self {
            Self::Standard(keys) => {
                let id = message_id(id);
                let timestamp = timestamp_secs.to_string();
                let head = format!("{id}.{timestamp}.");
                let signatures: Vec<String> =
                    keys.iter().map(|key| key.sign(&head, body)).collect();
                vec![
                    ("webhook-id", id),
                    ("webhook-timestamp", timestamp),
                    ("webhook-signature", signatures.join(" ")),
                ]
            }
            Self::Hub(key) => {
                let tag = hmac::sign(key, body);
                vec![(
                    "x-hub-signature-256",
                    format!("sha256={}", hex(tag.as_ref())),
                )]
            }
        }
    }
}

impl Key {
    fn read(secret: &Secret) -> Result<Self, SecretFault> {
        let text = secret.expose();
        if text.starts_with(PUBLIC) {
            return Err(SecretFault::Public);
        }
        if let Some(text) = text.strip_prefix(PRIVATE) {
            return private_key(&decode(text)?).map(Self::V1a);
        }
        let bytes = decode(text.strip_prefix(SYMMETRIC).unwrap_or(text))?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretFault::Length(bytes.len()));
        }
        Ok(Self::V1(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, head: &str, body: &[u8]) -> String {
        match self {
            Self::V1(key) => {
                let mut signing = hmac::Context::with_key(key);
                signing.update(head.as_bytes());
                signing.update(body);
                format!("v1,{}", STANDARD.encode(signing.sign()))
            }
            Self::V1a(key) => {
                let signed = [head.as_bytes(), body].concat();
                format!("v1a,{}", STANDARD.encode(key.sign(&signed)))
            }
        }
    }
}

fn private_key(bytes: &[u8]) -> Result<Ed25519KeyPair, SecretFault> {
    let key = match bytes.len() {
        HALF => Ed25519KeyPair::from_seed_unchecked(bytes),
        n if n == 2 * HALF => {
            Ed25519KeyPair::from_seed_and_public_key(&bytes[..HALF], &bytes[HALF..])
        }
        n => return Err(SecretFault::KeyLength(n)),
    };
    key.map_err(|_| SecretFault::Mismatch)
}

fn decode(text: &[u8]) -> Result<Vec<u8>, SecretFault> {
    if text.is_empty() {
        return Err(SecretFault::Empty);
    }
    LENIENT.decode(text).map_err(|_| SecretFault::Base64)
}

/// `uid` as a webhook id: itself where it can be one, else a digest of it.
///
/// A full stop would make the signed text ambiguous, and what came in from elsewhere may hold
/// anything, a line break too.
pub fn message_id(uid: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !uid.is_empty() && uid.len() <= ID_BYTES && uid.chars().all(plain) {
        return uid.to_owned();
    }
    hex(digest::digest(&digest::SHA256, uid.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

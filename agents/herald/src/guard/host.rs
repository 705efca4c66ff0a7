//! The host of a URL: a name for the resolver, or an address in one of its spellings.

use std::net::{IpAddr, Ipv4Addr};

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name that is to be resolved.
    Name(String),
    /// An address, whichever way it was spelled.
    Address(IpAddr),
}

/// A host that is neither a name nor an address, and that others might read in another way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither the name of a host nor an IP address")]
pub struct BadHost(pub String);

impl Host {
    /// Reads the host of a URL, an IPv6 address in its brackets.
    ///
    /// An IPv4 address is taken in every spelling that a resolver or a proxy might take for one
    /// (`2130706433`, `0177.0.0.1`, `0x7f.1`), so that it is judged as what it means.
    ///
    /// # Errors
    ///
    /// It looks like an address but is none, or holds what no name does.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        let bad = || BadHost(text.to_owned());
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(bad)?;
            let address = inner.parse().map_err(|_| bad())?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        // One dot at the end says that the name is whole.
        let name = text.strip_suffix('.').unwrap_or(text);
        let sound = |label: &str| {
            let mut bytes = label.bytes();
            !label.is_empty()
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > 253 || !name.split('.').all(sound) {
            return Err(bad());
        }
        if is_number(name.rsplit('.').next().unwrap_or(name)) {
            let address = old_spelling(name).ok_or_else(bad)?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    /// Whether this is a name that always means the host that looks it up.
    pub fn is_localhost(&self) -> bool {
        let Self::Name(name) = self else {
            return false;
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        name == "localhost" || name.ends_with(".localhost")
    }
}

/// Whether the last part of a host makes an address of it, sound or not.
fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
        || part.starts_with("0x")
        || part.starts_with("0X")
}

/// An IPv4 address as C libraries have always read it: one to four numbers, each decimal, octal or
/// hexadecimal, the last of which fills what is left.
fn old_spelling(text: &str) -> Option<Ipv4Addr> {
    let numbers = text.split('.').map(number).collect::<Option<Vec<_>>>()?;
    let (last, leading) = numbers.split_last()?;
    if leading.len() > 3 || leading.iter().any(|number| *number > 255) {
        return None;
    }
    let left = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if u64::from(*last) >= 1 << left {
        return None;
    }
    let high = leading
        .iter()
        .zip([24, 16, 8])
        .fold(0, |bits, (number, shift)| bits | (number << shift));
    Some(Ipv4Addr::from_bits(high | last))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // A lone "0x" is zero to some.
    if digits.is_empty() && radix == 16 {
        return Some(0);
    }
    let digit = |byte: u8| char::from(byte).is_digit(radix);
    let sound = !digits.is_empty() && digits.bytes().all(digit);
    sound
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

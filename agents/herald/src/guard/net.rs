//! Networks as they stand in a configuration: `10.0.0.0/8`, `::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// What stands before the slash is no address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// What stands behind the slash is no number of bits of such an address.
    #[error("{0:?} is not a prefix length from 0 to {1}")]
    Prefix(String, u8),
    /// Bits behind the prefix are set, so that the text means less or more than it seems to.
    #[error("{0} has bits behind its prefix; the network is {1}")]
    HostBits(String, Net),
}

impl Net {
    /// Whether `address` is in the network. An IPv4 network holds no IPv6 address.
    pub fn contains(self, address: IpAddr) -> bool {
        let (other, width) = bits(address);
        let (own, own_width) = bits(self.address);
        width == own_width && masked(other, width, self.prefix) == masked(own, width, self.prefix)
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let parsed = address.parse::<IpAddr>();
        let address = parsed.map_err(|_| NetError::Address(address.to_owned()))?;
        let (given, width) = bits(address);
        let prefix = match prefix {
            None => width,
            Some(prefix) => Some(prefix)
                .filter(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|prefix| prefix.parse().ok())
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| NetError::Prefix(prefix.to_owned(), width))?,
        };
        let network = masked(given, width, prefix);
        if network != given {
            let net = Self {
                address: address_of(network, width),
                prefix,
            };
            return Err(NetError::HostBits(text.to_owned(), net));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The bits of an address at the low end of a number, and how many they are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

fn address_of(bits: u128, width: u8) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if width == 32 => IpAddr::V4(bits.into()),
        _ => IpAddr::V6(bits.into()),
    }
}

/// `bits` without what stands behind the prefix.
fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    let behind = u32::from(width - prefix);
    let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
    bits & mask
}

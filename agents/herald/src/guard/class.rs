//! What kind of address an address is.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The kinds of addresses that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// This host itself.
    Loopback,
    /// `0.0.0.0/8` and `::`, which many systems take for this host.
    Unspecified,
    /// The link, with the metadata services of most clouds.
    LinkLocal,
    /// The metadata or platform service of a cloud, at an address outside the link.
    Metadata,
    /// Many hosts at once.
    Multicast,
    /// Every host of the link.
    Broadcast,
    /// Networks of a site, as they were once meant.
    SiteLocal,
    /// An address that stands for an IPv4 address that cannot be read from it.
    Hidden,
    /// Kept for documentation, measurements, protocols or the future.
    NotRoutable,
    /// Private networks: refused only if public addresses alone may be dialled.
    Private,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "this host itself",
            Self::Unspecified => "unspecified and so may be this host itself",
            Self::LinkLocal => "local to the link",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::SiteLocal => "local to the site",
            Self::Hidden => "a stand-in for an IPv4 address that it does not show",
            Self::NotRoutable => "in a range that is not routable",
            Self::Private => "in a private network",
        })
    }
}

/// Services of clouds that are not at a link-local address.
const METADATA_V4: [Ipv4Addr; 3] = [
    // Alibaba Cloud
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's platform ("wire server")
    Ipv4Addr::new(168, 63, 129, 16),
    // Oracle Cloud, the classic one
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 5] = [
    // AWS: instance metadata, and the identities of pods
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google Cloud
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Oracle Cloud
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    // Scaleway
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

impl Class {
    /// The class of an IPv4 address; `None` for a public one.
    pub(super) fn of_v4(address: Ipv4Addr) -> Option<Self> {
        if METADATA_V4.contains(&address) {
            return Some(Self::Metadata);
        }
        match address.octets() {
            [0, ..] => Some(Self::Unspecified),
            [127, ..] => Some(Self::Loopback),
            [169, 254, ..] => Some(Self::LinkLocal),
            [224..=239, ..] => Some(Self::Multicast),
            [255, 255, 255, 255] => Some(Self::Broadcast),
            // Kept for the future, protocols, the old relays of 6to4, documentation, measurements.
            [240..=255, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [198, 18 | 19, ..] => Some(Self::NotRoutable),
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
                Some(Self::Private)
            }
            _ => None,
        }
    }

    /// The class of an IPv6 address itself; `None` for a public one, or if an IPv4 address inside
    /// it decides.
    pub(super) fn of_v6(address: Ipv6Addr) -> Option<Self> {
        if METADATA_V6.contains(&address) {
            return Some(Self::Metadata);
        }
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Some(Self::Unspecified),
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::Loopback),
            // Where the IPv4 address stands depends on the network's own prefix length.
            [0x64, 0xff9b, 1, ..] => Some(Self::Hidden),
            _ if embedded(address)[0].is_some() => None,
            [0xfe80..=0xfebf, ..] => Some(Self::LinkLocal),
            [0xfec0..=0xfeff, ..] => Some(Self::SiteLocal),
            [0xff00..=0xffff, ..] => Some(Self::Multicast),
            [0xfc00..=0xfdff, ..] => Some(Self::Private),
            // Documentation, measurements, and names of hosts that are no addresses.
            [0x2001, 0xdb8, ..]
            | [0x2001, 2, 0, ..]
            | [0x2001, 0x10..=0x2f, ..]
            | [0x3fff, 0..=0xfff, ..] => Some(Self::NotRoutable),
            [0x2000..=0x3fff, ..] => None,
            // Nothing else has been given out.
            _ => Some(Self::NotRoutable),
        }
    }
}

/// The IPv4 addresses that an IPv6 address stands for: at most two, the first one first.
pub(super) fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let of = |high: u16, low: u16| {
        Some(Ipv4Addr::from_bits(
            (u32::from(high) << 16) | u32::from(low),
        ))
    };
    match address.segments() {
        // Mapped, compatible, translated, NAT64.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [of(high, low), None],
        // 6to4
        [0x2002, high, low, ..] => [of(high, low), None],
        // Teredo: the client, with its bits turned, and the server that is asked for the way.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [of(!client_high, !client_low), of(high, low)]
        }
        _ => [None, None],
    }
}

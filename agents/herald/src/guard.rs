//! Judges the addresses that an endpoint would be dialled at.
//!
//! Whoever may write an endpoint's URL, or answers for its name, must not reach what only this
//! host may reach. The judgement is made on the address that is dialled, right before the dial:
//! one made on the URL or on an earlier answer of the resolver could be turned around.

mod class;
mod host;
mod net;

use std::net::{IpAddr, Ipv4Addr};

pub use class::Class;
pub use host::{BadHost, Host};
pub use net::Net;

use class::embedded;

/// What an endpoint may be dialled at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Networks that are dialled whatever else is said of them.
    pub allow: Vec<Net>,
    /// Whether private networks are refused too.
    pub public_only: bool,
}

/// An address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {class}, which is not dialled unless `allow` names it")]
pub struct Refused {
    /// The address as it would be dialled.
    pub address: IpAddr,
    /// Why it is not.
    pub class: Class,
}

impl Guard {
    /// Whether `address` may be dialled.
    ///
    /// # Errors
    ///
    /// It is of a class that is refused, or an IPv4 address inside it is.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        self.class(address)
            .map_or(Ok(()), |class| Err(Refused { address, class }))
    }

    fn class(&self, address: IpAddr) -> Option<Class> {
        if self.allow.iter().any(|net| net.contains(address)) {
            return None;
        }
        match address {
            IpAddr::V4(v4) => Class::of_v4(v4),
            IpAddr::V6(v6) => Class::of_v6(v6).or_else(|| {
                let inside = embedded(v6);
                inside.into_iter().flatten().find_map(|v4| self.inside(v4))
            }),
        }
        .filter(|class| self.public_only || *class != Class::Private)
    }

    /// Why the IPv4 address that an IPv6 address stands for is refused.
    fn inside(&self, v4: Ipv4Addr) -> Option<Class> {
        self.class(IpAddr::V4(v4))
    }
}

#[cfg(test)]
mod tests;

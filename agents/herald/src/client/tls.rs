//! Whom an endpoint's TLS connections trust, and what they show.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use super::{Fault, SettingsError};
use crate::guard::Host;

/// What an endpoint says about TLS, in PEM.
#[derive(Clone, Default)]
pub struct TlsSettings {
    /// Authorities that are trusted besides those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// The certificate that is shown to the receiver, leaf first.
    pub certificate_pem: Option<Vec<u8>>,
    /// The key of that certificate.
    pub key_pem: Option<Vec<u8>>,
}

#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// `protocols` are offered by name (ALPN), where the receiver may speak several.
    pub(super) fn new(
        settings: Option<&TlsSettings>,
        protocols: &[&[u8]],
    ) -> Result<Self, SettingsError> {
        let default = TlsSettings::default();
        let settings = settings.unwrap_or(&default);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SettingsError::Pair)?
            .with_root_certificates(roots(settings)?);
        let mut config = match (&settings.certificate_pem, &settings.key_pem) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let chain = certificates(chain, SettingsError::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(SettingsError::Key)?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(SettingsError::Pair)?
            }
            _ => return Err(SettingsError::Half),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Makes a TLS connection to `host` out of `tcp`.
    pub(super) async fn connect(
        &self,
        host: &Host,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let name = server_name(host)?;
        let connected = self.0.connect(name, tcp).await;
        connected.map_err(|error| Fault::Tls(error.to_string()))
    }
}

/// The name that the receiver's certificate must show.
fn server_name(host: &Host) -> Result<ServerName<'static>, Fault> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        // Certificates do not show the dot at the end of a name.
        Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|error| Fault::Tls(error.to_string())),
    }
}

fn roots(settings: &TlsSettings) -> Result<Arc<RootCertStore>, SettingsError> {
    let system = system_roots();
    let Some(ca) = &settings.ca_pem else {
        return Ok(system);
    };
    let mut roots = RootCertStore::clone(&system);
    for certificate in certificates(ca, SettingsError::Ca)? {
        roots.add(certificate).map_err(SettingsError::Pair)?;
    }
    Ok(Arc::new(roots))
}

/// The authorities that the system trusts: read once, for they are large and many clients share
/// them. A host without any is no error: its endpoints may all have their own.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            log::warn!("the system trusts no authority; only endpoints with their own can use TLS");
        }
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

/// At least one certificate from PEM.
fn certificates(
    pem: &[u8],
    fault: fn(pem::Error) -> SettingsError,
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(fault)?;
    if found.is_empty() {
        return Err(fault(pem::Error::NoItemsFound));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_at_the_end_is_no_part_of_a_name() {
        let name = |host| server_name(&Host::parse(host).unwrap()).unwrap();
        assert_eq!(name("receiver.example.").to_str(), "receiver.example");
        assert_eq!(
            name("[::1]"),
            ServerName::from(std::net::Ipv6Addr::LOCALHOST)
        );
    }
}

//! The certificate of a listener, replaceable while it serves.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain is not PEM.
    #[error("the certificate chain is not PEM: {0}")]
    Chain(pem::Error),
    /// The chain holds no certificate.
    #[error("the certificate chain holds no certificate")]
    NoCertificate,
    /// No private key in PEM (PKCS#8, PKCS#1 or SEC1).
    #[error("no private key in PEM (PKCS#8, PKCS#1 or SEC1): {0}")]
    Key(pem::Error),
    /// The key does not fit the certificate, or is of a kind that is not supported.
    #[error("certificate and key do not go together: {0}")]
    Pair(#[from] rustls::Error),
}

/// A certificate chain with its key. Clones share it, so that one of them can replace it.
#[derive(Debug, Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// Takes chain (leaf first) and key as PEM. TLS 1.2 and 1.3, no client certificates.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or they do not go together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(config(chain, key)?))))
    }

    /// Replaces chain and key from the next handshake on.
    ///
    /// # Errors
    ///
    /// As [`Tls::from_pem`]; the old certificate stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let config = config(chain, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Chain)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

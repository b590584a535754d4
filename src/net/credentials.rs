//! What an agent shows of itself. It can be replaced while the agent runs: whichever connection is made next shows the newer one.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::NetError;
use super::authority::Identity;
use super::channel::parse;

/// An agent's certificate with its key, shared by its channels.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<RwLock<Arc<CertifiedKey>>>);

impl Credentials {
    /// Takes a certificate with its key.
    ///
    /// # Errors
    /// When one of them is damaged, or they do not belong together.
    pub fn new(identity: &Identity) -> Result<Self, NetError> {
        let (chain, key) = parse(identity)?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        let certified = certified.map_err(|error| NetError::certificate("the agent's certificate", error))?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(certified)))))
    }

    /// Shows what the other one shows from now on.
    pub fn replace(&self, newer: Self) {
        let newer = newer.shown();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Refuses to go on with a certificate whose time is over: the coordinator would, without a word.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn require_current(&self) -> std::io::Result<()> {
        let shown = self.shown();
        let parsed = shown.cert.first().and_then(|der| x509_parser::parse_x509_certificate(der).ok());
        if parsed.is_none_or(|(_, certificate)| certificate.validity().is_valid()) {
            return Ok(());
        }
        Err(std::io::Error::other("the agent's certificate has ended, because it was not used for 90 days: enrol it anew"))
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

//! Servers, channels, TLS and enrolment credentials. Knows gRPC and sockets, nothing of documents.
//!
//! Trust hangs on one certificate authority, which the coordinator generates for itself. Clients pin it: by its fingerprint (out of an
//! enrolment string or typed once) or by its certificate. Agents present a client certificate that it signed; people and programs present
//! a bearer token, which this module does not know.

pub mod authority;
pub mod channel;
pub mod credentials;
pub mod enrolment;
mod layers;
pub mod server;
pub mod testing;
#[cfg(test)]
mod tests;
mod verify;

pub use layers::called::Channel;

/// Makes ring the process's cryptography. Repeating it is harmless.
pub fn install_provider() {
    // An error means that one is installed already, which is what is wanted.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

/// Why a connection, a server or a certificate could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// An address that cannot be used.
    #[error("{address:?} is no usable address, which looks like https://HOST:PORT: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address to listen on is taken.
    #[error("cannot listen on {address}: {source}; stop the process that uses it, or choose another with --listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The other side cannot be reached.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// Somebody answers there, but not who was meant.
    #[error("{address} is not the coordinator that was meant: {reason}")]
    Another {
        /// The address.
        address: String,
        /// What tells them apart.
        reason: String,
    },
    /// A certificate, key or request that cannot be used.
    #[error("{what} cannot be used: {reason}")]
    Certificate {
        /// Which.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A file of the certificate authority cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl NetError {
    pub(crate) fn certificate(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Certificate { what, reason: reason.to_string() }
    }
}

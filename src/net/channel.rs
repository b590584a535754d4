//! Channels to a coordinator.
//!
//! A channel connects when it is used and connects again by itself. Bulk content has a channel of its own, with larger windows, so that it
//! never holds up the stream: at 50 ms round trip one stream moves 19 MB/s with default windows and 63 MB/s with these.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;
use tower::Service as _;

use super::authority::{Fingerprint, Identity};
use super::credentials::Credentials;
use super::verify::{AnotherAuthority, Pinned};
use super::{Channel, NetError};
use crate::config::ProxyAddress;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// What asks whether the other side is alive stands behind the content that the system has taken to send: on a link of 64 kbit/s a buffer of
/// 128 KiB takes 16 seconds to leave, and there are larger ones.
const BULK_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(120);
const CONTROL_STREAM_WINDOW: u32 = 1024 * 1024;
const CONTROL_CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const BULK_STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const BULK_CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// The default of 16 KiB costs half of the throughput of bulk content.
const BULK_FRAME_BYTES: u32 = 128 * 1024;

/// How a coordinator is recognised.
#[derive(Debug, Clone)]
pub enum Trust {
    /// By the fingerprint of its certificate authority.
    Fingerprint(Fingerprint),
    /// By the certificate of its certificate authority, PEM.
    Authority(String),
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The stream, and small calls.
    Control,
    /// Content.
    Bulk,
}

/// How to reach a coordinator.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// `https://HOST:PORT`.
    pub address: String,
    /// How it is recognised.
    pub trust: Trust,
    /// What an agent shows of itself.
    pub identity: Option<Credentials>,
    /// An HTTP proxy that is asked to CONNECT.
    pub proxy: Option<ProxyAddress>,
}

impl ChannelOptions {
    /// Makes a channel. It connects when it is used.
    ///
    /// # Errors
    /// When the address, the proxy or a certificate cannot be used. Not when the coordinator cannot be reached.
    pub fn channel(&self, purpose: Use) -> Result<Channel, NetError> {
        Ok(self.endpoint(purpose)?.connect_with_connector_lazy(self.connector(Arc::new(self.tls()?.0))?).into())
    }

    /// Makes a channel and connects it now, so that somebody who waits is told at once when the coordinator cannot be reached.
    ///
    /// # Errors
    /// As [`ChannelOptions::channel`], and when the coordinator cannot be reached or is another one.
    pub async fn connect(&self, purpose: Use) -> Result<Channel, NetError> {
        let connector = self.connector(Arc::new(self.tls()?.0))?;
        let connected = self.endpoint(purpose)?.connect_with_connector(connector).await.map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            let is_another = cause.downcast_ref::<std::io::Error>().is_some_and(is_another);
            self.refused(cause.to_string(), is_another)
        })?;
        Ok(connected.into())
    }

    fn endpoint(&self, purpose: Use) -> Result<Endpoint, NetError> {
        let uri = self.uri()?;
        // The connector does TLS itself, so tonic must see a plain address.
        Ok(tuned(Endpoint::from(without_tls(&uri)?).origin(uri), purpose))
    }

    /// Fetches the certificate of the authority that is pinned by its fingerprint, PEM.
    ///
    /// # Errors
    /// When the coordinator cannot be reached or is another one.
    pub async fn fetch_authority(&self) -> Result<String, NetError> {
        let (tls, pinned) = self.tls()?;
        let uri = self.uri()?;
        if let Trust::Authority(pem) = &self.trust {
            return Ok(pem.clone());
        }
        let unreachable = |reason: &str| self.refused(reason.to_owned(), false);
        let connect = connect(self.tunnel()?, Arc::new(tls), uri);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        let connected = connected.map_err(|_| unreachable("it did not answer in time"))?;
        drop(connected.map_err(|error| self.refused(error.to_string(), is_another(&error)))?);
        let seen = pinned.and_then(|pinned| pinned.authority.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let der = seen.ok_or_else(|| unreachable("it showed no certificate authority"))?;
        Ok(pem::encode(&pem::Pem::new("CERTIFICATE", der.to_vec())))
    }

    fn refused(&self, reason: String, is_another: bool) -> NetError {
        let address = self.address.clone();
        if is_another { NetError::Another { address, reason } } else { NetError::Unreachable { address, reason } }
    }

    fn uri(&self) -> Result<Uri, NetError> {
        let wrong = |reason: String| NetError::Address { address: self.address.clone(), reason };
        let uri: Uri = self.address.trim_end_matches('/').parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(uri),
            _ => Err(wrong("https:// or the host is missing".to_owned())),
        }
    }

    fn tls(&self) -> Result<(ClientConfig, Option<Arc<Pinned>>), NetError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let wrong = |error: &dyn std::fmt::Display| NetError::certificate("the certificate authority", error);
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(|e| wrong(&e))?;
        let (builder, pinned) = match &self.trust {
            Trust::Authority(pem) => {
                let mut roots = RootCertStore::empty();
                let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| wrong(&error))?;
                roots.add(der).map_err(|error| wrong(&error))?;
                (builder.with_root_certificates(roots), None)
            }
            Trust::Fingerprint(fingerprint) => {
                let pinned = Arc::new(Pinned::new(*fingerprint, provider));
                (builder.dangerous().with_custom_certificate_verifier(Arc::clone(&pinned) as _), Some(pinned))
            }
        };
        let mut config = match &self.identity {
            Some(credentials) => builder.with_client_cert_resolver(Arc::new(credentials.clone())),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok((config, pinned))
    }

    fn tunnel(&self) -> Result<Option<Tunnel<HttpConnector>>, NetError> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        let found = Matcher::builder().all(proxy.expose()).build().intercept(&self.uri()?);
        let found = found.filter(|found| found.uri().scheme_str() == Some("http")).ok_or_else(|| NetError::Address {
            // It may hold a password.
            address: "the configured proxy".to_owned(),
            reason: "it must look like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT".to_owned(),
        })?;
        let tunnel = Tunnel::new(found.uri().clone(), HttpConnector::new());
        Ok(Some(match found.basic_auth() {
            Some(user) => tunnel.with_auth(user.clone()),
            None => tunnel,
        }))
    }

    fn connector(
        &self,
        tls: Arc<ClientConfig>,
    ) -> Result<
        impl tower::Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = std::io::Error, Future: Send> + Send + 'static + use<>,
        NetError,
    > {
        let (tunnel, uri, credentials) = (self.tunnel()?, self.uri()?, self.identity.clone());
        Ok(tower::service_fn(move |_: Uri| {
            let current = credentials.as_ref().map_or(Ok(()), Credentials::require_current);
            let connect = connect(tunnel.clone(), Arc::clone(&tls), uri.clone());
            async move {
                current?;
                connect.await.map(TokioIo::new)
            }
        }))
    }
}

/// Makes a channel over any streams, such as those of a simulation. It connects when it is used.
pub fn over<C, S>(purpose: Use, connector: C) -> Channel
where
    C: tower::Service<Uri, Response = TokioIo<S>, Error = std::io::Error, Future: Send> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    tuned(Endpoint::from_static("http://coordinator.invalid"), purpose).connect_with_connector_lazy(connector).into()
}

fn tuned(endpoint: Endpoint, purpose: Use) -> Endpoint {
    let (stream, connection, frame, keepalive) = match purpose {
        Use::Control => (CONTROL_STREAM_WINDOW, CONTROL_CONNECTION_WINDOW, None, KEEPALIVE_TIMEOUT),
        Use::Bulk => (BULK_STREAM_WINDOW, BULK_CONNECTION_WINDOW, Some(BULK_FRAME_BYTES), BULK_KEEPALIVE_TIMEOUT),
    };
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(keepalive)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(stream)
        .initial_connection_window_size(connection)
        .max_frame_size(frame)
}

async fn connect(tunnel: Option<Tunnel<HttpConnector>>, tls: Arc<ClientConfig>, uri: Uri) -> std::io::Result<TlsStream<TcpStream>> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let stream = match tunnel {
        Some(mut tunnel) => {
            std::future::poll_fn(|context| tunnel.poll_ready(context)).await.map_err(std::io::Error::other)?;
            tunnel.call(uri).await.map_err(std::io::Error::other)?.into_inner()
        }
        None => TcpStream::connect((host.as_str(), port)).await?,
    };
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
    TlsConnector::from(tls).connect(name, stream).await.map_err(explained)
}

/// Authorities have one name, so that another one is found out by its signature.
fn explained(error: std::io::Error) -> std::io::Error {
    let another = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::BadSignature | CertificateError::UnknownIssuer)) => {
            Some(AnotherAuthority { trusted: "the one that is trusted here".to_owned() })
        }
        Some(rustls::Error::Other(other)) => other.0.downcast_ref().cloned(),
        _ => None,
    };
    another.map_or(error, std::io::Error::other)
}

fn is_another(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<AnotherAuthority>())
}

fn without_tls(uri: &Uri) -> Result<Uri, NetError> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.path_and_query.get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|error| NetError::Address { address: uri.to_string(), reason: error.to_string() })
}

pub(super) fn parse(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), NetError> {
    let wrong = |error: rustls::pki_types::pem::Error| NetError::certificate("the certificate", error);
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    Ok((chain, PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(wrong)?))
}

//! Serving gRPC over TLS, with a certificate asked of agents, and an end to every shutdown.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::NetError;
use super::authority::{Authority, Identity, agent_in};
use super::layers::served::ServedLayer;
use crate::model::AgentId;
use crate::sys::World;
use crate::task::Tasks;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections whose handshake is done and that wait to be served.
const ACCEPTED: usize = 64;
/// Streams of one connection: an agent has one session and some calls; people and services have calls.
const STREAMS_MAX: u32 = 1_024;
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Long enough for the answer to come from behind a large buffer of content on a slow link; sessions notice silence by themselves.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(120);
const HEADERS_BYTES_MAX: u32 = 16 * 1024;
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The size of frames; the default of 16 KiB costs half of the throughput of bulk content.
const FRAME_BYTES: u32 = 128 * 1024;

/// The agent that a connection's certificate was issued to. In the extensions of every request on that connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAgent(pub AgentId);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address, if it has one.
    pub address: Option<SocketAddr>,
    /// The agent, if it showed a certificate of ours.
    pub agent: Option<PeerAgent>,
}

/// A connection that is ready to be served.
pub struct Conn<S> {
    stream: S,
    peer: Peer,
    _permit: Option<OwnedSemaphorePermit>,
    /// Ends the connection from outside, as a server that stops has no other hold on it.
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<S> std::fmt::Debug for Conn<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<S> Conn<S> {
    /// Takes any stream as a connection of this peer.
    pub const fn new(stream: S, peer: Peer) -> Self {
        Self { stream, peer, _permit: None, cut: None }
    }

    fn cut_by(mut self, token: &CancellationToken) -> Self {
        self.cut = Some(Box::pin(token.clone().cancelled_owned()));
        self
    }
}

impl<S> Connected for Conn<S> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Conn<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Conn<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Returns who sent a request.
#[must_use]
pub fn peer<T>(request: &tonic::Request<T>) -> Option<&Peer> {
    request.extensions().get::<Peer>()
}

/// A socket that listens, with the certificate that it shows.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: TlsSettings,
    connections: Arc<Semaphore>,
}

struct TlsSettings(TlsAcceptor);

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsSettings")
    }
}

impl Listener {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken, or a certificate cannot be used.
    pub async fn bind(address: SocketAddr, authority: &Authority, names: &[String], connections_max: usize) -> Result<Self, NetError> {
        let tls = tls(authority, &authority.server_identity(names)?)?;
        let listening = |source| NetError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(listening)?;
        let address = socket.local_addr().map_err(listening)?;
        Ok(Self { socket, address, tls: TlsSettings(tls), connections: Arc::new(Semaphore::new(connections_max)) })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `cancel` fires; then lets calls end, at most for `limit`.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(
        self,
        routes: Routes,
        world: Arc<dyn World>,
        cancel: CancellationToken,
        limit: Duration,
    ) -> Result<(), tonic::transport::Error> {
        let tasks = Tasks::under(&cancel);
        let (accepted, connections) = mpsc::channel(ACCEPTED);
        drop(tasks.spawn("accept connections", self.accept(accepted, tasks.clone())));
        let served = serve_connections(routes, world, ReceiverStream::new(connections), cancel, limit).await;
        tasks.shutdown(limit).await;
        served
    }

    async fn accept(self, accepted: mpsc::Sender<std::io::Result<Conn<tokio_rustls::server::TlsStream<TcpStream>>>>, tasks: Tasks) {
        loop {
            let next = async {
                // Never closed, so a permit always comes.
                let permit = Arc::clone(&self.connections).acquire_owned().await.ok();
                (permit, self.socket.accept().await)
            };
            let (permit, incoming) = tokio::select! {
                biased;
                () = tasks.cancel().cancelled() => return,
                next = next => next,
            };
            match incoming {
                Ok((stream, address)) => {
                    let handshake = handshake(self.tls.0.clone(), stream, address, permit, accepted.clone());
                    let cancel = tasks.cancel().clone();
                    drop(tasks.spawn("TLS handshake", async move { cancel.run_until_cancelled_owned(handshake).await }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
    accepted: mpsc::Sender<std::io::Result<Conn<tokio_rustls::server::TlsStream<TcpStream>>>>,
) {
    let shake = async {
        stream.set_nodelay(true)?;
        tls.accept(stream).await
    };
    match tokio::time::timeout(HANDSHAKE, shake).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let agent = certificates.first().and_then(agent_in).map(PeerAgent);
            let peer = Peer { address: Some(address), agent };
            // Closed only when the server stops.
            let _stopped = accepted.send(Ok(Conn { stream, peer, _permit: permit, cut: None })).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
    }
}

/// Serves ready connections until `cancel` fires; then lets calls end, at most for `limit`: what hangs is dropped.
///
/// # Errors
/// When the server cannot be set up.
pub async fn serve_connections<S>(
    routes: Routes,
    world: Arc<dyn World>,
    connections: impl tokio_stream::Stream<Item = std::io::Result<Conn<S>>> + Send + 'static,
    cancel: CancellationToken,
    limit: Duration,
) -> Result<(), tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let cut = CancellationToken::new();
    // However this ends, no connection outlives it.
    let _cut_at_end = cut.clone().drop_guard();
    let connections = connections.map(move |conn| conn.map(|conn| conn.cut_by(&cut)));
    let server = Server::builder()
        .layer(ServedLayer(world))
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, cancel.clone().cancelled_owned());
    tokio::pin!(server);
    tokio::select! {
        biased;
        served = &mut server => return served,
        () = cancel.cancelled() => {}
    }
    match tokio::time::timeout(limit, server).await {
        Ok(served) => served,
        Err(_) => {
            tracing::warn!("calls did not end in time and are cut off");
            Ok(())
        }
    }
}

fn tls(authority: &Authority, identity: &Identity) -> Result<TlsAcceptor, NetError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |error: &dyn std::fmt::Display| NetError::certificate("the server's certificate", error);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).map_err(|error| wrong(&error))?;
    roots.add(root).map_err(|error| wrong(&error))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).allow_unauthenticated().build();
    let (chain, key) = super::channel::parse(identity)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_client_cert_verifier(clients.map_err(|error| wrong(&error))?)
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

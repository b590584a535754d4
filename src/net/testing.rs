//! A server and a channel to it in one process, without sockets: for tests of services.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Uri};

use super::Channel;
use super::server::{Conn, Peer, PeerAgent, serve_connections};
use crate::sys::RealWorld;
use crate::task::Tasks;

/// Bytes that a connection holds.
const BUFFER: usize = 1024 * 1024;

/// Serves `routes` in `tasks` to a channel on which every caller is `agent`, or nobody in particular.
#[must_use]
pub fn duplex(routes: Routes, agent: Option<PeerAgent>, tasks: &Tasks) -> Channel {
    let (accepted, connections) = mpsc::unbounded_channel::<std::io::Result<Conn<DuplexStream>>>();
    let serve = serve_connections(
        routes,
        Arc::new(RealWorld),
        UnboundedReceiverStream::new(connections),
        tasks.cancel().clone(),
        Duration::from_secs(1),
    );
    drop(tasks.spawn("serve in process", serve));
    let channel = Endpoint::from_static("http://in.process").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let sent = accepted.send(Ok(Conn::new(theirs, Peer { address: None, agent })));
        async move { sent.map(|()| TokioIo::new(ours)).map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
    }));
    channel.into()
}

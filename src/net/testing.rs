//! A server and a channel to it in one process, without sockets: for tests of services.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
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
/// And one of a system with a slow way out.
const SLOW_BUFFER: usize = 64 * 1024;

/// Serves `routes` in `tasks` to a channel on which every caller is `agent`, or nobody in particular.
#[must_use]
pub fn duplex(routes: Routes, agent: Option<PeerAgent>, tasks: &Tasks) -> Channel {
    let connections = served(routes, tasks);
    let channel = Endpoint::from_static("http://in.process").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let sent = connections.send(Ok(Conn::new(theirs, Peer { address: None, agent })));
        async move { sent.map(|()| TokioIo::new(ours)).map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
    }));
    channel.into()
}

/// The same over connections of so many bytes a second, which hold as much as a system's do, with what a real channel does to notice dead ones.
/// Each connection that is made is told.
#[must_use]
pub fn slow(routes: Routes, agent: Option<PeerAgent>, tasks: &Tasks, bytes_per_second: u64) -> (Channel, mpsc::UnboundedReceiver<()>) {
    let (connections, spawner, (made, told)) = (served(routes, tasks), tasks.child(), mpsc::unbounded_channel());
    let channel = super::channel::over(
        super::channel::Use::Bulk,
        tower::service_fn(move |_: Uri| {
            let ((ours, near), (far, theirs)) = (tokio::io::duplex(SLOW_BUFFER), tokio::io::duplex(SLOW_BUFFER));
            let (near, far) = (tokio::io::split(near), tokio::io::split(far));
            drop(spawner.spawn("carry there", carry(near.0, far.1, bytes_per_second)));
            drop(spawner.spawn("carry back", carry(far.0, near.1, bytes_per_second)));
            let sent = connections.send(Ok(Conn::new(theirs, Peer { address: None, agent })));
            made.send(()).ok();
            async move { sent.map(|()| TokioIo::new(ours)).map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
        }),
    );
    (channel, told)
}

/// Carries bytes until one end closes, a packet at a time.
async fn carry(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, bytes_per_second: u64) {
    let mut packet = [0; 1400];
    while let Ok(count @ 1..) = from.read(&mut packet).await {
        tokio::time::sleep(Duration::from_micros(count as u64 * 1_000_000 / bytes_per_second)).await;
        if to.write_all(&packet[..count]).await.is_err() {
            return;
        }
    }
}

type Connections = mpsc::UnboundedSender<std::io::Result<Conn<DuplexStream>>>;

fn served(routes: Routes, tasks: &Tasks) -> Connections {
    let (accepted, connections) = mpsc::unbounded_channel::<std::io::Result<Conn<DuplexStream>>>();
    let serve = serve_connections(
        routes,
        Arc::new(RealWorld),
        UnboundedReceiverStream::new(connections),
        tasks.cancel().clone(),
        Duration::from_secs(1),
    );
    drop(tasks.spawn("serve in process", serve));
    accepted
}

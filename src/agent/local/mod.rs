//! What the agent offers on its own machine: [`service`] on a Unix socket, for the commands of people.
//!
//! The operating system says who calls; what they may see and do in the repository is tried with their own user and groups.

mod caller;
mod create;
mod end;
mod excluded;
mod request;
mod restore;
mod service;
mod show;

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Status};

use super::context::Context;
use super::session::{Channels, Command, Connection};
use crate::model::AgentId;
use crate::sys::{Peer, Rights};
use crate::wire::pb::local_service_server::{LocalService, LocalServiceServer};

pub use request::try_again;

/// What the local service works with.
#[derive(Debug, Clone)]
pub struct Local {
    /// The agent's own.
    pub context: Context,
    /// Channels to the coordinator.
    pub channels: Channels,
    /// Who the agent is there.
    pub agent: AgentId,
    /// Where the coordinator is.
    pub coordinator_address: String,
    /// Whether it is reached.
    pub connection: watch::Receiver<Connection>,
    /// What people may do.
    pub rights: Arc<dyn Rights>,
    /// Tells the session of new sets.
    pub session: mpsc::UnboundedSender<Command>,
}

/// Returns the service. It takes its caller from the [`Peer`] among a request's extensions.
#[must_use]
pub fn service(local: Local) -> impl LocalService {
    service::Service::new(local)
}

/// Serves until `cancel` fires.
///
/// # Errors
/// When the socket cannot be made. One that a dead agent left is replaced; a live agent is told by its lock on the data directory.
pub async fn serve(local: Local, socket: &Path, cancel: CancellationToken) -> io::Result<()> {
    match std::fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(socket)?,
        Ok(_) => return Err(io::Error::other("something that is no socket is there; name another place")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = bind(socket)?;
    // Everybody may connect: who they are decides what they may do.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
    let connections = UnixListenerStream::new(listener).filter_map(|stream: io::Result<UnixStream>| stream.ok().map(Ok::<_, io::Error>));
    Server::builder()
        .add_service(LocalServiceServer::with_interceptor(service(local), vouch))
        .serve_with_incoming_shutdown(connections, cancel.cancelled_owned())
        .await
        .map_err(io::Error::other)
}

/// Tells the service who connected.
#[allow(clippy::unnecessary_wraps, reason = "an interceptor may refuse")]
fn vouch(mut request: Request<()>) -> Result<Request<()>, Status> {
    let credentials = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    if let Some(credentials) = credentials {
        let process = credentials.pid().unwrap_or_default();
        request.extensions_mut().insert(Peer { user: credentials.uid(), group: credentials.gid(), process });
    }
    Ok(request)
}

/// Makes the socket, by way of its directory's descriptor: an address holds only short paths.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else { return UnixListener::bind(socket) };
    let directory = std::fs::File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    UnixListener::bind(Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name))
}

//! A thin file a gRPC service: decode, call, encode. Rules live in the domain modules, and who may call at all in [`super::auth`].

mod account;
mod agent;
mod content;
mod library;
mod network;
mod page;
mod sync;
mod sync_set;

#[cfg(test)]
mod tests;

use tonic::service::Routes;
use uuid::Uuid;

use super::auth::AuthLayer;
use super::context::Context;
use super::library::NodeRef;
use crate::model::Timestamp;
use crate::wire::{ProtocolError, field, pb};

pub(super) use page::{decode as decode_page, encode as encode_page};
pub(super) use sync::refused;

/// The largest message that is taken: a blob of 1 MiB and what is around it.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The names of the services, as health tells them.
pub(super) const NAMES: [&str; 7] = [
    pb::account_service_server::SERVICE_NAME,
    pb::agent_service_server::SERVICE_NAME,
    pb::content_service_server::SERVICE_NAME,
    pb::library_service_server::SERVICE_NAME,
    pb::network_service_server::SERVICE_NAME,
    pb::sync_service_server::SERVICE_NAME,
    pb::sync_set_service_server::SERVICE_NAME,
];

/// The seven services of one coordinator.
#[derive(Debug, Clone)]
struct Service {
    context: Context,
}

/// Returns all services, every call authorised. `open` are further services that anybody may call.
pub(super) fn routes(context: &Context, open: Routes) -> Routes {
    let service = || Service { context: context.clone() };
    let routes = open
        .add_service(pb::account_service_server::AccountServiceServer::new(service()))
        .add_service(pb::agent_service_server::AgentServiceServer::new(service()))
        .add_service(pb::content_service_server::ContentServiceServer::new(service()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(pb::library_service_server::LibraryServiceServer::new(service()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(pb::network_service_server::NetworkServiceServer::new(service()))
        .add_service(pb::sync_service_server::SyncServiceServer::new(service()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(pb::sync_set_service_server::SyncSetServiceServer::new(service()));
    Routes::from(routes.prepare().into_axum_router().layer(AuthLayer::new(context.clone())))
}

/// Reads a request id that may be absent.
fn request_id(text: &str) -> Result<Option<[u8; 16]>, ProtocolError> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = Uuid::try_parse(text).map_err(|_| ProtocolError::new("request_id", "must be a UUID"))?;
    Ok(Some(id.into_bytes()))
}

/// Reads a required reference to a node.
fn node_ref(name: &str, node: Option<pb::NodeName>) -> Result<NodeRef, ProtocolError> {
    use pb::node_name::Kind;
    match field::required(name, node)?.kind {
        Some(Kind::Path(path)) => Ok(NodeRef::Path(field::text(&format!("{name}.path"), path, PATH_BYTES_MAX)?)),
        Some(Kind::Id(id)) => Ok(NodeRef::Id {
            network: field::text(&format!("{name}.id.network"), id.network, NAME_BYTES_MAX)?,
            node: field::id(&format!("{name}.id.node_id"), &id.node_id)?,
        }),
        None => Err(ProtocolError::missing(format!("{name}.kind"))),
    }
}

/// The longest path in the cloud.
const PATH_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a network or a site that is looked for.
const NAME_BYTES_MAX: usize = 255;
/// The longest label.
const LABEL_BYTES_MAX: usize = 100;

#[allow(clippy::unnecessary_wraps, reason = "that is how times are set in messages")]
fn time(time: Timestamp) -> Option<prost_types::Timestamp> {
    Some(time.into())
}

//! Content between callers and the depot: what an agent uploads and fetches, what people write and read.
//!
//! Owned by the coordinator. Content is found within one network only, and a hash is not a permission: a caller refers to what it
//! sent itself within the last day ([`gate`]), or to what is in a version of a node that it may read. Anything else is reported missing,
//! whether or not it is there. Memory is bounded: bytes go through in pieces, and each piece is durable before many more are taken.

mod document;
mod gate;
mod read;
#[cfg(test)]
mod tests;
mod upload;

use crate::content::InvalidManifest;
use crate::depot::{CommitError, DepotError, Holder, Lease, Scope};
use crate::model::{AgentId, Fault, FaultKind, NetworkId};

use super::auth::CallingAgent;
use super::context::Context;
use super::failure::Failure;
use super::networks::Network;
use super::operations::check_grant;
use super::service::refused;
use super::sets::Definition;
use crate::model::{Reason, SetId};
use crate::store::Read;

pub use document::store_document;
pub use gate::{AccountsGate, ContentGate, StagedContents, stage_inline};
pub use read::{range_within, read_manifest, read_ranges, read_small, require_held};
pub use upload::{Upload, find_missing, seal};

/// The most bytes of blobs in one message.
pub const MESSAGE_BLOBS_BYTES_MAX: usize = 1 << 20;
/// The most hashes of one call.
pub const HASHES_MAX: usize = 4_096;
/// How much is taken before it is made durable with one flush.
const FLUSH_BYTES: usize = 4 << 20;
/// How long what was sent may be referred to.
const LEASE_MILLIS: u64 = 24 * 3600 * 1000;

/// Within what a network's content is found.
pub(super) const fn scope(network: NetworkId) -> Scope {
    Scope::from_bytes(*network.as_bytes())
}

/// Returns the lease of what somebody sends now.
fn lease(context: &Context, id: &[u8; 16]) -> Result<Lease, Fault> {
    let holder = Holder::new(id).ok_or_else(|| Fault::internal("an id is too long to hold a lease"))?;
    Ok(Lease { holder, expires_at_ms: context.world.now_millis().saturating_add(LEASE_MILLIS) })
}

fn agent_lease(context: &Context, agent: AgentId) -> Result<Lease, Fault> {
    lease(context, agent.as_bytes())
}

/// Returns a set that is granted to the agent.
fn granted(read: &impl Read, caller: CallingAgent, set: SetId) -> Result<Definition, Failure> {
    Ok(check_grant(read, &AccountsGate, caller.agent, set)?.map_err(refused)?)
}

/// Refuses a document that is too large for the network, before its bytes are taken. The change that refers to it asks again.
fn require_room(network: &Network, bytes: u64) -> Result<(), Fault> {
    let full = |message: String, reason| Err(Fault::new(FaultKind::Exhausted, message).because(reason));
    if network.document_bytes_max != 0 && bytes > network.document_bytes_max {
        let message = format!("the document is larger than the network's limit of {} bytes", network.document_bytes_max);
        return full(message, Reason::ContentLimitExceeded);
    }
    if network.quota_bytes != 0 && network.used_bytes.saturating_add(bytes) > network.quota_bytes {
        return full(format!("the network's quota of {} bytes has no room for it", network.quota_bytes), Reason::QuotaExceeded);
    }
    Ok(())
}

pub(super) fn failed(error: DepotError) -> Fault {
    Fault::internal(error)
}

fn contradicts(error: &InvalidManifest) -> Fault {
    Fault::invalid("content", error.to_string())
}

fn not_committed(error: CommitError) -> Failure {
    match error {
        CommitError::Store(error) => error.into(),
        CommitError::Collected(_) => Fault::new(FaultKind::Unavailable, "what was sent must be sent again; this was not processed").into(),
    }
}

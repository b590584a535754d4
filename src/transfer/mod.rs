//! Both ends of moving content between agent and coordinator.
//!
//! Small contents ride along with operations and are fetched many at a time. Of a larger one, both sides first agree on what the other does
//! not have: pages of the manifest that differ from a content that both know, and the chunks that these list.

mod download;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upload;

use std::time::Duration;

use crate::depot::{Depot, DepotError, Scope};
use crate::model::{ContentRef, Fault, FaultKind, Hash};

pub use download::{Fetched, Part, Wanted, entries, fetch_large, fetch_small, is_small};
pub use upload::{Bytewise, UploadError, upload};

/// Where an agent keeps manifest pages and versions: one repository is one scope.
pub const AGENT_SCOPE: Scope = Scope::from_bytes([1; 16]);

/// The most hashes in one question.
const HASHES_MAX: usize = 4_096;
/// Bytes of content in one message.
const MESSAGE_BYTES: usize = 1024 * 1024 - 64 * 1024;
/// The largest message of these calls that is received.
const RECEIVE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a call may go on without a message before the other side counts as away: longer than the largest message takes over a link of 8 kB/s.
const SILENCE: Duration = Duration::from_secs(600);

/// Waits for the next step of a call, but not for ever.
async fn timely<T>(step: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, tonic::Status> {
    let silent = |_| Err(tonic::Status::unavailable(format!("nothing was heard for {} s", SILENCE.as_secs())));
    tokio::time::timeout(SILENCE, step).await.unwrap_or_else(silent)
}

/// Why content could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The coordinator refused, or cannot be reached.
    #[error("{0}")]
    Fault(Fault),
    /// The coordinator sent something that is not what was asked for.
    #[error("the coordinator sent content that is not what was asked for: {0}")]
    Wrong(String),
    /// The content store of the agent failed.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The receiver of the content is gone.
    #[error("the receiver of the content is gone")]
    Receiver,
}

impl TransferError {
    /// Whether the same may work in a moment.
    const fn is_passing(&self) -> bool {
        matches!(self, Self::Fault(Fault { kind: FaultKind::Unavailable, reason: None, .. }))
    }
}

impl From<tonic::Status> for TransferError {
    fn from(status: tonic::Status) -> Self {
        Self::Fault(Fault::from_status(&status))
    }
}

/// Reads a page of a manifest out of the agent's depot, if it is there.
async fn page(depot: &Depot, hash: &Hash) -> Result<Option<bytes::Bytes>, DepotError> {
    match depot.read(AGENT_SCOPE, *hash).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(DepotError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a content is one chunk.
const fn is_single(content: &ContentRef) -> bool {
    content.height == 0
}

//! What the library asks, inside its transaction, about content and accounts.

use std::collections::HashMap;

use bytes::Bytes;

use super::{failed, lease, not_committed, scope};
use crate::content::{Blob, BlobKind};
use crate::coordinator::accounts;
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::failure::Failure;
use crate::coordinator::library::Gate;
use crate::depot::{Depot, Holder, Staged};
use crate::model::{AccountId, ContentRef, Fault, Hash, NetworkId};
use crate::store::{Read, StoreError, Transaction};

/// Contents whose bytes are durable, to be referred to by the transaction that they were staged for.
#[derive(Debug, Clone, Default)]
pub struct StagedContents {
    pub(super) staged: Option<Staged>,
    /// By their roots.
    pub(super) contents: HashMap<Hash, ContentRef>,
}

/// Makes contents that ride along with operations durable, with one flush.
///
/// # Errors
/// When the depot fails.
pub async fn stage_inline(context: &Context, caller: CallingAgent, contents: Vec<Bytes>) -> Result<StagedContents, Fault> {
    let blobs: Vec<_> = contents.into_iter().filter(|bytes| !bytes.is_empty()).map(|bytes| Blob::new(BlobKind::Chunk, bytes)).collect();
    if blobs.is_empty() {
        return Ok(StagedContents::default());
    }
    let staged = context.depot.stage(scope(caller.network), &blobs).await.map_err(failed)?;
    let content = |blob: &Blob| ContentRef { root: blob.hash(), size_bytes: blob.bytes().len() as u64, height: 0 };
    let contents = blobs.iter().map(|blob| (blob.hash(), content(blob))).collect();
    Ok(StagedContents { staged: Some(staged), contents })
}

/// Answers for one transaction of one caller.
#[derive(Debug, Clone)]
pub struct ContentGate {
    staged: StagedContents,
    /// Whose uploads may be referred to besides.
    holder: Option<Holder>,
    now_ms: u64,
}

impl ContentGate {
    /// Makes the gate of a change that refers to what was staged for it.
    #[must_use]
    pub fn new(context: &Context, staged: StagedContents) -> Self {
        Self { staged, holder: None, now_ms: context.world.now_millis() }
    }

    /// Makes the gate of operations that refer to what was staged for them, and to what their agent uploaded and sealed.
    ///
    /// # Errors
    /// Never for an agent's id, which is short.
    pub fn for_agent(context: &Context, caller: CallingAgent, staged: StagedContents) -> Result<Self, Fault> {
        let holder = lease(context, caller.agent.as_bytes())?.holder;
        Ok(Self { holder: Some(holder), ..Self::new(context, staged) })
    }

    /// Indexes what was staged. Call it at the beginning of the transaction; what nothing refers to in the end is collected later.
    ///
    /// # Errors
    /// When the store fails, or what was there when it was staged has been collected since.
    pub fn begin(&self, tx: &mut Transaction<'_>) -> Result<(), Failure> {
        match &self.staged.staged {
            Some(staged) => Depot::commit(tx, staged, None).map_err(not_committed),
            None => Ok(()),
        }
    }
}

impl Gate for ContentGate {
    fn refer(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError> {
        if self.staged.contents.get(&content.root) == Some(content) || is_empty(content) {
            return Ok(true);
        }
        match &self.holder {
            Some(holder) => Depot::sealed(tx, scope(network), holder, content, self.now_ms),
            None => Ok(false),
        }
    }

    fn refer_again(&self, _: &mut Transaction<'_>, _: NetworkId, _: &ContentRef) -> Result<bool, StoreError> {
        // A version refers to it in the same snapshot, so it is all there and stays.
        Ok(true)
    }

    fn is_active(&self, read: &dyn Read, account: AccountId) -> Result<bool, StoreError> {
        accounts::is_active(read, account)
    }
}

/// The empty document has no chunks, so there is nothing to send.
fn is_empty(content: &ContentRef) -> bool {
    *content == ContentRef { root: BlobKind::Chunk.hash(&[]), size_bytes: 0, height: 0 }
}

/// Answers about accounts where no content is referred to.
#[derive(Debug, Clone, Copy)]
pub struct AccountsGate;

impl Gate for AccountsGate {
    fn refer(&self, _: &mut Transaction<'_>, _: NetworkId, _: &ContentRef) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn refer_again(&self, _: &mut Transaction<'_>, _: NetworkId, _: &ContentRef) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn is_active(&self, read: &dyn Read, account: AccountId) -> Result<bool, StoreError> {
        accounts::is_active(read, account)
    }
}

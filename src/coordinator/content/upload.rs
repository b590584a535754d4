//! Content that agents upload: what is missing, the blobs themselves, and whether they make a whole.

use super::document::keep;
use super::{FLUSH_BYTES, agent_lease, contradicts, failed, granted, require_room, scope};
use crate::content::Blob;
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::failure::Failure;
use crate::coordinator::library::Lineage;
use crate::coordinator::networks;
use crate::depot::{Depot, Lease, SealError};
use crate::model::{ContentRef, Fault, Hash, NodeId, SetId};
use crate::task::Handle;

/// Returns the positions of the hashes that the agent must upload: all but those that it uploaded within the last day.
///
/// # Errors
/// When the set is not granted to the agent.
pub fn find_missing(context: &Context, caller: CallingAgent, set: SetId, hashes: &[Hash]) -> Result<Vec<u32>, Fault> {
    let (lease, now_ms) = (agent_lease(context, caller.agent)?, context.world.now_millis());
    context.read(|read| {
        granted(read, caller, set)?;
        let mut missing = Vec::new();
        for (index, hash) in (0..).zip(hashes) {
            if !Depot::leased(read, scope(caller.network), &lease.holder, *hash, now_ms)? {
                missing.push(index);
            }
        }
        Ok(missing)
    })
}

/// Checks that a content is complete, so that an operation can refer to it, and returns the hashes of what is missing. What `base` holds
/// now, a member of the set, need not have been uploaded.
///
/// # Errors
/// When the set is not granted to the agent, the manifest contradicts itself, or the network has no room.
pub async fn seal(
    context: &Context,
    caller: CallingAgent,
    set: SetId,
    content: ContentRef,
    base: Option<NodeId>,
) -> Result<Vec<Hash>, Fault> {
    let base = context.read(|read| {
        let definition = granted(read, caller, set)?;
        require_room(&networks::get(read, definition.set.network)?, content.size_bytes)?;
        let Some(base) = base else { return Ok(None) };
        let Some(lineage) = Lineage::read(read, definition.set.network, base)? else { return Ok(None) };
        let is_member = lineage.membership(read)?.is_some_and(|membership| membership.set == set);
        Ok(lineage.node.content.filter(|_| is_member))
    })?;
    let (lease, now_ms) = (agent_lease(context, caller.agent)?, context.world.now_millis());
    match context.depot.seal(scope(caller.network), &lease, &content, base.as_ref(), now_ms).await {
        Ok(()) => Ok(Vec::new()),
        Err(SealError::Missing(hashes)) => Ok(hashes),
        Err(SealError::Manifest(error)) => Err(contradicts(&error)),
        Err(error @ SealError::Length(_)) => Err(Fault::invalid("content", error.to_string())),
        Err(SealError::Depot(error)) => Err(failed(error)),
    }
}

/// Blobs that one call brings. While some are made durable the next are taken; when the call breaks off, what came until then is kept as well,
/// so that the agent need not send it again.
#[derive(Debug)]
pub struct Upload {
    context: Context,
    caller: CallingAgent,
    set: SetId,
    lease: Lease,
    waiting: Vec<Blob>,
    waiting_bytes: usize,
    total_bytes: u64,
    storing: Option<Handle<Result<u64, Fault>>>,
    stored: u64,
}

impl Upload {
    /// Begins.
    ///
    /// # Errors
    /// When the set is not granted to the agent.
    pub fn begin(context: &Context, caller: CallingAgent, set: SetId) -> Result<Self, Fault> {
        context.read(|read| granted(read, caller, set))?;
        Ok(Self {
            context: context.clone(),
            caller,
            set,
            lease: agent_lease(context, caller.agent)?,
            waiting: Vec::new(),
            waiting_bytes: 0,
            total_bytes: 0,
            storing: None,
            stored: 0,
        })
    }

    /// Returns the set on whose behalf it is.
    #[must_use]
    pub const fn set(&self) -> SetId {
        self.set
    }

    /// Takes blobs; returns when few enough of them wait.
    ///
    /// # Errors
    /// When the grant was revoked meanwhile, the network has no room, or the depot fails.
    pub async fn add(&mut self, blobs: Vec<Blob>) -> Result<(), Fault> {
        let bytes = blobs.iter().map(|blob| blob.bytes().len()).sum::<usize>();
        self.waiting_bytes += bytes;
        self.total_bytes += bytes as u64;
        self.waiting.extend(blobs);
        if self.waiting_bytes >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Returns, once all is durable, how many blobs the agent had not uploaded before.
    ///
    /// # Errors
    /// As [`Upload::add`].
    pub async fn finish(mut self) -> Result<u64, Fault> {
        if !self.waiting.is_empty() {
            self.flush().await?;
        }
        self.stored().await?;
        Ok(self.stored)
    }

    /// Waits for what is being stored, and begins to store what waits.
    async fn flush(&mut self) -> Result<(), Fault> {
        self.stored().await?;
        self.storing = Some(self.store_waiting());
        Ok(())
    }

    fn store_waiting(&mut self) -> Handle<Result<u64, Fault>> {
        let blobs = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let store = store(self.context.clone(), self.caller, self.set, blobs, self.total_bytes, self.lease.clone());
        self.context.tasks.spawn("store uploaded blobs", store)
    }

    async fn stored(&mut self) -> Result<(), Fault> {
        if let Some(storing) = self.storing.take() {
            self.stored += storing.join().await.map_err(Fault::internal)??;
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.waiting.is_empty() {
            drop(self.store_waiting());
        }
    }
}

async fn store(context: Context, caller: CallingAgent, set: SetId, blobs: Vec<Blob>, total_bytes: u64, lease: Lease) -> Result<u64, Fault> {
    let now_ms = context.world.now_millis();
    let new = context.read(|read| {
        let definition = granted(read, caller, set)?;
        let network = networks::get(read, definition.set.network)?;
        // Many documents may come in one call, so their size is not a document's.
        require_room(&networks::Network { document_bytes_max: 0, ..network }, total_bytes)?;
        let mut new = 0;
        for blob in &blobs {
            new += u64::from(!Depot::leased(read, scope(caller.network), &lease.holder, blob.hash(), now_ms)?);
        }
        Ok::<_, Failure>(new)
    })?;
    keep(&context, caller.network, blobs, lease).await?;
    Ok(new)
}

//! Content at rest: packs of blobs (chunks and manifest pages), their index, leases, collection and scrub. Both roles use it; it knows
//! neither documents nor who may read them.
//!
//! Everything is found within one [`Scope`] only. To keep a content: [`Depot::stage`] its blobs, which makes their bytes durable in
//! the packs, then [`Depot::commit`] them in the transaction that refers to them. A content of many blobs is staged and committed in
//! steps, under a [`Lease`], and [`Depot::seal`] checks the whole of it before something refers to it.
//!
//! # What a crash leaves behind
//!
//! | where | what is found | what becomes of it |
//! | --- | --- | --- |
//! | during or after an append, before its flush | a torn tail that no row refers to | goes with its pack: a new run appends to a new pack |
//! | after the flush, before the commit | whole frames that no row refers to | as above; staging again appends again |
//! | after the commit | everything | – |
//! | in the midst of a collection | rows condemned, or deleted, in part | the next collection goes on |
//! | in a compaction, before the index is swapped | copies that no row refers to | go with their pack |
//! | in a compaction, after the swap, before the pack is removed | a pack that no row refers to | the next compaction removes it |
//!
//! # Why collection takes nothing that is needed
//!
//! 1. A row is deleted only if two collections, the grace time apart, both found nothing that refers to it, no lease and no seal, and
//!    the deleting transaction finds it still condemned. A condemned blob counts as absent for whoever wants to refer to it, and
//!    committing it again keeps it.
//! 2. A pack is removed only if no row refers to it, and no staging was under way that could still commit a row into it.
//! 3. Compaction moves a row only if the row still says what was copied.

mod collect;
mod compact;
mod frame;
mod keep;
pub mod packs;
mod reader;
mod records;
mod scrub;
mod seal;
mod stage;

use std::sync::Arc;

use bytes::Bytes;

use crate::content::{Blob, BlobKind, InvalidManifest};
use crate::model::Hash;
use crate::store::{Read, ReadExt as _, Store, StoreError, TransactError};

pub use collect::CollectReport;
pub use compact::CompactReport;
use packs::{PackError, PackStore};
pub use reader::ContentReader;
use records::{BlobKey, BlobRow, Blobs, HeldKey, Leases};
pub use scrub::{ScrubCursor, ScrubReport};
pub use seal::SealError;
use stage::Floors;
pub use stage::{CommitError, STAGE_BYTES_MAX, Staged};

#[cfg(test)]
mod tests;

/// Within what blobs are found: a network at the coordinator, a repository at the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope([u8; 16]);

impl Scope {
    /// Wraps the 16 bytes of an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Who holds a lease or a seal: the bytes of an account's or agent's id. At most [`Holder::BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder(Vec<u8>);

impl Holder {
    /// The most bytes: an id or two.
    pub const BYTES_MAX: usize = 32;

    /// Wraps bytes; `None` when there are too many.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Self::BYTES_MAX).then(|| Self(bytes.to_vec()))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The right to refer to blobs for a while, before anything else does. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who may.
    pub holder: Holder,
    /// Until when.
    pub expires_at_ms: u64,
}

/// What an operator may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepotOptions {
    /// Compress blobs where that saves a tenth. Costs about 2 ms of a core for each MiB of text, next to nothing for what does not
    /// compress.
    pub compress: bool,
    /// How long a blob stays condemned before it is deleted. Longer than any seal, upload batch or read of one content takes.
    pub grace_ms: u64,
    /// A pack of whose bytes less than this share is needed is rewritten, in percent.
    pub compact_below_percent: u8,
}

impl Default for DepotOptions {
    fn default() -> Self {
        Self { compress: true, grace_ms: 6 * 60 * 60 * 1000, compact_below_percent: 50 }
    }
}

/// Why the depot could not do it.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The index could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index could not be changed.
    #[error(transparent)]
    Transaction(#[from] TransactError<StoreError>),
    /// The packs could not be read or written.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// There is no such blob in the scope.
    #[error("no content {0} here")]
    Missing(Hash),
    /// The stored bytes are not what they should be; a scrub says what else is damaged.
    #[error("the stored content {0} is damaged")]
    Damaged(Hash),
    /// A manifest is not what its reference promises.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// More was staged at once than [`STAGE_BYTES_MAX`].
    #[error("{bytes} bytes are too many to stage at once")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
}

/// Blobs and their index. Cheap to clone; clones are the same depot.
#[derive(Debug, Clone)]
pub struct Depot {
    store: Store,
    packs: Arc<dyn PackStore>,
    options: DepotOptions,
    floors: Floors,
}

impl Depot {
    /// Keeps blobs in `packs` and their index in `store`. The two belong together: nobody else writes to the packs.
    #[must_use]
    pub fn new(store: Store, packs: impl PackStore + 'static, options: DepotOptions) -> Self {
        Self { store, packs: Arc::new(packs), options, floors: Floors::default() }
    }

    /// Returns whether a blob is there to be referred to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn holds(read: &impl Read, scope: Scope, hash: Hash) -> Result<bool, StoreError> {
        Ok(kept(read, scope, hash)?.is_some())
    }

    /// Returns whether a blob is there and leased to a holder.
    ///
    /// # Errors
    /// When the store fails.
    pub fn leased(read: &impl Read, scope: Scope, holder: &Holder, hash: Hash, now_ms: u64) -> Result<bool, StoreError> {
        let lease = read.get::<Leases>(&HeldKey { scope, holder: holder.clone(), hash })?;
        Ok(lease.is_some_and(|expires_at_ms| now_ms < expires_at_ms) && Self::holds(read, scope, hash)?)
    }

    /// Reads a blob and verifies it.
    ///
    /// # Errors
    /// [`DepotError::Missing`], [`DepotError::Damaged`], or what the store or the packs say.
    pub async fn read(&self, scope: Scope, hash: Hash) -> Result<Bytes, DepotError> {
        let mut row = self.row(scope, hash)?;
        loop {
            match self.read_at(scope, hash, &row).await {
                // Compaction may have moved it meanwhile.
                Err(DepotError::Damaged(_)) => {
                    let latest = self.row(scope, hash)?;
                    if latest.at == row.at {
                        return Err(DepotError::Damaged(hash));
                    }
                    row = latest;
                }
                other => return other.map(Blob::into_bytes),
            }
        }
    }

    fn row(&self, scope: Scope, hash: Hash) -> Result<BlobRow, DepotError> {
        self.store.read(|rows| rows.get::<Blobs>(&BlobKey { scope, hash }))?.ok_or(DepotError::Missing(hash))
    }

    /// Reads and verifies what a row of the index promises.
    async fn read_at(&self, scope: Scope, hash: Hash, row: &BlobRow) -> Result<Blob, DepotError> {
        let frame = match self.packs.read(row.at).await {
            Err(PackError::Gone { .. }) => return Err(DepotError::Damaged(hash)),
            other => other?,
        };
        frame::decode(scope, BlobKind::from(row.kind), hash, frame)
            .filter(|blob| blob.bytes().len() == row.length as usize)
            .ok_or(DepotError::Damaged(hash))
    }
}

/// Returns the row of a blob that can be referred to.
fn kept(read: &impl Read, scope: Scope, hash: Hash) -> Result<Option<BlobRow>, StoreError> {
    Ok(read.get::<Blobs>(&BlobKey { scope, hash })?.filter(BlobRow::is_kept))
}

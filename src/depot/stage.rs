//! Getting blobs in: their bytes first, durable in the packs, then their rows, in the caller's transaction.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::Encoder;
use super::packs::{Location, PackStore};
use super::records::{BlobKey, BlobRow, BlobState, Blobs, HeldKey, Leases, StoredKind};
use super::{Depot, DepotError, Lease, Scope, kept};
use crate::content::Blob;
use crate::model::Hash;
use crate::store::{ReadExt as _, StoreError, Write, WriteExt as _};

/// The most bytes that are staged at once: they are held in memory until they are flushed.
pub const STAGE_BYTES_MAX: usize = 64 << 20;
/// After encoding this much the executor's other tasks get their turn.
const TURN_BYTES: usize = 1 << 20;

/// For each staging under way, the least pack that its bytes may be in. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Floors(Arc<Mutex<Register>>);

#[derive(Debug, Default)]
struct Register {
    next: u64,
    floors: BTreeMap<u64, u32>,
}

/// Leaves the register when the last clone of a [`Staged`] is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    floors: Floors,
    id: u64,
}

impl Floors {
    fn with<T>(&self, work: impl FnOnce(&mut Register) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers before anything is appended.
    pub(super) fn enter(&self, packs: &dyn PackStore) -> Entered {
        let id = self.with(|register| {
            register.next += 1;
            register.floors.insert(register.next, packs.floor());
            register.next
        });
        Entered { floors: self.clone(), id }
    }

    /// Returns the pack from which on nothing may be touched: it is appended to, or what was appended may still be committed.
    pub(super) fn least(&self, packs: &dyn PackStore) -> u32 {
        self.with(|register| register.floors.values().copied().min().unwrap_or(u32::MAX).min(packs.floor()))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.floors.with(|register| register.floors.remove(&self.id));
    }
}

/// Blobs whose bytes are durable and which nothing refers to yet. Cheap to clone: keep one until the transaction has ended.
#[derive(Debug, Clone)]
pub struct Staged {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    scope: Scope,
    blobs: Vec<StagedBlob>,
    _entered: Entered,
}

#[derive(Debug)]
struct StagedBlob {
    hash: Hash,
    kind: StoredKind,
    length: u32,
    /// Where it was appended; nothing when it was there already.
    at: Option<Location>,
}

impl Staged {
    /// Returns the hashes of what was staged.
    pub fn hashes(&self) -> impl Iterator<Item = Hash> {
        self.inner.blobs.iter().map(|blob| blob.hash)
    }
}

/// Why what was staged could not be committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob that was there when it was staged has been collected since. Stage it again.
    #[error("content {0} was collected after it was staged")]
    Collected(Hash),
}

impl Depot {
    /// Appends blobs to the packs and makes them durable with one flush, which calls at the same time share. What the scope has
    /// already is not appended again. Nothing refers to the blobs yet.
    ///
    /// # Errors
    /// [`DepotError::TooLarge`], or what the store or the packs say; then nothing is staged.
    pub async fn stage(&self, scope: Scope, blobs: &[Blob]) -> Result<Staged, DepotError> {
        let bytes = blobs.iter().map(|blob| blob.bytes().len()).sum();
        if bytes > STAGE_BYTES_MAX {
            return Err(DepotError::TooLarge { bytes });
        }
        let entered = self.floors.enter(&*self.packs);
        let mut seen = HashSet::new();
        let mut staged: Vec<StagedBlob> = Vec::with_capacity(blobs.len());
        let mut encoder = Encoder::new(self.options.compress);
        let known = self.known(scope, blobs)?;
        let mut turn = 0;
        for blob in blobs.iter().filter(|blob| seen.insert(blob.hash())) {
            let at = (!known.contains(&blob.hash())).then(|| {
                let (offset, length) = encoder.push(scope, blob);
                Location { pack: 0, offset, length }
            });
            staged.push(StagedBlob { hash: blob.hash(), kind: blob.kind().into(), length: blob.bytes().len() as u32, at });
            turn += blob.bytes().len();
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        let frames = encoder.finish();
        if !frames.is_empty() {
            let (pack, start) = self.packs.append(frames).await?;
            for at in staged.iter_mut().filter_map(|blob| blob.at.as_mut()) {
                at.pack = pack;
                at.offset += start;
            }
        }
        Ok(Staged { inner: Arc::new(Inner { scope, blobs: staged, _entered: entered }) })
    }

    fn known(&self, scope: Scope, blobs: &[Blob]) -> Result<HashSet<Hash>, StoreError> {
        self.store.read(|rows| {
            let mut known = HashSet::new();
            for blob in blobs {
                if kept(rows, scope, blob.hash())?.is_some() {
                    known.insert(blob.hash());
                }
            }
            Ok(known)
        })
    }

    /// Writes the rows of what was staged, as part of the caller's transaction; with a lease, the right to refer to it for a while.
    /// Without one the same transaction has to make something refer to it.
    ///
    /// # Errors
    /// [`CommitError::Collected`], or the store fails.
    pub fn commit(transaction: &mut impl Write, staged: &Staged, lease: Option<&Lease>) -> Result<(), CommitError> {
        let scope = staged.inner.scope;
        for blob in &staged.inner.blobs {
            let StagedBlob { hash, kind, length, at } = *blob;
            let key = BlobKey { scope, hash };
            let row = transaction.get::<Blobs>(&key)?;
            if !row.as_ref().is_some_and(BlobRow::is_kept) {
                // Its own copy, if there is one, rather than what may be damaged.
                let sound = row.filter(|row| row.state != BlobState::Damaged).map(|row| row.at);
                let at = at.or(sound).ok_or(CommitError::Collected(hash))?;
                transaction.put::<Blobs>(&key, &BlobRow { kind, length, at, state: BlobState::Kept })?;
            }
            if let Some(Lease { holder, expires_at_ms }) = lease {
                let key = HeldKey { scope, holder: holder.clone(), hash };
                if transaction.get::<Leases>(&key)?.is_none_or(|earlier| earlier < *expires_at_ms) {
                    transaction.put::<Leases>(&key, expires_at_ms)?;
                }
            }
        }
        Ok(())
    }
}

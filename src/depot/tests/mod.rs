//! What the depot promises, on packs in memory that fail when told to.

use crate::content::{BlobKind, ChunkerParameters, ManifestBuilder, split};
use crate::model::ContentRef;

use super::packs::PackLog;
use super::packs::memory::{MemoryDirectory, PackFaults};
use super::*;

mod collecting;
mod crashes;
mod keeping;
mod sealing;

const SCOPE: Scope = Scope::from_bytes([1; 16]);
const OTHER: Scope = Scope::from_bytes([2; 16]);
const GRACE_MS: u64 = 1000;
const PACK_BYTES: u64 = 1 << 20;

/// A depot and what is beneath it.
struct World {
    store: Store,
    directory: MemoryDirectory,
    depot: Depot,
}

impl World {
    fn new() -> Self {
        Self::on(Store::memory(), MemoryDirectory::default())
    }

    fn on(store: Store, directory: MemoryDirectory) -> Self {
        let packs = PackLog::open_inline(directory.clone(), PACK_BYTES).expect("a directory in memory");
        let options = DepotOptions { grace_ms: GRACE_MS, ..DepotOptions::default() };
        Self { depot: Depot::new(store.clone(), packs, options), store, directory }
    }

    /// Ends the process without a word; of what was not flushed `keep` bytes a pack are left. Then starts it again.
    fn crash(self, keep: usize) -> Self {
        self.directory.lose_power(keep);
        Self::on(self.store, self.directory)
    }

    async fn stage(&self, blobs: &[Blob]) -> Staged {
        self.depot.stage(SCOPE, blobs).await.expect("room for all")
    }

    async fn commit(&self, staged: &Staged, lease: Option<Lease>) -> Result<(), TransactError<CommitError>> {
        let staged = staged.clone();
        self.store.transact(move |transaction| Depot::commit(transaction, &staged, lease.as_ref())).await
    }

    /// Keeps a document, leased if there is a lease.
    async fn keep(&self, bytes: &[u8], lease: Option<Lease>) -> ContentRef {
        let (content, blobs) = cut(bytes);
        let staged = self.stage(&blobs).await;
        self.commit(&staged, lease).await.expect("nothing was collected");
        content
    }

    async fn read(&self, content: &ContentRef) -> Result<Vec<u8>, DepotError> {
        let mut reader = self.depot.content(SCOPE, content, 0..content.size_bytes)?;
        let mut bytes = Vec::new();
        while let Some(piece) = reader.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn holds(&self, blob: &Blob) -> bool {
        self.store.read(|rows| Depot::holds(rows, SCOPE, blob.hash())).expect("a store in memory")
    }

    fn leased(&self, holder: &str, blob: &Blob, now_ms: u64) -> bool {
        self.store.read(|rows| Depot::leased(rows, SCOPE, &by(holder, 0).holder, blob.hash(), now_ms)).expect("a store in memory")
    }

    async fn collect(&self, live: &[ContentRef], now_ms: u64) -> CollectReport {
        self.depot.collect(SCOPE, live.iter().copied().map(Ok), now_ms).await.expect("everything can be read")
    }

    async fn packs(&self) -> Vec<u32> {
        self.depot.packs.list().await.expect("a directory in memory").into_iter().map(|(pack, _)| pack).collect()
    }
}

fn by(holder: &str, expires_at_ms: u64) -> Lease {
    Lease { holder: Holder::new(holder.as_bytes()).expect("a short name"), expires_at_ms }
}

/// Bytes that look random and depend on nothing but the seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn chunk(bytes: &[u8]) -> Blob {
    Blob::new(BlobKind::Chunk, Bytes::copy_from_slice(bytes))
}

/// Returns a document's reference, and its chunks and pages, the root last.
fn cut(bytes: &[u8]) -> (ContentRef, Vec<Blob>) {
    let mut blobs = Vec::new();
    let content = split(bytes, ChunkerParameters::DEFAULT, |blob| {
        blobs.push(blob);
        Ok::<_, std::io::Error>(())
    });
    (content.expect("a slice can be read"), blobs)
}

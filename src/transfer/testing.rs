//! What tests move: noise, cut as a document is, and where its pages are kept.

use super::Bytewise;
use crate::content::{Blob, ChunkerParameters, split};
use crate::depot::packs::memory::MemoryDirectory;
use crate::depot::packs::{PACK_BYTES_MAX, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::model::ContentRef;
use crate::store::Store;

pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Cuts a content into its pages and chunks.
pub(crate) fn cut(bytes: &[u8]) -> (ContentRef, Vec<Blob>) {
    let mut blobs = Vec::new();
    let content = split::<std::io::Error>(bytes, ChunkerParameters::DEFAULT, |blob| {
        blobs.push(blob);
        Ok(())
    });
    (content.unwrap(), blobs)
}

pub(crate) fn depot() -> Depot {
    Depot::new(Store::memory(), PackLog::open_inline(MemoryDirectory::default(), PACK_BYTES_MAX).unwrap(), DepotOptions::default())
}

/// A document in memory, which nobody writes to.
pub(crate) struct InMemory(pub(crate) Vec<u8>);

impl Bytewise for InMemory {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn is_unchanged(&self) -> bool {
        true
    }
}

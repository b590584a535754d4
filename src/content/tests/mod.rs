//! What cutting, listing and comparing promise, shown on made-up documents.

use std::collections::HashMap;
use std::io::Read;

use bytes::Bytes;

use crate::model::{ContentRef, Hash};

use super::*;

mod chunks;
mod hostile;
mod trees;

/// Blobs by kind and hash, as a store would hold them.
#[derive(Debug, Default)]
struct Blobs(HashMap<(BlobKind, Hash), Bytes>);

impl Blobs {
    fn put(&mut self, blob: Blob) {
        self.0.insert((blob.kind(), blob.hash()), blob.into_bytes());
    }

    fn split(&mut self, bytes: &[u8]) -> ContentRef {
        split(bytes, ChunkerParameters::DEFAULT, |blob| {
            self.put(blob);
            Ok::<_, std::io::Error>(())
        })
        .expect("a slice can be read")
    }

    fn page(&self, hash: Hash) -> &Bytes {
        &self.0[&(BlobKind::Page, hash)]
    }

    fn walk(&self, mut walk: Walk) -> Vec<ChunkEntry> {
        let mut chunks = Vec::new();
        while let Some(step) = walk.step() {
            match step {
                Step::Page { entry, .. } => walk.supply(self.page(entry.hash)).expect("a page of ours"),
                Step::Chunk(chunk) => chunks.push(chunk),
            }
        }
        chunks
    }

    fn read(&self, content: &ContentRef) -> Vec<u8> {
        let mut bytes = Vec::new();
        for chunk in self.walk(Walk::new(content).expect("a possible reference")) {
            assert_eq!(chunk.offset, bytes.len() as u64);
            bytes.extend_from_slice(&self.0[&(BlobKind::Chunk, chunk.hash)]);
        }
        bytes
    }

    /// Returns how many pages were loaded, the new pages and the new chunks.
    fn difference(&self, base: Option<&ContentRef>, new: &ContentRef) -> (usize, Vec<Hash>, Vec<ChunkEntry>) {
        let (mut loads, mut pages, mut chunks) = (0, Vec::new(), Vec::new());
        let mut difference = Difference::new(base, new).expect("possible references");
        while let Some(step) = difference.step().expect("possible references") {
            match step {
                DifferenceStep::Load(_, hash) => {
                    loads += 1;
                    difference.supply(self.page(hash)).expect("a page of ours");
                }
                DifferenceStep::Page(hash) => pages.push(hash),
                DifferenceStep::Chunk(chunk) => chunks.push(chunk),
            }
        }
        (loads, pages, chunks)
    }
}

/// Bytes that look random and depend on nothing but the seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Hands out at most `.1` bytes at a time, and is interrupted before each.
struct Trickle<'a>(&'a [u8], usize, bool);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.2 = !self.2;
        if self.2 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

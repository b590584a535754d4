//! The stored form of a blob in a pack. It says itself what it is, so that an index could be rebuilt from packs alone.
//!
//! ```text
//! "SKYF" | format u8 = 1 | kind u8 | encoding u8 | scope 16 | hash 32 | length u32 | stored length u32 | stored bytes
//! ```

use bytes::Bytes;

use super::Scope;
use crate::content::chunker::PARAMETER_BYTES_MAX;
use crate::content::{Blob, BlobKind, page};
use crate::model::Hash;

const MAGIC: [u8; 4] = *b"SKYF";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 63;
/// Shorter blobs are stored as they are: the most that could be saved is not worth the work.
const COMPRESS_BYTES_MIN: usize = 512;
/// The fastest level: 530 MB/s on text and ten times that on what does not compress, so nothing is sampled first.
const LEVEL: i32 = 1;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// Returns the most bytes that a blob of a kind may have. It limits what is decompressed.
pub(crate) const fn bytes_max(kind: BlobKind) -> usize {
    match kind {
        BlobKind::Chunk => PARAMETER_BYTES_MAX as usize,
        BlobKind::Page => page::PAGE_BYTES_MAX,
    }
}

/// Writes frames, one behind the other. Keeps the compressor, whose making costs more than a small blob's compression.
pub(crate) struct Encoder {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    frames: Vec<u8>,
}

impl Encoder {
    /// Starts with no frames. Without a compressor, because none is wanted or there is no memory for it, blobs are stored as they are.
    pub(crate) fn new(compress: bool) -> Self {
        let compressor = compress.then(|| zstd::bulk::Compressor::new(LEVEL).ok()).flatten();
        Self { compressor, frames: Vec::new() }
    }

    /// Appends a blob's frame, compressed where that saves a tenth; returns where it begins and how long it is.
    pub(crate) fn push(&mut self, scope: Scope, blob: &Blob) -> (u64, u32) {
        let bytes = blob.bytes();
        let compressed = self
            .compressor
            .as_mut()
            .filter(|_| bytes.len() >= COMPRESS_BYTES_MIN)
            .and_then(|compressor| compressor.compress(bytes).ok())
            .filter(|compressed| compressed.len() <= bytes.len() - bytes.len() / 10);
        let (encoding, stored) = compressed.as_deref().map_or((RAW, &bytes[..]), |compressed| (ZSTD, compressed));
        let start = self.frames.len();
        self.frames.extend(MAGIC);
        self.frames.extend([FORMAT, kind_byte(blob.kind()), encoding]);
        self.frames.extend(scope.as_bytes());
        self.frames.extend(blob.hash().as_bytes());
        self.frames.extend((bytes.len() as u32).to_le_bytes());
        self.frames.extend((stored.len() as u32).to_le_bytes());
        self.frames.extend_from_slice(stored);
        (start as u64, (self.frames.len() - start) as u32)
    }

    /// Returns the frames.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.frames
    }
}

/// Reads the blob that the index promises from its frame; `None` when the frame holds anything else. Decompresses no more than a blob
/// of its kind may have.
pub(crate) fn decode(scope: Scope, kind: BlobKind, hash: Hash, frame: Vec<u8>) -> Option<Blob> {
    let (header, stored) = frame.split_at_checked(HEADER_BYTES)?;
    let expected = [&MAGIC[..], &[FORMAT, kind_byte(kind)]].concat();
    let length = u32::from_le_bytes(header[55..59].try_into().ok()?) as usize;
    let stored_length = u32::from_le_bytes(header[59..63].try_into().ok()?) as usize;
    let is_it = header[..6] == expected && header[7..23] == *scope.as_bytes() && header[23..55] == *hash.as_bytes();
    if !is_it || stored_length != stored.len() || length > bytes_max(kind) {
        return None;
    }
    let bytes = match header[6] {
        RAW => Bytes::from(frame).split_off(HEADER_BYTES),
        ZSTD => Bytes::from(zstd::bulk::decompress(stored, length).ok()?),
        _ => return None,
    };
    if bytes.len() == length { Blob::verified(kind, hash, bytes) } else { None }
}

const fn kind_byte(kind: BlobKind) -> u8 {
    match kind {
        BlobKind::Chunk => 0,
        BlobKind::Page => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope::from_bytes([7; 16]);

    fn framed(blob: &Blob, compress: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(compress);
        encoder.push(SCOPE, blob);
        encoder.finish()
    }

    fn chunk(bytes: &[u8]) -> Blob {
        Blob::new(BlobKind::Chunk, Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn frames_are_pinned() {
        let blob = chunk(b"abc");
        let hash = blake3::hash(b"abc");
        let expected = [&b"SKYF\x01\x00\x00"[..], &[7; 16], hash.as_bytes(), &[3, 0, 0, 0, 3, 0, 0, 0], b"abc"];
        assert_eq!(framed(&blob, true), expected.concat());
    }

    #[test]
    fn a_blob_comes_back_however_it_is_stored() {
        let mut noise = vec![0; 4096];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for (bytes, smaller) in [(vec![], false), (vec![b'a'; 511], false), (vec![b'a'; 4096], true), (noise, false)] {
            for kind in [BlobKind::Chunk, BlobKind::Page] {
                let blob = Blob::new(kind, Bytes::copy_from_slice(&bytes));
                for compress in [false, true] {
                    let frame = framed(&blob, compress);
                    assert_eq!(frame.len() < HEADER_BYTES + bytes.len(), compress && smaller);
                    assert_eq!(decode(SCOPE, kind, blob.hash(), frame), Some(blob.clone()));
                }
            }
        }
    }

    #[test]
    fn edge_z09_what_the_index_did_not_promise_is_not_handed_out() {
        let blob = chunk(&[b'a'; 2000]);
        let frame = framed(&blob, false);
        assert!(decode(SCOPE, BlobKind::Chunk, blob.hash(), frame.clone()).is_some());
        assert_eq!(decode(Scope::from_bytes([8; 16]), BlobKind::Chunk, blob.hash(), frame.clone()), None);
        assert_eq!(decode(SCOPE, BlobKind::Page, blob.hash(), frame.clone()), None);
        assert_eq!(decode(SCOPE, BlobKind::Chunk, chunk(b"b").hash(), frame.clone()), None);
        for good in [frame, framed(&blob, true)] {
            for at in 0..good.len() {
                let mut damaged = good.clone();
                damaged[at] ^= 1;
                let read = decode(SCOPE, BlobKind::Chunk, blob.hash(), damaged.clone());
                assert!(read.is_none_or(|read| read == blob), "byte {at}");
                damaged.truncate(at);
                assert_eq!(decode(SCOPE, BlobKind::Chunk, blob.hash(), damaged), None);
            }
        }
    }

    #[test]
    fn edge_z09_a_compressed_bomb_is_not_blown_up() {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 28], LEVEL).expect("zeros can be compressed");
        let hash = BlobKind::Chunk.hash(&[0; 100]);
        for length in [100, 2 << 20, u32::MAX] {
            let mut frame = framed(&chunk(&[0; 100]), false);
            frame[6] = ZSTD;
            frame[55..59].copy_from_slice(&length.to_le_bytes());
            frame[59..63].copy_from_slice(&(bomb.len() as u32).to_le_bytes());
            frame.truncate(HEADER_BYTES);
            frame.extend_from_slice(&bomb);
            assert_eq!(decode(SCOPE, BlobKind::Chunk, hash, frame), None);
        }
    }
}

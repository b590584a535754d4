//! The unit in which content is stored and sent: a chunk or a manifest page, with the hash that names it.

use bytes::Bytes;

use crate::model::Hash;

/// Sets the hashes of pages apart from those of chunks. Part of every stored and sent reference: never change it.
const PAGE_CONTEXT: &str = "skybridge 2026-01 manifest page";

/// What a blob is. A chunk and a page of the same bytes have different hashes, so neither can be passed off as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlobKind {
    /// A piece of a document; named by its plain BLAKE3.
    Chunk,
    /// A manifest page; named by a BLAKE3 in key derivation mode.
    Page,
}

impl BlobKind {
    /// Returns the hash that names these bytes as a blob of this kind.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> Hash {
        Hash::from_bytes(match self {
            Self::Chunk => blake3::hash(bytes).into(),
            Self::Page => blake3::derive_key(PAGE_CONTEXT, bytes),
        })
    }
}

/// Bytes that are known to match their hash: it was computed from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    kind: BlobKind,
    hash: Hash,
    bytes: Bytes,
}

impl Blob {
    /// Hashes the bytes.
    #[must_use]
    pub fn new(kind: BlobKind, bytes: Bytes) -> Self {
        Self { kind, hash: kind.hash(&bytes), bytes }
    }

    /// Takes bytes that somebody claims to have this hash; `None` when they do not.
    #[must_use]
    pub fn verified(kind: BlobKind, claimed: Hash, bytes: Bytes) -> Option<Self> {
        let blob = Self::new(kind, bytes);
        (blob.hash == claimed).then_some(blob)
    }

    /// Returns what it is.
    #[must_use]
    pub const fn kind(&self) -> BlobKind {
        self.kind
    }

    /// Returns the hash that names it.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Returns its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Takes its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

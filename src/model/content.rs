//! What a document holds, by reference.

use serde::{Deserialize, Serialize};

/// A BLAKE3 hash of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Wraps 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a hash from a slice; `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The identity of a document's bytes: the root of their manifest and their length. Equal references mean equal bytes.
///
/// A content of one chunk (or none) has `height` 0 and `root` is the BLAKE3 of the bytes themselves. A taller one has a tree
/// of manifest pages above its chunks, and `root` is the hash of the top page (see [`crate::content`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentRef {
    /// The hash of the one chunk, or of the top manifest page.
    pub root: Hash,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Levels of manifest pages above the chunks; at most [`ContentRef::HEIGHT_MAX`].
    pub height: u8,
}

impl ContentRef {
    /// The tallest tree that is accepted; at the default page size far more than 2^64 bytes.
    pub const HEIGHT_MAX: u8 = 8;
}

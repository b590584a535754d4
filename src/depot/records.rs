//! What the depot keeps in the store: where each blob is, who leased it, and which whole contents were sealed.

use serde::{Deserialize, Serialize};

use super::packs::Location;
use super::{Holder, Scope};
use crate::content::BlobKind;
use crate::model::{ContentRef, Hash};
use crate::store::{CorruptKey, Key, KeyPrefix, Record, Table};

impl Key for Scope {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Key::take(bytes).map(Self::from_bytes)
    }
}

impl Key for Holder {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().encode(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Self::new(&<Vec<u8> as Key>::take(bytes)?).ok_or(CorruptKey { expected: "a holder" })
    }
}

/// The key of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlobKey {
    pub(crate) scope: Scope,
    pub(crate) hash: Hash,
}

impl Key for BlobKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.scope.encode(out);
        self.hash.encode(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Ok(Self { scope: Key::take(bytes)?, hash: Key::take(bytes)? })
    }
}

impl KeyPrefix<BlobKey> for Scope {}

/// The key of a lease or seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldKey {
    pub(crate) scope: Scope,
    pub(crate) holder: Holder,
    pub(crate) hash: Hash,
}

impl Key for HeldKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.scope.encode(out);
        self.holder.encode(out);
        self.hash.encode(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Ok(Self { scope: Key::take(bytes)?, holder: Key::take(bytes)?, hash: Key::take(bytes)? })
    }
}

impl KeyPrefix<HeldKey> for Scope {}

/// Whether a blob can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BlobState {
    /// It is there.
    Kept,
    /// Nothing was found to refer to it; it is deleted once it has been so for the grace time. Staging it again keeps it.
    Condemned { since_ms: u64 },
    /// Its bytes were found damaged. Staging it again replaces them.
    Damaged,
}

/// Where a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRow {
    pub(crate) kind: StoredKind,
    /// Its own length, before compression.
    pub(crate) length: u32,
    pub(crate) at: Location,
    pub(crate) state: BlobState,
}

impl BlobRow {
    pub(crate) const fn is_kept(&self) -> bool {
        matches!(self.state, BlobState::Kept)
    }
}

/// [`BlobKind`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredKind {
    Chunk,
    Page,
}

impl From<BlobKind> for StoredKind {
    fn from(kind: BlobKind) -> Self {
        match kind {
            BlobKind::Chunk => Self::Chunk,
            BlobKind::Page => Self::Page,
        }
    }
}

impl From<StoredKind> for BlobKind {
    fn from(kind: StoredKind) -> Self {
        match kind {
            StoredKind::Chunk => Self::Chunk,
            StoredKind::Page => Self::Page,
        }
    }
}

/// The index. One row a blob; the keys come in random order, which costs more than the bytes.
pub(crate) struct Blobs;

impl Record for Blobs {
    const TABLE: Table = Table::Blob;
    const FORMAT: u8 = 1;
    type Key = BlobKey;
    type Value = BlobRow;
}

/// Who may refer to a blob before a content that they may read has it, and until when (milliseconds since 1970).
pub(crate) struct Leases;

impl Record for Leases {
    const TABLE: Table = Table::BlobLease;
    const FORMAT: u8 = 1;
    type Key = HeldKey;
    type Value = u64;
}

/// A whole content that was checked for a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealRow {
    pub(crate) content: ContentRef,
    pub(crate) expires_at_ms: u64,
}

/// Contents that were sealed, by their root.
pub(crate) struct Seals;

impl Record for Seals {
    const TABLE: Table = Table::ContentSeal;
    const FORMAT: u8 = 1;
    type Key = HeldKey;
    type Value = SealRow;
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::store::{Order, Read as _, ReadExt as _, Store, StoreError, WriteExt as _};

    /// Puts a row and returns its stored key and value.
    fn stored<R: Record<Key: Clone + Send + 'static, Value: Copy + Send + PartialEq + std::fmt::Debug + 'static>>(
        key: &R::Key,
        value: R::Value,
    ) -> (Vec<u8>, Vec<u8>) {
        let store = Store::memory();
        let put = key.clone();
        block_on(store.transact::<_, StoreError>(move |transaction| transaction.put::<R>(&put, &value))).expect("a small transaction");
        store
            .read(|rows| {
                assert_eq!(rows.get::<R>(key)?, Some(value));
                assert_eq!(rows.scan::<R>(&(), None, 2)?.len(), 1);
                Ok::<_, StoreError>(rows.scan_raw(&[], None, 2, Order::Ascending)?.remove(0))
            })
            .expect("a readable store")
    }

    #[test]
    fn rows_are_pinned() {
        let (scope, hash) = (Scope::from_bytes([2; 16]), Hash::from_bytes([3; 32]));
        let at = Location { pack: 300, offset: 5, length: 6 };
        for (kind, state, expected) in [
            (StoredKind::Chunk, BlobState::Kept, &[1, 0, 7, 0xac, 2, 5, 6, 0][..]),
            (StoredKind::Page, BlobState::Condemned { since_ms: 9 }, &[1, 1, 7, 0xac, 2, 5, 6, 1, 9]),
            (StoredKind::Chunk, BlobState::Damaged, &[1, 0, 7, 0xac, 2, 5, 6, 2]),
        ] {
            let (key, value) = stored::<Blobs>(&BlobKey { scope, hash }, BlobRow { kind, length: 7, at, state });
            assert_eq!((key, value), ([&[1][..], &[2; 16], &[3; 32]].concat(), expected.to_vec()));
        }
        let holder = Holder::new(b"a\0b").expect("a short holder");
        let held = HeldKey { scope, holder, hash };
        let tail = [&[2; 16][..], b"a\0\xffb\0\0", &[3; 32]].concat();
        assert_eq!(stored::<Leases>(&held, 300), ([&[2], &tail[..]].concat(), vec![1, 0xac, 2]));
        let content = ContentRef { root: hash, size_bytes: 4, height: 0 };
        let (key, value) = stored::<Seals>(&held, SealRow { content, expires_at_ms: 5 });
        assert_eq!((key, value), ([&[3], &tail[..]].concat(), [&[1][..], &[3; 32], &[4, 0, 5]].concat()));
    }
}

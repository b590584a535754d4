//! Finding out which blobs nothing needs any more: mark from what is live, condemn the rest, and delete what has been condemned for
//! the grace time.

use std::collections::HashSet;

use super::records::{BlobKey, BlobRow, BlobState, Blobs, HeldKey, Leases, Seals};
use super::{Depot, DepotError, Scope};
use crate::content::{Step, Walk};
use crate::model::{ContentRef, Hash};
use crate::store::{KeyPrefix, ReadExt as _, Record, StoreError, WriteExt as _};

/// Rows that are read, or changed, at once.
const ROWS: usize = 1000;
/// Manifest pages whose subtrees are remembered as marked. Beyond it shared pages are walked again.
const PAGES_MAX: usize = 1 << 20;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectReport {
    /// Contents that it marked from: those that were given, and sealed ones.
    pub roots: u64,
    /// Blobs that nothing refers to, as from now.
    pub condemned: u64,
    /// Blobs that were condemned and are referred to again.
    pub reprieved: u64,
    /// Blobs that were deleted from the index.
    pub deleted: u64,
    /// Leases and seals that had expired.
    pub expired: u64,
}

/// What happens to a row.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Condemn,
    Reprieve,
    Delete,
}

impl Depot {
    /// Collects one scope: marks what `live` (every content that anything refers to) and unexpired leases and seals need, condemns
    /// what is not marked, and deletes what was condemned before for the grace time.
    ///
    /// `live` may be read while documents change: a content that moves from one place to another and is overlooked twice, the grace
    /// time apart, is the only thing that could be lost, so yield from one snapshot, or old places after new ones.
    ///
    /// # Errors
    /// When a page of a live content cannot be read: what is beneath it is unknown, so nothing is condemned or deleted.
    pub async fn collect(
        &self,
        scope: Scope,
        live: impl IntoIterator<Item = Result<ContentRef, StoreError>>,
        now_ms: u64,
    ) -> Result<CollectReport, DepotError> {
        let mut report = CollectReport::default();
        let mut marks = Marks::new(self.count(scope)?, now_ms);
        let mut pages = HashSet::new();
        let leases = self.held::<Leases>(scope, now_ms, |expires_at_ms| *expires_at_ms, &mut report).await?;
        leases.iter().for_each(|(key, _)| marks.insert(key.hash));
        let seals = self.held::<Seals>(scope, now_ms, |seal| seal.expires_at_ms, &mut report).await?;
        for content in seals.into_iter().map(|(_, seal)| Ok(seal.content)).chain(live) {
            report.roots += 1;
            self.mark(scope, &content?, &mut marks, &mut pages).await?;
        }
        self.sweep(scope, &marks, now_ms, &mut report).await?;
        Ok(report)
    }

    fn count(&self, scope: Scope) -> Result<usize, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let rows = self.store.read(|rows| rows.scan::<Blobs>(&scope, after.as_ref(), ROWS))?;
            let Some((last, _)) = rows.last() else { return Ok(count) };
            after = Some(*last);
            count += rows.len();
        }
    }

    /// Returns the unexpired records of a kind and deletes the others.
    async fn held<R>(
        &self,
        scope: Scope,
        now_ms: u64,
        expires_at_ms: impl Fn(&R::Value) -> u64,
        report: &mut CollectReport,
    ) -> Result<Vec<(HeldKey, R::Value)>, DepotError>
    where
        R: Record<Key = HeldKey>,
        Scope: KeyPrefix<R::Key>,
    {
        let (mut held, mut after) = (Vec::new(), None);
        loop {
            let rows = self.store.read(|rows| rows.scan::<R>(&scope, after.as_ref(), ROWS))?;
            let Some((last, _)) = rows.last() else { return Ok(held) };
            after = Some(last.clone());
            let (expired, unexpired): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, value)| expires_at_ms(value) <= now_ms);
            held.extend(unexpired);
            report.expired += expired.len() as u64;
            let keys: Vec<_> = expired.into_iter().map(|(key, _)| key).collect();
            if !keys.is_empty() {
                self.store
                    .transact::<_, StoreError>(move |transaction| keys.iter().try_for_each(|key| transaction.delete::<R>(key)))
                    .await?;
            }
        }
    }

    async fn mark(&self, scope: Scope, content: &ContentRef, marks: &mut Marks, pages: &mut HashSet<Hash>) -> Result<(), DepotError> {
        let mut walk = Walk::new(content)?;
        while let Some(step) = walk.step() {
            match step {
                Step::Chunk(chunk) => marks.insert(chunk.hash),
                Step::Page { entry, .. } if pages.contains(&entry.hash) => walk.skip(),
                Step::Page { entry, .. } => {
                    walk.supply(&self.read(scope, entry.hash).await?)?;
                    marks.insert(entry.hash);
                    if pages.len() < PAGES_MAX {
                        pages.insert(entry.hash);
                    }
                }
            }
        }
        Ok(())
    }

    async fn sweep(&self, scope: Scope, marks: &Marks, now_ms: u64, report: &mut CollectReport) -> Result<(), DepotError> {
        let mut after = None;
        loop {
            let rows = self.store.read(|rows| rows.scan::<Blobs>(&scope, after.as_ref(), ROWS))?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(*last);
            let grace_ms = self.options.grace_ms;
            let judged: Vec<_> = rows
                .into_iter()
                .filter_map(|(key, row)| Some((key, row, judge(&row, marks.contains(key.hash), now_ms, grace_ms)?)))
                .collect();
            if judged.is_empty() {
                continue;
            }
            let done = self.store.transact::<_, StoreError>(move |transaction| execute(transaction, &judged, now_ms)).await?;
            report.condemned += done.condemned;
            report.reprieved += done.reprieved;
            report.deleted += done.deleted;
        }
    }
}

fn judge(row: &BlobRow, needed: bool, now_ms: u64, grace_ms: u64) -> Option<Verdict> {
    match (row.state, needed) {
        (BlobState::Kept | BlobState::Damaged, false) => Some(Verdict::Condemn),
        (BlobState::Condemned { .. }, true) => Some(Verdict::Reprieve),
        (BlobState::Condemned { since_ms }, false) if since_ms.saturating_add(grace_ms) <= now_ms => Some(Verdict::Delete),
        _ => None,
    }
}

/// Does what was decided, where the row is still the one that was judged and nobody got a lease on it meanwhile.
fn execute(
    transaction: &mut crate::store::Transaction<'_>,
    judged: &[(BlobKey, BlobRow, Verdict)],
    now_ms: u64,
) -> Result<CollectReport, StoreError> {
    let mut done = CollectReport::default();
    for (key, row, verdict) in judged {
        if transaction.get::<Blobs>(key)?.as_ref() != Some(row) {
            continue;
        }
        match verdict {
            Verdict::Condemn => {
                done.condemned += 1;
                transaction.put::<Blobs>(key, &BlobRow { state: BlobState::Condemned { since_ms: now_ms }, ..*row })?;
            }
            Verdict::Reprieve => {
                done.reprieved += 1;
                transaction.put::<Blobs>(key, &BlobRow { state: BlobState::Kept, ..*row })?;
            }
            Verdict::Delete => {
                done.deleted += 1;
                transaction.delete::<Blobs>(key)?;
            }
        }
    }
    Ok(done)
}

/// A set of hashes in 2 bytes each, whatever their number. It may claim to contain what it does not (one in 400), which keeps a
/// blob for a collection longer; the salt changes with each, so that no blob is kept for ever.
struct Marks {
    words: Vec<u64>,
    salt: u64,
}

impl Marks {
    const BITS_EACH: usize = 16;
    /// With few blobs there is room to be exact.
    const WORDS_MIN: usize = 4096;

    fn new(count: usize, salt: u64) -> Self {
        Self { words: vec![0; (count * Self::BITS_EACH).div_ceil(64).max(Self::WORDS_MIN)], salt }
    }

    fn bits(&self, hash: Hash) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (count, salt) = (self.words.len() as u64 * 64, self.salt | 1);
        let parts: [u64; 4] = std::array::from_fn(|part| {
            let bytes = hash.as_bytes();
            u64::from_le_bytes(std::array::from_fn(|byte| bytes[part * 8 + byte]))
        });
        // A multiplication by an odd number mixes upward, so the upper half decides.
        parts.into_iter().map(move |part| {
            let bit = (part.wrapping_mul(salt) >> 16) % count;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn insert(&mut self, hash: Hash) {
        for (word, bit) in self.bits(hash) {
            self.words[word] |= bit;
        }
    }

    fn contains(&self, hash: Hash) -> bool {
        self.bits(hash).all(|(word, bit)| self.words[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_what_was_inserted_and_hardly_anything_else() {
        let hash = |number: u32| Hash::from_bytes(blake3::hash(&number.to_le_bytes()).into());
        for salt in [0, 1, 1_700_000_000_000, u64::MAX] {
            let mut marks = Marks::new(10_000, salt);
            (0..10_000).for_each(|number| marks.insert(hash(number)));
            assert!((0..10_000).all(|number| marks.contains(hash(number))));
            let wrong = (10_000..20_000).filter(|number| marks.contains(hash(*number))).count();
            assert!(wrong < 60, "{wrong} of 10,000 with salt {salt}");
        }
        assert!(!Marks::new(0, 7).contains(hash(1)));
    }
}

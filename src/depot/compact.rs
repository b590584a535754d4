//! Getting room back: packs that nothing refers to are removed, packs of which little is needed are rewritten first.

use std::collections::HashMap;

use super::frame::Encoder;
use super::packs::Location;
use super::records::{BlobKey, BlobRow, Blobs};
use super::{Depot, DepotError};
use crate::store::{ReadExt as _, StoreError, WriteExt as _};

/// Rows that are read at once.
const ROWS: usize = 4096;
/// Blobs that are rewritten in one go, and their bytes.
const BATCH_BLOBS: usize = 512;
const BATCH_BYTES: u64 = 8 << 20;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Packs that were removed.
    pub packs_removed: u64,
    /// Their bytes.
    pub bytes_freed: u64,
    /// Blobs that were rewritten into other packs.
    pub blobs_moved: u64,
    /// Packs that are kept only because something in them cannot be read. A scrub says what.
    pub packs_damaged: u64,
}

impl Depot {
    /// Removes packs that nothing refers to, and rewrites packs of which little is needed, until about `bytes_max` were rewritten.
    ///
    /// # Errors
    /// When the store or the packs fail; what was done until then stays done.
    pub async fn compact(&self, bytes_max: u64) -> Result<CompactReport, DepotError> {
        let mut report = CompactReport::default();
        // Before the index is read: what was appended below this is in the index by then, or never will be.
        let below = self.floors.least(&*self.packs);
        let packs: Vec<_> = self.packs.list().await?.into_iter().filter(|(pack, _)| *pack < below).collect();
        let needed = self.needed()?;
        let mut budget = bytes_max;
        for (pack, bytes) in packs {
            let needed = needed.get(&pack).copied().unwrap_or(0);
            if needed > 0 {
                let sparse = needed.saturating_mul(100) < bytes.saturating_mul(u64::from(self.options.compact_below_percent));
                if !sparse || needed > budget {
                    continue;
                }
                budget -= needed;
                if !self.empty(pack, &mut report).await? {
                    report.packs_damaged += 1;
                    continue;
                }
            }
            self.packs.remove(pack).await?;
            report.packs_removed += 1;
            report.bytes_freed += bytes;
        }
        Ok(report)
    }

    /// Returns how many bytes of each pack the index refers to.
    fn needed(&self) -> Result<HashMap<u32, u64>, StoreError> {
        let mut needed = HashMap::new();
        self.each_row(|_, row| *needed.entry(row.at.pack).or_default() += u64::from(row.at.length))?;
        Ok(needed)
    }

    fn each_row(&self, mut visit: impl FnMut(BlobKey, BlobRow)) -> Result<(), StoreError> {
        let mut after: Option<BlobKey> = None;
        loop {
            let rows = self.store.read(|rows| rows.scan::<Blobs>(&(), after.as_ref(), ROWS))?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(*last);
            rows.into_iter().for_each(|(key, row)| visit(key, row));
        }
    }

    /// Rewrites what the index refers to in a pack; `false` when something of it cannot be read.
    async fn empty(&self, pack: u32, report: &mut CompactReport) -> Result<bool, DepotError> {
        let mut rows = Vec::new();
        self.each_row(|key, row| {
            if row.at.pack == pack {
                rows.push((key, row));
            }
        })?;
        // Reading in the order of the pack.
        rows.sort_unstable_by_key(|(_, row)| row.at);
        let mut whole = true;
        let mut batch = Batch::new(self.options.compress);
        for (key, row) in rows {
            match self.read_at(key.scope, key.hash, &row).await {
                Ok(blob) => {
                    let (offset, length) = batch.encoder.push(key.scope, &blob);
                    batch.moves.push((key, row, Location { pack: 0, offset, length }));
                    batch.bytes += u64::from(length);
                }
                Err(DepotError::Damaged(_)) => whole = false,
                Err(error) => return Err(error),
            }
            if batch.moves.len() >= BATCH_BLOBS || batch.bytes >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, Batch::new(self.options.compress));
                report.blobs_moved += self.swap(full).await?;
            }
        }
        report.blobs_moved += self.swap(batch).await?;
        Ok(whole)
    }

    /// Appends the copies, then lets those rows that still say what was copied refer to them; returns how many.
    async fn swap(&self, batch: Batch) -> Result<u64, DepotError> {
        if batch.moves.is_empty() {
            return Ok(0);
        }
        let entered = self.floors.enter(&*self.packs);
        let (pack, start) = self.packs.append(batch.encoder.finish()).await?;
        let moves = batch.moves;
        let moved = self
            .store
            .transact::<_, StoreError>(move |transaction| {
                let mut moved = 0;
                for (key, row, copy) in &moves {
                    if let Some(latest) = transaction.get::<Blobs>(key)?
                        && latest.at == row.at
                    {
                        let at = Location { pack, offset: start + copy.offset, length: copy.length };
                        transaction.put::<Blobs>(key, &BlobRow { at, ..latest })?;
                        moved += 1;
                    }
                }
                Ok(moved)
            })
            .await?;
        drop(entered);
        Ok(moved)
    }
}

/// Copies that are appended together.
struct Batch {
    encoder: Encoder,
    moves: Vec<(BlobKey, BlobRow, Location)>,
    bytes: u64,
}

impl Batch {
    fn new(compress: bool) -> Self {
        Self { encoder: Encoder::new(compress), moves: Vec::new(), bytes: 0 }
    }
}

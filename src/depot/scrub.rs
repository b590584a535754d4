//! Reading everything again and hashing it again, a bounded piece at a time.

use super::records::{BlobKey, BlobState, Blobs};
use super::{Depot, DepotError, Scope};
use crate::model::Hash;
use crate::store::{ReadExt as _, StoreError, WriteExt as _};

/// Rows that are looked up at once.
const ROWS: usize = 256;

/// Where a scrub goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubCursor {
    after: BlobKey,
}

/// What a piece of a scrub found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// Blobs that are damaged. They count as absent until somebody stages them again.
    pub damaged: Vec<(Scope, Hash)>,
    /// Where to go on; nothing when everything has been looked at.
    pub next: Option<ScrubCursor>,
}

impl Depot {
    /// Reads and verifies blobs, from where an earlier piece ended, until about `bytes_max` stored bytes were read.
    ///
    /// # Errors
    /// When the store fails, or the packs in another way than by damage.
    pub async fn scrub(&self, from: Option<ScrubCursor>, bytes_max: u64) -> Result<ScrubReport, DepotError> {
        let mut report = ScrubReport { next: from, ..ScrubReport::default() };
        while report.bytes < bytes_max {
            let rows = self.store.read(|rows| rows.scan::<Blobs>(&(), report.next.map(|next| next.after).as_ref(), ROWS))?;
            if rows.is_empty() {
                report.next = None;
                return Ok(report);
            }
            for (key, row) in rows {
                report.blobs += 1;
                report.bytes += u64::from(row.at.length);
                report.next = Some(ScrubCursor { after: key });
                match self.read(key.scope, key.hash).await {
                    // Collected meanwhile.
                    Ok(_) | Err(DepotError::Missing(_)) => {}
                    Err(DepotError::Damaged(_)) => {
                        self.mark_damaged(key, row.at).await?;
                        report.damaged.push((key.scope, key.hash));
                    }
                    Err(error) => return Err(error),
                }
                if report.bytes >= bytes_max {
                    break;
                }
            }
        }
        Ok(report)
    }

    async fn mark_damaged(&self, key: BlobKey, at: super::packs::Location) -> Result<(), DepotError> {
        tracing::error!(hash = %key.hash, pack = at.pack, offset = at.offset, "stored content is damaged");
        let mark = move |transaction: &mut crate::store::Transaction<'_>| match transaction.get::<Blobs>(&key)? {
            Some(row) if row.at == at => transaction.put::<Blobs>(&key, &super::BlobRow { state: BlobState::Damaged, ..row }),
            _ => Ok(()),
        };
        Ok(self.store.transact::<_, StoreError>(mark).await?)
    }
}

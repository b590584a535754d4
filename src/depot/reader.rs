//! Reading a content from its chunks, or a range of it.

use std::ops::Range;

use bytes::Bytes;

use super::{Depot, DepotError, Scope};
use crate::content::{ChunkEntry, Step, Walk};
use crate::model::ContentRef;

/// Reads a content in order, a chunk at a time. Holds no lock and no snapshot between chunks.
#[derive(Debug)]
pub struct ContentReader {
    depot: Depot,
    scope: Scope,
    range: Range<u64>,
    walk: Walk,
}

impl Depot {
    /// Starts reading the bytes of a content that lie in `range`; what is beyond its end is passed over.
    ///
    /// # Errors
    /// When the reference is impossible.
    pub fn content(&self, scope: Scope, content: &ContentRef, range: Range<u64>) -> Result<ContentReader, DepotError> {
        let walk = Walk::range(content, range.clone())?;
        Ok(ContentReader { depot: self.clone(), scope, range, walk })
    }
}

impl ContentReader {
    /// Returns the next chunk's entry, without its bytes; `None` at the end.
    ///
    /// # Errors
    /// When a page is missing or damaged, or contradicts its place.
    pub async fn next_entry(&mut self) -> Result<Option<ChunkEntry>, DepotError> {
        loop {
            match self.walk.step() {
                Some(Step::Page { entry, .. }) => {
                    let page = self.depot.read(self.scope, entry.hash).await?;
                    self.walk.supply(&page)?;
                }
                Some(Step::Chunk(chunk)) => return Ok(Some(chunk)),
                None => return Ok(None),
            }
        }
    }

    /// Returns the next bytes of the range, verified; `None` at the end.
    ///
    /// # Errors
    /// When a page or chunk is missing or damaged.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DepotError> {
        let Some(chunk) = self.next_entry().await? else {
            return Ok(None);
        };
        let bytes = self.depot.read(self.scope, chunk.hash).await?;
        if bytes.len() != chunk.length as usize {
            return Err(DepotError::Damaged(chunk.hash));
        }
        let start = self.range.start.saturating_sub(chunk.offset).min(bytes.len() as u64) as usize;
        let end = self.range.end.saturating_sub(chunk.offset).min(bytes.len() as u64) as usize;
        Ok(Some(bytes.slice(start..end.max(start))))
    }
}

//! Walks a manifest from its root to its chunks, in the order of the document. Does no I/O: it says which page it needs next.

use std::ops::Range;

use crate::model::{ContentRef, Hash};

use super::blob::BlobKind;
use super::chunker::{ChunkerParameters, PARAMETER_BYTES_MAX};
use super::page::{Entry, InvalidPage, Page, is_complete};

/// A manifest that is not what its reference promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// The reference alone is impossible: too high a tree, or a size that its height rules out.
    #[error("impossible content reference")]
    Reference,
    /// The bytes given for a page have another hash.
    #[error("manifest page {0} does not match its hash")]
    Hash(Hash),
    /// The bytes of a page are none.
    #[error("manifest page {0}: {1}")]
    Page(Hash, #[source] InvalidPage),
    /// A page is at the wrong place, or the page above it claims something else of it.
    #[error("manifest page {0} contradicts its place: {1}")]
    Place(Hash, &'static str),
    /// A page was given that was not asked for.
    #[error("a manifest page was given unasked")]
    Unasked,
}

/// A chunk of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Where it begins in the document, in bytes.
    pub offset: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its length in bytes.
    pub length: u32,
}

/// What a walk comes to next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A page: [`Walk::supply`] its bytes, or [`Walk::skip`] it. Asked again until one of them.
    Page {
        /// Pages from here down to the chunks, counting this one.
        level: u8,
        /// Its hash and what is claimed to be beneath; `chunks` is 0 for the root, of which nothing is claimed.
        entry: Entry,
    },
    /// A chunk.
    Chunk(ChunkEntry),
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    level: u8,
    entry: Entry,
    offset: u64,
    /// It is the last page of its level, the only one that may end anywhere.
    last: bool,
}

#[derive(Debug)]
struct Frame {
    level: u8,
    entries: std::vec::IntoIter<Entry>,
    /// Where the next entry begins in the document.
    offset: u64,
    last: bool,
}

/// A walk over one manifest. The stack holds one page a level and levels strictly fall, so it ends whatever the pages say.
#[derive(Debug)]
pub struct Walk {
    range: Range<u64>,
    parameters: Option<ChunkerParameters>,
    wanted: Option<Wanted>,
    stack: Vec<Frame>,
}

impl Walk {
    /// Walks all of a content.
    ///
    /// # Errors
    /// When the reference is impossible.
    pub fn new(content: &ContentRef) -> Result<Self, InvalidManifest> {
        Self::range(content, 0..content.size_bytes)
    }

    /// Walks the chunks that overlap a range of bytes; the first and the last may reach beyond it.
    ///
    /// # Errors
    /// When the reference is impossible.
    pub fn range(content: &ContentRef, range: Range<u64>) -> Result<Self, InvalidManifest> {
        let ContentRef { root, size_bytes, height } = *content;
        let possible = match height {
            0 if size_bytes == 0 => root == BlobKind::Chunk.hash(&[]),
            0 => size_bytes <= u64::from(PARAMETER_BYTES_MAX),
            _ => height <= ContentRef::HEIGHT_MAX && size_bytes > 0,
        };
        if !possible {
            return Err(InvalidManifest::Reference);
        }
        let mut walk = Self { range, parameters: None, wanted: None, stack: Vec::new() };
        let entry = Entry { hash: root, size_bytes, chunks: 0 };
        if height > 0 {
            walk.wanted = Some(Wanted { level: height, entry, offset: 0, last: true });
        } else if size_bytes > 0 {
            walk.stack.push(Frame { level: 1, entries: vec![entry].into_iter(), offset: 0, last: true });
        }
        Ok(walk)
    }

    /// Returns what comes next; `None` at the end.
    pub fn step(&mut self) -> Option<Step> {
        loop {
            if let Some(Wanted { level, entry, .. }) = self.wanted {
                return Some(Step::Page { level, entry });
            }
            let frame = self.stack.last_mut()?;
            let Some(entry) = frame.entries.next() else {
                self.stack.pop();
                continue;
            };
            let offset = frame.offset;
            frame.offset += entry.size_bytes;
            if offset >= self.range.end {
                self.stack.clear();
            } else if frame.offset <= self.range.start {
                // Wholly before the range.
            } else if frame.level == 1 {
                return Some(Step::Chunk(ChunkEntry { offset, hash: entry.hash, length: entry.size_bytes as u32 }));
            } else {
                let last = frame.last && frame.entries.as_slice().is_empty();
                self.wanted = Some(Wanted { level: frame.level - 1, entry, offset, last });
            }
        }
    }

    /// Gives the page that was asked for.
    ///
    /// # Errors
    /// When the bytes are not that page, or it contradicts what is above it. The walk ends then.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<(), InvalidManifest> {
        let wanted = self.wanted.take().ok_or(InvalidManifest::Unasked)?;
        match self.check(&wanted, bytes) {
            Ok(page) => {
                let Wanted { level, offset, last, .. } = wanted;
                self.parameters = page.parameters.or(self.parameters);
                self.stack.push(Frame { level, entries: page.entries.into_iter(), offset, last });
                Ok(())
            }
            Err(error) => {
                self.stack.clear();
                Err(error)
            }
        }
    }

    /// Passes over the page that was asked for and all beneath it.
    pub fn skip(&mut self) {
        self.wanted = None;
    }

    fn check(&self, wanted: &Wanted, bytes: &[u8]) -> Result<Page, InvalidManifest> {
        let Wanted { level, entry, last, .. } = *wanted;
        if BlobKind::Page.hash(bytes) != entry.hash {
            return Err(InvalidManifest::Hash(entry.hash));
        }
        let page = Page::decode(bytes).map_err(|error| InvalidManifest::Page(entry.hash, error))?;
        let place = |wrong: bool, what| if wrong { Err(InvalidManifest::Place(entry.hash, what)) } else { Ok(()) };
        let root = self.stack.is_empty();
        place(page.level != level, "level")?;
        place(page.parameters.is_some() != root, "root")?;
        let (size_bytes, chunks) = page.totals().unwrap_or_default();
        place(size_bytes != entry.size_bytes, "size")?;
        place(!root && chunks != entry.chunks, "number of chunks")?;
        place(!last && !is_complete(&page.entries), "border")?;
        if let Some(parameters) = page.parameters.or(self.parameters)
            && level == 1
        {
            let (min, max) = (u64::from(parameters.min_bytes()), u64::from(parameters.max_bytes()));
            let inner = page.entries.len() - usize::from(last);
            place(page.entries.iter().any(|chunk| chunk.size_bytes > max), "chunk too long")?;
            place(page.entries[..inner].iter().any(|chunk| chunk.size_bytes < min), "chunk too short")?;
        }
        Ok(page)
    }
}

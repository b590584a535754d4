//! One manifest page: its stored form, and the rule by which pages end.
//!
//! ```text
//! format u8 = 1 | level u8 | root u8 | [min u32 | average u32 | max u32, in the root only] | count u16 | entries
//! entry of a leaf page (level 1):   chunk hash 32 | length u32
//! entry of an inner page (level 2+): page hash 32 | bytes beneath u64 | chunks beneath u64
//! ```
//!
//! Integers are little endian. There is one encoding of a page, so decoding refuses whatever would not be encoded like this.

use crate::model::{ContentRef, Hash};

use super::chunker::{ChunkerParameters, PARAMETER_BYTES_MAX, PARAMETER_BYTES_MIN};

/// The format of what is encoded here.
const FORMAT: u8 = 1;
/// No page ends before this many entries, but for the last of its level: keeps a tree low whatever the hashes are.
pub const ENTRIES_MIN: usize = 16;
/// A page ends after this many entries, whatever the hashes are.
pub const ENTRIES_MAX: usize = 512;
/// Between the two a page ends at an entry whose hash has these bits clear: after 128 further entries on average.
const BORDER_MASK: u32 = 0x7f;

const LEAF_ENTRY_BYTES: usize = 36;
const INNER_ENTRY_BYTES: usize = 48;
/// The longest page: header, parameters and the most entries.
pub const PAGE_BYTES_MAX: usize = 3 + 12 + 2 + ENTRIES_MAX * INNER_ENTRY_BYTES;

/// The most pages that the manifest of a content of this size can have: each but the last of its level has [`ENTRIES_MIN`] entries, and each
/// chunk but the last [`PARAMETER_BYTES_MIN`] bytes.
#[must_use]
pub const fn pages_max(size_bytes: u64) -> u64 {
    let chunks = size_bytes / PARAMETER_BYTES_MIN as u64 + 1;
    chunks / (ENTRIES_MIN as u64 - 1) + ContentRef::HEIGHT_MAX as u64 + 1
}

/// What a page lists: a chunk (in a leaf page), or a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The hash of the chunk or page.
    pub hash: Hash,
    /// Bytes of the document beneath; never 0.
    pub size_bytes: u64,
    /// Chunks beneath; 1 for a chunk.
    pub chunks: u64,
}

/// Bytes that are no manifest page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// Written by a version that this one does not know.
    #[error("manifest page of unknown format {0}")]
    Format(u8),
    /// Shorter or longer than it says.
    #[error("manifest page of wrong length")]
    Length,
    /// A field that cannot have this value.
    #[error("manifest page with an impossible {0}")]
    Field(&'static str),
    /// It goes on where a page has to end.
    #[error("manifest page that goes past its border")]
    Border,
}

/// A manifest page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Pages above the chunks: 1 for a leaf page.
    pub level: u8,
    /// How the document was cut; in the root page only.
    pub parameters: Option<ChunkerParameters>,
    /// What it lists, in the order of the document.
    pub entries: Vec<Entry>,
}

/// Tells whether a page that has these entries ends here.
#[must_use]
pub fn is_complete(entries: &[Entry]) -> bool {
    let border = |entry: &Entry| {
        let [.., a, b, c, d] = *entry.hash.as_bytes();
        u32::from_le_bytes([a, b, c, d]) & BORDER_MASK == 0
    };
    entries.len() >= ENTRIES_MAX || (entries.len() >= ENTRIES_MIN && entries.last().is_some_and(border))
}

impl Page {
    /// Returns the bytes and the chunks beneath it; `None` when they exceed what can be counted.
    #[must_use]
    pub fn totals(&self) -> Option<(u64, u64)> {
        self.entries.iter().try_fold((0_u64, 0_u64), |(bytes, chunks), entry| {
            Some((bytes.checked_add(entry.size_bytes)?, chunks.checked_add(entry.chunks)?))
        })
    }

    /// Returns its stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 + 12 + 2 + self.entries.len() * INNER_ENTRY_BYTES);
        bytes.extend([FORMAT, self.level, u8::from(self.parameters.is_some())]);
        if let Some(parameters) = self.parameters {
            for length in [parameters.min_bytes(), parameters.average_bytes(), parameters.max_bytes()] {
                bytes.extend(length.to_le_bytes());
            }
        }
        bytes.extend((self.entries.len() as u16).to_le_bytes());
        for entry in &self.entries {
            bytes.extend(entry.hash.as_bytes());
            if self.level == 1 {
                bytes.extend((entry.size_bytes as u32).to_le_bytes());
            } else {
                bytes.extend(entry.size_bytes.to_le_bytes());
                bytes.extend(entry.chunks.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads a page from its stored form.
    ///
    /// # Errors
    /// When the bytes are not exactly what [`Page::encode`] makes of a possible page.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidPage> {
        let mut input = Input(bytes);
        let [format] = input.take()?;
        if format != FORMAT {
            return Err(InvalidPage::Format(format));
        }
        let [level, root] = input.take()?;
        if !(1..=ContentRef::HEIGHT_MAX).contains(&level) {
            return Err(InvalidPage::Field("level"));
        }
        let parameters = match root {
            0 => None,
            1 => {
                let (min, average, max) = (input.u32()?, input.u32()?, input.u32()?);
                Some(ChunkerParameters::new(min, average, max).ok_or(InvalidPage::Field("chunk length"))?)
            }
            _ => return Err(InvalidPage::Field("root mark")),
        };
        let count = usize::from(u16::from_le_bytes(input.take()?));
        // A root of one entry would be a second form of what that entry is.
        if !(1 + usize::from(root)..=ENTRIES_MAX).contains(&count) {
            return Err(InvalidPage::Field("number of entries"));
        }
        let entry_bytes = if level == 1 { LEAF_ENTRY_BYTES } else { INNER_ENTRY_BYTES };
        if input.0.len() != count * entry_bytes {
            return Err(InvalidPage::Length);
        }
        let mut entries = Vec::with_capacity(count);
        while entries.len() < count {
            if is_complete(&entries) {
                return Err(InvalidPage::Border);
            }
            entries.push(input.entry(level)?);
        }
        let page = Self { level, parameters, entries };
        page.totals().ok_or(InvalidPage::Field("total"))?;
        Ok(page)
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], InvalidPage> {
        let (head, tail) = self.0.split_first_chunk().ok_or(InvalidPage::Length)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, InvalidPage> {
        self.take().map(u32::from_le_bytes)
    }

    fn entry(&mut self, level: u8) -> Result<Entry, InvalidPage> {
        let hash = Hash::from_bytes(self.take()?);
        let (size_bytes, chunks) =
            if level == 1 { (u64::from(self.u32()?), 1) } else { (u64::from_le_bytes(self.take()?), u64::from_le_bytes(self.take()?)) };
        if size_bytes == 0 || (level == 1 && size_bytes > u64::from(PARAMETER_BYTES_MAX)) {
            return Err(InvalidPage::Field("size"));
        }
        if chunks == 0 || chunks > size_bytes {
            return Err(InvalidPage::Field("number of chunks"));
        }
        Ok(Entry { hash, size_bytes, chunks })
    }
}

//! Builds the manifest of a document while its chunks go by.

use std::io::Read;

use bytes::Bytes;

use crate::model::{ContentRef, Hash};

use super::blob::{Blob, BlobKind};
use super::chunker::{Chunker, ChunkerParameters};
use super::page::{Entry, Page, is_complete};

/// Takes chunks in order and hands out pages as they end. Holds at most one unfinished page a level.
#[derive(Debug)]
pub struct ManifestBuilder {
    parameters: ChunkerParameters,
    size_bytes: u64,
    /// Unfinished pages, leaf first. A page is closed when the *next* entry arrives: only then is it known not to be its level's last,
    /// and a document whose chunks just fill one page does not get a second page above it.
    levels: Vec<Vec<Entry>>,
}

impl ManifestBuilder {
    /// Starts a document that is cut by these parameters.
    #[must_use]
    pub fn new(parameters: ChunkerParameters) -> Self {
        Self { parameters, size_bytes: 0, levels: vec![Vec::new()] }
    }

    /// Adds the next chunk; appends to `pages` those that this finishes.
    pub fn push(&mut self, hash: Hash, length: u32, pages: &mut Vec<Blob>) {
        self.size_bytes += u64::from(length);
        self.add(0, Entry { hash, size_bytes: u64::from(length), chunks: 1 }, pages);
    }

    /// Ends the document: appends the remaining pages, the root last, and returns what to refer to it by.
    pub fn finish(mut self, pages: &mut Vec<Blob>) -> ContentRef {
        let size_bytes = self.size_bytes;
        if let [chunks] = self.levels.as_slice()
            && chunks.len() <= 1
        {
            let root = chunks.first().map_or_else(|| BlobKind::Chunk.hash(&[]), |entry| entry.hash);
            return ContentRef { root, size_bytes, height: 0 };
        }
        let mut level = 0;
        while level + 1 < self.levels.len() {
            self.close(level, pages);
            level += 1;
        }
        let root = page(level, Some(self.parameters), std::mem::take(&mut self.levels[level])).0;
        let content = ContentRef { root: root.hash(), size_bytes, height: level as u8 + 1 };
        pages.push(root);
        content
    }

    fn add(&mut self, level: usize, entry: Entry, pages: &mut Vec<Blob>) {
        if level == self.levels.len() {
            self.levels.push(Vec::new());
        }
        if is_complete(&self.levels[level]) {
            self.close(level, pages);
        }
        self.levels[level].push(entry);
    }

    /// Ends the page at `level` and lists it one level up.
    fn close(&mut self, level: usize, pages: &mut Vec<Blob>) {
        let (blob, entry) = page(level, None, std::mem::take(&mut self.levels[level]));
        pages.push(blob);
        self.add(level + 1, entry, pages);
    }
}

fn page(level: usize, parameters: Option<ChunkerParameters>, entries: Vec<Entry>) -> (Blob, Entry) {
    let size_bytes = entries.iter().map(|entry| entry.size_bytes).sum();
    let chunks = entries.iter().map(|entry| entry.chunks).sum();
    let bytes = Page { level: level as u8 + 1, parameters, entries }.encode();
    let blob = Blob::new(BlobKind::Page, Bytes::from(bytes));
    let entry = Entry { hash: blob.hash(), size_bytes, chunks };
    (blob, entry)
}

/// Cuts a document and hands out its chunks and pages, each page after what it lists; returns what to refer to it by.
///
/// # Errors
/// When reading fails, or `sink` does.
pub fn split<E: From<std::io::Error>>(
    source: impl Read,
    parameters: ChunkerParameters,
    mut sink: impl FnMut(Blob) -> Result<(), E>,
) -> Result<ContentRef, E> {
    let mut builder = ManifestBuilder::new(parameters);
    let mut pages = Vec::new();
    for chunk in Chunker::new(source, parameters) {
        let blob = chunk?.blob;
        builder.push(blob.hash(), blob.bytes().len() as u32, &mut pages);
        sink(blob)?;
        pages.drain(..).try_for_each(&mut sink)?;
    }
    let content = builder.finish(&mut pages);
    pages.into_iter().try_for_each(sink)?;
    Ok(content)
}

//! Cuts a stream of bytes where its content says so (FastCDC, 2020), with bounded memory.

use std::io::{ErrorKind, Read};

use bytes::{Bytes, BytesMut};
use fastcdc::v2020::{Normalization, cut, select_masks};
use serde::{Deserialize, Serialize};

use super::blob::{Blob, BlobKind};

/// Chunks no smaller than this, but for a document's last: below it the row that each chunk costs outweighs what is found again.
pub const CHUNK_BYTES_MIN: u32 = 16 * 1024;
/// The length that chunks have on average: an edit of one byte re-sends about this much.
pub const CHUNK_BYTES_AVERAGE: u32 = 64 * 1024;
/// Chunks no longer than this, whatever the content: many fit into one message and into the memory of one session.
pub const CHUNK_BYTES_MAX: u32 = 256 * 1024;

/// The smallest minimum that is accepted from others: it bounds how many chunks a document of a given size can claim.
pub const PARAMETER_BYTES_MIN: u32 = 2 * 1024;
/// The largest maximum that is accepted from others: it bounds the memory for one chunk.
pub const PARAMETER_BYTES_MAX: u32 = 1024 * 1024;

/// How much is read at once, at most. Each refill moves what is left over (less than one chunk) once.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// How much is read at first: most documents are small, and it costs more to clear a large buffer than to read one of them.
const READ_BYTES_MIN: usize = 16 * 1024;

/// The lengths by which a document was cut. They stand in the root page of its manifest, so that whoever extends it cuts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkerParameters {
    min_bytes: u32,
    average_bytes: u32,
    max_bytes: u32,
}

impl ChunkerParameters {
    /// What this version cuts by.
    pub const DEFAULT: Self = Self { min_bytes: CHUNK_BYTES_MIN, average_bytes: CHUNK_BYTES_AVERAGE, max_bytes: CHUNK_BYTES_MAX };

    /// Checks lengths; `None` unless they ascend, are even, and lie within what is accepted.
    #[must_use]
    pub fn new(min_bytes: u32, average_bytes: u32, max_bytes: u32) -> Option<Self> {
        let even = [min_bytes, average_bytes, max_bytes].iter().all(|bytes| bytes % 2 == 0);
        let ascending = PARAMETER_BYTES_MIN <= min_bytes && min_bytes < average_bytes && average_bytes < max_bytes;
        (even && ascending && max_bytes <= PARAMETER_BYTES_MAX).then_some(Self { min_bytes, average_bytes, max_bytes })
    }

    /// Returns the least length of a chunk that is not a document's last.
    #[must_use]
    pub const fn min_bytes(&self) -> u32 {
        self.min_bytes
    }

    /// Returns the length aimed at.
    #[must_use]
    pub const fn average_bytes(&self) -> u32 {
        self.average_bytes
    }

    /// Returns the greatest length of a chunk.
    #[must_use]
    pub const fn max_bytes(&self) -> u32 {
        self.max_bytes
    }
}

impl Default for ChunkerParameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins in the document, in bytes.
    pub offset: u64,
    /// Its bytes and their hash.
    pub blob: Blob,
}

/// Cuts what it is fed. Holds at most what it was fed since chunks were last taken, plus one chunk.
#[derive(Debug)]
pub struct Cutter {
    parameters: ChunkerParameters,
    /// The strict and the relaxed mask of normalized chunking; they follow from the average length.
    masks: (u64, u64),
    buffer: BytesMut,
    offset: u64,
}

impl Cutter {
    /// Starts a document.
    #[must_use]
    pub fn new(parameters: ChunkerParameters) -> Self {
        let masks = select_masks(parameters.average_bytes as usize, Normalization::Level1);
        Self { parameters, masks, buffer: BytesMut::new(), offset: 0 }
    }

    /// Appends bytes of the document. Take chunks until there is none before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next chunk; `None` when it needs to be fed first or, with `ended`, when all is taken.
    pub fn take(&mut self, ended: bool) -> Option<Chunk> {
        let max = self.parameters.max_bytes as usize;
        if self.buffer.is_empty() || (!ended && self.buffer.len() < max) {
            return None;
        }
        let (strict, relaxed) = self.masks;
        let (_, length) = cut(
            &self.buffer,
            self.parameters.min_bytes as usize,
            self.parameters.average_bytes as usize,
            max,
            strict,
            relaxed,
            strict << 1,
            relaxed << 1,
        );
        let bytes: Bytes = self.buffer.split_to(length).freeze();
        let chunk = Chunk { offset: self.offset, blob: Blob::new(BlobKind::Chunk, bytes) };
        self.offset += length as u64;
        Some(chunk)
    }
}

/// The chunks of whatever a reader yields, in order. An error of the reader ends it.
#[derive(Debug)]
pub struct Chunker<R> {
    source: R,
    cutter: Cutter,
    /// How much to read next.
    read_bytes: usize,
    ended: bool,
}

impl<R: Read> Chunker<R> {
    /// Starts reading a document.
    #[must_use]
    pub fn new(source: R, parameters: ChunkerParameters) -> Self {
        Self { source, cutter: Cutter::new(parameters), read_bytes: READ_BYTES_MIN, ended: false }
    }

    fn refill(&mut self) -> std::io::Result<()> {
        let buffer = &mut self.cutter.buffer;
        let filled = buffer.len();
        buffer.resize(filled + self.read_bytes, 0);
        let read = loop {
            match self.source.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        let read = read?;
        if read == self.read_bytes {
            self.read_bytes = READ_BYTES_MAX.min(4 * read);
        }
        self.ended = read == 0;
        Ok(())
    }
}

impl<R: Read> Iterator for Chunker<R> {
    type Item = std::io::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.cutter.take(self.ended) {
                return Some(Ok(chunk));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.refill() {
                self.ended = true;
                self.cutter.buffer.clear();
                return Some(Err(error));
            }
        }
    }
}

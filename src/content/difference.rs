//! What a document has that an earlier one has not: the pages and chunks to send, or to check. Does no I/O.
//!
//! Equal pages are recognised by their hashes, so the cost follows the difference: of two long documents that differ in one place it
//! loads the inner pages of both and the few leaf pages that only one of them has.

use std::collections::{HashMap, HashSet};

use crate::model::{ContentRef, Hash};

use super::page::Entry;
use super::walk::{ChunkEntry, InvalidManifest, Step, Walk};

/// Pages of the base that are remembered: enough for 2 TiB. Of what is beyond, more is reported as new than is.
const PAGES_MAX: usize = 1 << 18;
/// Chunks that are remembered, of leaf pages that only the base has: enough for 32 GiB of difference. Beyond it as above.
const CHUNKS_MAX: usize = 1 << 19;

/// Which of the two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// The earlier one.
    Base,
    /// The one that may have something new.
    New,
}

/// What a comparison comes to next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceStep {
    /// [`Difference::supply`] this page or [`Difference::skip`] it. A page of the new tree that is asked for is not in the base.
    Load(Tree, Hash),
    /// A page that the base does not have. It was supplied just before; each is reported once.
    Page(Hash),
    /// A chunk that the base does not have.
    Chunk(ChunkEntry),
}

/// The passes over the two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Learn the base's page hashes, without its leaf pages.
    BasePages,
    /// Mark those that the new tree has too.
    NewPages,
    /// Learn the chunks of the base's leaf pages that are not marked.
    BaseChunks,
    /// Report what is in none of these.
    Report,
}

/// A comparison under way.
#[derive(Debug)]
pub struct Difference {
    base: ContentRef,
    new: ContentRef,
    pass: Pass,
    walk: Walk,
    /// By level and *all* that the page above says of a page: what differs in its claims must be looked at. The value tells whether
    /// both trees have it.
    pages: HashMap<(u8, Entry), bool>,
    chunks: HashSet<(Hash, u32)>,
    /// The page that is asked for, and one that was supplied and is to be reported.
    asked: Option<(u8, Entry)>,
    supplied: Option<Hash>,
}

impl Difference {
    /// Starts comparing. Without a base everything is new.
    ///
    /// # Errors
    /// When one of the references is impossible.
    pub fn new(base: Option<&ContentRef>, new: &ContentRef) -> Result<Self, InvalidManifest> {
        // To compare a single chunk would mean to read all of the base.
        let base = base.filter(|_| new.height > 0);
        let (pass, base) = base.map_or((Pass::Report, new), |base| (Pass::BasePages, base));
        Ok(Self {
            base: *base,
            new: *new,
            pass,
            walk: Walk::new(base)?,
            pages: HashMap::new(),
            chunks: HashSet::new(),
            asked: None,
            supplied: None,
        })
    }

    /// Returns what comes next; `None` at the end.
    ///
    /// # Errors
    /// When the new reference is impossible.
    pub fn step(&mut self) -> Result<Option<DifferenceStep>, InvalidManifest> {
        if let Some(hash) = self.supplied.take() {
            return Ok(Some(DifferenceStep::Page(hash)));
        }
        loop {
            let found = match self.walk.step() {
                Some(Step::Page { level, entry }) => self.page(level, entry),
                Some(Step::Chunk(chunk)) => self.chunk(chunk),
                None if self.pass == Pass::Report => return Ok(None),
                None => {
                    self.next_pass()?;
                    None
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Gives the page that was asked for.
    ///
    /// # Errors
    /// When the bytes are not that page, or it contradicts what is above it.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<(), InvalidManifest> {
        self.walk.supply(bytes)?;
        if let Some(page) = self.asked.take()
            && self.pass == Pass::Report
        {
            self.supplied = Some(page.1.hash);
            self.remember(page);
        }
        Ok(())
    }

    /// Passes over the page that was asked for and all beneath it. Of the base this is safe: more is reported as new than is.
    pub fn skip(&mut self) {
        self.walk.skip();
    }

    fn next_pass(&mut self) -> Result<(), InvalidManifest> {
        let (pass, content) = match self.pass {
            Pass::BasePages => (Pass::NewPages, &self.new),
            Pass::NewPages => (Pass::BaseChunks, &self.base),
            Pass::BaseChunks | Pass::Report => (Pass::Report, &self.new),
        };
        self.walk = Walk::new(content)?;
        self.pass = pass;
        Ok(())
    }

    fn page(&mut self, level: u8, entry: Entry) -> Option<DifferenceStep> {
        let page = (level, entry);
        let (tree, load) = match self.pass {
            Pass::BasePages => (Tree::Base, self.remember(page) && level > 1),
            Pass::NewPages => {
                let shared = self.pages.get_mut(&page).map(|shared| *shared = true).is_some();
                (Tree::New, !shared && level > 1)
            }
            Pass::BaseChunks => (Tree::Base, self.pages.get(&page) != Some(&true)),
            Pass::Report => (Tree::New, !self.pages.contains_key(&page)),
        };
        if !load {
            self.walk.skip();
            return None;
        }
        self.asked = Some(page);
        Some(DifferenceStep::Load(tree, entry.hash))
    }

    fn chunk(&mut self, chunk: ChunkEntry) -> Option<DifferenceStep> {
        let key = (chunk.hash, chunk.length);
        if !matches!(self.pass, Pass::BaseChunks | Pass::Report) || self.chunks.contains(&key) {
            return None;
        }
        if self.chunks.len() < CHUNKS_MAX {
            self.chunks.insert(key);
        }
        (self.pass == Pass::Report).then_some(DifferenceStep::Chunk(chunk))
    }

    /// Remembers a page; `false` when it was known or there is no room.
    fn remember(&mut self, page: (u8, Entry)) -> bool {
        self.pages.len() < PAGES_MAX && self.pages.insert(page, false).is_none()
    }
}

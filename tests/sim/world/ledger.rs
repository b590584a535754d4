//! What people did, kept apart from the code under test: which contents must be found again, and which must not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use skybridge::content::{ChunkerParameters, Cutter, ManifestBuilder};
use skybridge::model::Hash;

/// Where people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Source(usize),
    Cloud,
}

/// A content, which nobody writes twice.
pub(super) type Root = [u8; 32];

/// What is known of a content.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// How many were made up before it.
    number: u64,
    /// What it is called in reports.
    pub(super) name: String,
    /// Where it was written.
    pub(super) by: Side,
    /// It must be found, whatever happens.
    pub(super) required: bool,
    /// The sides where a person deleted it.
    pub(super) deleted: BTreeSet<Side>,
    /// A person deleted it or put something in its place, or may have.
    pub(super) ended: bool,
    /// The sides where a person did something to it, or to a folder above it.
    pub(super) touched: BTreeSet<Side>,
    /// How often it may be there more than once.
    pub(super) copies: usize,
    /// It was brought back on purpose, so that it may be there although it was deleted.
    pub(super) restored: bool,
    /// It was at a source that lost its power, after which what people did there may be undone.
    pub(super) undone: bool,
    /// The sources where a person wrote something else in its place.
    pub(super) written_over: BTreeSet<Side>,
    /// A person carried it at a source out of the folder at the top of the library that it was in, or renamed that.
    pub(super) carried: bool,
    /// A person carried it into another folder at a source.
    pub(super) moved: bool,
    /// Where it was written at a source although nothing was there.
    pub(super) made_at: Option<PathBuf>,
    /// Where a person deleted it at a source.
    pub(super) removed_at: Option<PathBuf>,
}

/// All that people did.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) contents: BTreeMap<Root, Content>,
    /// Written at a source and not durable there yet.
    fresh: BTreeMap<usize, BTreeSet<Root>>,
    written: u64,
    /// Some sets lock what is at the source: what people do there all the same is put back, so that it is there again, and elsewhere too.
    pub(super) locks: bool,
    /// The properties that people gave to nodes in the cloud, and did not take away there.
    pub(super) described: BTreeSet<(String, String)>,
    /// Those that they took away there, or tried to.
    undescribed: BTreeSet<(String, String)>,
    /// At a source properties were taken away, or may have been.
    pub(super) properties_gone: bool,
    /// How much was written when the cloud was backed up, and whether it was made as it was then.
    backed_up: u64,
    pub(super) cloud_restored: bool,
}

/// Returns by what a content is known.
pub(super) fn root(bytes: &[u8]) -> Root {
    let mut cutter = Cutter::new(ChunkerParameters::DEFAULT);
    cutter.feed(bytes);
    let mut manifest = ManifestBuilder::new(ChunkerParameters::DEFAULT);
    let mut pages = Vec::new();
    while let Some(chunk) = cutter.take(true) {
        manifest.push(chunk.blob.hash(), u32::try_from(chunk.blob.bytes().len()).unwrap_or(u32::MAX), &mut pages);
    }
    key(&manifest.finish(&mut pages).root)
}

pub(super) fn key(hash: &Hash) -> Root {
    *hash.as_bytes()
}

impl Ledger {
    /// Makes up a content that nobody wrote before.
    pub(super) fn compose(&mut self, by: Side, length: usize) -> Vec<u8> {
        self.written += 1;
        let name = format!("{by:?} {}", self.written);
        let mut bytes = format!("{name}\n").into_bytes();
        let mut state = self.written.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while bytes.len() < length {
            // Not compressible, so that packs fill.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_be_bytes());
        }
        let content = Content {
            name,
            by,
            required: false,
            deleted: BTreeSet::new(),
            ended: false,
            touched: BTreeSet::new(),
            copies: 0,
            restored: false,
            written_over: BTreeSet::new(),
            carried: false,
            moved: false,
            undone: false,
            made_at: None,
            removed_at: None,
            number: self.written,
        };
        self.contents.insert(root(&bytes), content);
        bytes
    }

    pub(super) fn change(&mut self, root: &Root, change: impl FnOnce(&mut Content)) {
        if let Some(content) = self.contents.get_mut(root) {
            change(content);
        }
    }

    /// Somebody wrote it at a source.
    pub(super) fn wrote_at_source(&mut self, agent: usize, root: Root) {
        self.fresh.entry(agent).or_default().insert(root);
        self.change(&root, |content| content.required = true);
    }

    /// Somebody wrote over it, or deleted it, at a source, where nothing but a sync keeps what was.
    pub(super) fn gone_at_source(&mut self, agent: usize, root: &Root, deleted: bool) {
        self.fresh.entry(agent).or_default().remove(root);
        self.change(root, |content| {
            content.ended = true;
            if content.by == Side::Source(agent) {
                content.required = false;
            }
            if deleted {
                content.deleted.insert(Side::Source(agent));
            } else {
                content.written_over.insert(Side::Source(agent));
            }
        });
    }

    /// Somebody gives a node in the cloud a property, or with `given` false takes it away.
    pub(super) fn describes(&mut self, node: &str, property: &str, given: bool) {
        let key = (node.to_owned(), property.to_owned());
        if !given {
            self.described.remove(&key);
            self.undescribed.insert(key);
        } else if !self.undescribed.contains(&key) {
            self.described.insert(key);
        }
    }

    /// All that is in the cloud was copied.
    pub(super) fn backed_up(&mut self) {
        self.backed_up = self.written;
    }

    /// The cloud is again as it was then: it forgot what was written there since, and knows again what was deleted since, on either side.
    pub(super) fn restored_cloud(&mut self) {
        self.cloud_restored = true;
        self.properties_gone = true;
        for content in self.contents.values_mut() {
            content.required &= content.by != Side::Cloud || content.number <= self.backed_up;
            content.copies += 1;
            content.restored = true;
        }
    }

    /// All that was written at a source is durable there.
    pub(super) fn durable_at_source(&mut self, agent: usize) {
        self.fresh.remove(&agent);
    }

    /// Somebody asked to sync again: what was deleted in the cloud, and kept at a source, is pushed again.
    pub(super) fn asked_again(&mut self) {
        for content in self.contents.values_mut() {
            content.restored |= content.deleted.contains(&Side::Cloud);
            content.copies += 1;
        }
    }

    /// Somebody ended a sync: the copy that stays in the cloud has nothing to do any more with what is at the source, which another set may
    /// take.
    pub(super) fn unsynced(&mut self) {
        for content in self.contents.values_mut() {
            content.copies += 1;
            content.restored = true;
        }
    }

    /// The power went at a source: what was not durable may be gone, and what was overwritten or deleted may be back.
    pub(super) fn lost_power_at_source(&mut self, agent: usize) {
        for root in self.fresh.remove(&agent).unwrap_or_default() {
            self.change(&root, |content| content.required = false);
        }
        for content in self.contents.values_mut() {
            if content.deleted.contains(&Side::Source(agent)) {
                content.restored = true;
            }
            // What people did nothing to there was put in place by a sync, durably: not even a power loss ends it.
            content.ended |= content.by == Side::Source(agent) || content.touched.contains(&Side::Source(agent));
            content.copies += 1;
            content.undone = true;
        }
        self.properties_gone = true;
    }
}

//! Inodes and the names that lead to them.

use std::collections::{BTreeMap, BTreeSet};

use skybridge::sys::FileKind;

use super::content::Content;

/// Names an inode for ever; its number can go to another one later.
pub(super) type Id = u64;
/// Names a name: it moves along when an entry is renamed.
pub(super) type NameId = u64;

/// What a change of attributes changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) modified: i128,
    pub(super) changed: i128,
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) node: Id,
    pub(super) name: NameId,
}

/// What an inode holds.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Folder(BTreeMap<Vec<u8>, Entry>),
    Regular(Content),
    Link(Vec<u8>),
    Special(FileKind),
}

/// An inode.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) volume: usize,
    pub(super) number: u64,
    pub(super) generation: u32,
    pub(super) born: i128,
    pub(super) meta: Meta,
    pub(super) body: Body,
    /// The names under which it is or was known, as long as somebody may ask for them.
    pub(super) names: BTreeSet<NameId>,
    /// Under how many names it exists. Of a folder 1, or 0 once it is removed.
    pub(super) links: u64,
    /// How often it is open.
    pub(super) opens: u64,
    /// How often it is open for writing.
    pub(super) writers: u64,
    /// The last operation on it or, of a folder, on its entries.
    pub(super) last: u64,
    /// Attributes up to this operation are durable.
    pub(super) flushed: u64,
    /// Its number is free again: it is kept only because a power loss may bring it back.
    pub(super) released: bool,
}

/// A name, as an open file remembers it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The folder that it is or was in; none for the top of a volume.
    pub(super) parent: Option<Id>,
    pub(super) bytes: Vec<u8>,
    pub(super) node: Id,
    /// The entry is there.
    pub(super) linked: bool,
}

impl Node {
    pub(super) fn kind(&self) -> FileKind {
        match &self.body {
            Body::Folder(_) => FileKind::Folder,
            Body::Regular(_) => FileKind::Regular,
            Body::Link(_) => FileKind::Link,
            Body::Special(kind) => *kind,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.body, Body::Folder(_))
    }

    pub(super) fn entries(&self) -> Option<&BTreeMap<Vec<u8>, Entry>> {
        match &self.body {
            Body::Folder(entries) => Some(entries),
            _ => None,
        }
    }

    pub(super) fn content(&self) -> Option<&Content> {
        match &self.body {
            Body::Regular(content) => Some(content),
            _ => None,
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        match &self.body {
            Body::Folder(_) => 4096,
            Body::Regular(content) => content.seen().len() as u64,
            Body::Link(target) => target.len() as u64,
            Body::Special(_) => 0,
        }
    }
}

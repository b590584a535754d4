//! Tells which member each entry of a folder is. Reads the trees, does no other I/O.
//!
//! | the entry's key | is |
//! | --- | --- |
//! | that of a child of this name | that child, unchanged or edited |
//! | that of a child of another name, which does not show it any more | that child, renamed |
//! | that of a child or member which still has it at its own place | another name of the same item: a new node |
//! | that of a member elsewhere | that member, moved here |
//! | that of a member elsewhere that was never equal on both sides, over a child that was | an edit of that child |
//! | unknown, and about to be said to be a member's by the applier | looked at again |
//! | unknown, at the name of a child whose item is gone | an edit of that child: somebody saved by writing a new item |
//! | unknown | a new node |
//!
//! Members that no entry accounts for are missing, which is decided elsewhere and later.

use std::collections::{HashMap, HashSet};

use super::ingest::veils;
use super::scene::{Known, Scene};
use crate::agent::planner::placing;
use crate::agent::repository::{Entry, Item, RepoKey, UnsupportedKind};
use crate::model::{Kind, Name, NodeId, Reason};
use crate::store::{Read, StoreError};

/// An entry that is, or may become, a member.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) name: Name,
    pub(super) kind: Kind,
    pub(super) entry: Entry,
    pub(super) guess: Guess,
    /// What the trees hold is out of date, or nothing.
    pub(super) read: bool,
}

/// Which member an entry is, as far as the trees can tell.
#[derive(Debug, Clone)]
pub(super) enum Guess {
    New {
        linked: bool,
    },
    /// A child of this folder.
    Same(Known),
    /// A member elsewhere. Right only if it is no longer there.
    Elsewhere(Known),
    /// A new item at the place of a child. An edit only if the child's own item is gone.
    Replacing {
        old: Known,
        absorbed: Option<Known>,
    },
}

/// A folder's entries, told apart.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) spots: Vec<Spot>,
    /// By the bytes of their names.
    pub(super) oddities: Vec<(Vec<u8>, Reason, String)>,
    /// Members that are here and cannot be synced as they are.
    pub(super) troubled: Vec<(Known, Reason, String)>,
    /// Folders of which something else hides what is in them.
    pub(super) hidden: Vec<Known>,
    /// Members that are not, or may not be, where they were; of other sets too.
    pub(super) missing: Vec<Known>,
    /// Folders to list.
    pub(super) folders: Vec<RepoKey>,
    /// Something is being done to one of them.
    pub(super) busy: bool,
}

/// Sorts what a look has shown. `deep`: list the subfolders too.
pub(super) fn sort(read: &(impl Read + ?Sized), scene: &Scene, entries: Vec<Entry>, deep: bool) -> Result<Sorted, StoreError> {
    let listed = entries.iter().map(|entry| (entry.key.clone(), entry.name.as_bytes().to_vec())).collect();
    let keys = entries.iter().map(|entry| entry.key.clone()).collect();
    let (mut by_key, mut by_name) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
    for known in &scene.known {
        by_key.entry(&known.key).or_default().push(known);
        by_name.entry(&known.name).or_default().push(known);
    }
    let mut sorter = Sorter { read, scene, by_key, by_name, listed, keys, deep, accounted: HashSet::new(), sorted: Sorted::default() };
    for entry in entries {
        sorter.entry(entry)?;
    }
    let Sorter { accounted, mut sorted, .. } = sorter;
    for known in scene.known.iter().filter(|known| !accounted.contains(&known.node)) {
        sorted.busy |= known.applying;
        if !known.applying {
            sorted.missing.push(known.clone());
        }
    }
    Ok(sorted)
}

struct Sorter<'a, R: ?Sized> {
    read: &'a R,
    scene: &'a Scene,
    by_key: HashMap<&'a RepoKey, Vec<&'a Known>>,
    by_name: HashMap<&'a Name, Vec<&'a Known>>,
    listed: HashSet<(RepoKey, Vec<u8>)>,
    keys: HashSet<RepoKey>,
    deep: bool,
    accounted: HashSet<NodeId>,
    sorted: Sorted,
}

impl<'a, R: Read + ?Sized> Sorter<'a, R> {
    fn entry(&mut self, entry: Entry) -> Result<(), StoreError> {
        let Some(name) = entry.name.allowed().cloned() else { return self.not_allowed(&entry) };
        let kind = match entry.item {
            Item::Unsupported(kind) => {
                self.unsupported(&entry, &name, kind);
                return Ok(());
            }
            Item::Folder if self.scene.parent.is_some() && !self.scene.subfolders => return Ok(()),
            Item::Folder => Kind::Folder,
            Item::Document => Kind::Document,
        };
        let Some(guess) = self.guess(&entry, &name, kind)? else { return Ok(()) };
        self.spot(entry, name, kind, guess);
        Ok(())
    }

    fn not_allowed(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let detail = match &entry.name {
            crate::agent::repository::EntryName::NotAllowed(_, error) => error.to_string(),
            crate::agent::repository::EntryName::Allowed(_) => String::new(),
        };
        let member = match self.by_key.get(&entry.key).and_then(|known| known.first()) {
            Some(known) => Some((*known).clone()),
            None => Known::by_key(self.read, &entry.key)?.filter(|known| known.set == self.scene.set),
        };
        match member {
            Some(known) => {
                self.accounted.insert(known.node);
                self.sorted.troubled.push((known, Reason::NameNotAllowed, detail));
            }
            None => self.odd(entry, Reason::NameNotAllowed, detail),
        }
        Ok(())
    }

    fn unsupported(&mut self, entry: &Entry, name: &Name, kind: UnsupportedKind) {
        let covered = self.by_name.get(name).and_then(|known| known.first()).filter(|_| kind == UnsupportedKind::Mount);
        match covered {
            Some(known) => {
                self.accounted.insert(known.node);
                self.sorted.hidden.push((*known).clone());
            }
            None => self.odd(entry, Reason::UnsupportedType, describe(kind).to_owned()),
        }
    }

    fn odd(&mut self, entry: &Entry, reason: Reason, detail: String) {
        // Beside direct members lies what nobody asked to sync.
        if self.scene.parent.is_some() {
            self.sorted.oddities.push((entry.name.as_bytes().to_vec(), reason, detail));
        }
    }

    fn guess(&mut self, entry: &Entry, name: &Name, kind: Kind) -> Result<Option<Guess>, StoreError> {
        if self.scene.has_guests
            && let Some(guest) = Known::by_key(self.read, &entry.key)?
            && guest.direct
            && guest.is_at(&self.scene.folder, name)
        {
            self.odd(entry, Reason::AlreadySynced, String::new());
            return Ok(None);
        }
        let siblings = self.by_key.get(&entry.key).cloned().unwrap_or_default();
        if let Some(same) = siblings.iter().find(|known| known.name == *name) {
            return Ok(Some(Guess::Same((*same).clone())));
        }
        let left = |known: &&&Known| !self.listed.contains(&(known.key.clone(), known.name.as_str().as_bytes().to_vec()));
        if let Some(renamed) = siblings.iter().find(left) {
            return Ok(Some(self.over(name, kind, Guess::Same((*renamed).clone()))));
        }
        if !siblings.is_empty() {
            return Ok(Some(Guess::New { linked: true }).filter(|_| self.scene.parent.is_some()));
        }
        let Some(other) = Known::by_key(self.read, &entry.key)? else {
            // Ours, and perhaps renamed since: which member it is will be said in a moment.
            if placing::is_under_way(self.read, &entry.key)? {
                self.sorted.busy = true;
                return Ok(None);
            }
            return Ok(self.unknown(name, kind));
        };
        // Also in a folder of its own set: the cloud may have moved in what it lies in here.
        if other.direct && (other.set != self.scene.set || self.scene.parent.is_some()) {
            self.odd(entry, Reason::AlreadySynced, String::new());
            // It may have moved. Its place is not looked at from here: two that swapped places would send looks to and fro for ever.
            if !other.is_at(&self.scene.folder, name) {
                self.sorted.missing.push(other);
            }
            return Ok(None);
        }
        if self.scene.parent.is_some() || other.direct {
            return Ok(Some(self.over(name, kind, Guess::Elsewhere(other))));
        }
        if other.is_at(&self.scene.folder, name) {
            // The cloud put it there, in its own set, since the direct one left.
            return Ok(None);
        }
        // An indirect member was put over a direct one: it leaves its folder, and its content is this one's now.
        Ok(self.unknown(name, kind))
    }

    fn unknown(&self, name: &Name, kind: Kind) -> Option<Guess> {
        match self.replaced(name, kind) {
            Some(old) => Some(Guess::Replacing { old: old.clone(), absorbed: None }),
            None => Some(Guess::New { linked: false }).filter(|_| self.scene.parent.is_some()),
        }
    }

    /// Something known was put over a child. If it never was equal on both sides it was a passing name for that child's new content.
    fn over(&self, name: &Name, kind: Kind, guess: Guess) -> Guess {
        let (Guess::Same(mover) | Guess::Elsewhere(mover)) = &guess else { return guess };
        match self.replaced(name, kind) {
            Some(old) if old.based && !mover.based && mover.set == old.set && mover.node != old.node => {
                Guess::Replacing { old: old.clone(), absorbed: Some(mover.clone()) }
            }
            _ => guess,
        }
    }

    /// The child of this name and kind whose own item is not in the folder any more.
    fn replaced(&self, name: &Name, kind: Kind) -> Option<&'a Known> {
        self.by_name.get(name)?.iter().find(|known| known.kind == kind && !self.keys.contains(&known.key)).copied()
    }

    fn spot(&mut self, entry: Entry, name: Name, kind: Kind, guess: Guess) {
        let concerned: Vec<_> = match &guess {
            Guess::New { .. } => Vec::new(),
            Guess::Same(known) | Guess::Elsewhere(known) => vec![known],
            Guess::Replacing { old, absorbed } => std::iter::once(old).chain(absorbed).collect(),
        };
        self.accounted.extend(concerned.iter().map(|known| known.node));
        if concerned.iter().any(|known| known.applying) {
            self.sorted.busy = true;
            return;
        }
        let read = match &guess {
            Guess::New { .. } | Guess::Replacing { .. } => true,
            Guess::Same(known) | Guess::Elsewhere(known) => is_outdated(&entry, known),
        };
        if let Guess::Same(known) = &guess {
            let veiled = known.kind == Kind::Folder && known.problem.is_some_and(veils);
            if kind == Kind::Folder && (self.deep || veiled) {
                self.sorted.folders.push(entry.key.clone());
            }
            if !read && known.is_at(&self.scene.folder, &name) && (known.problem.is_none() || veiled) {
                return;
            }
        }
        self.sorted.spots.push(Spot { name, kind, entry, guess, read });
    }
}

/// Whether what the trees hold of an item has to be read again.
pub(super) fn is_outdated(entry: &Entry, known: &Known) -> bool {
    let unread = known.kind == Kind::Document && (known.content.is_none() || known.problem == Some(Reason::SourceAccessDenied));
    unread || !entry.stamp.unchanged_since(&known.stamp)
}

/// Says what an item is that cannot be synced.
pub(super) const fn describe(kind: UnsupportedKind) -> &'static str {
    match kind {
        UnsupportedKind::Link => "It is a symbolic link.",
        UnsupportedKind::Pipe => "It is a named pipe.",
        UnsupportedKind::Socket => "It is a socket.",
        UnsupportedKind::Device => "It is a device.",
        UnsupportedKind::Mount => "Another file system is mounted here.",
        UnsupportedKind::Record => "It is a declared record.",
        UnsupportedKind::SmartFolder => "It is a smart folder.",
    }
}

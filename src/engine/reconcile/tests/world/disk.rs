//! The source: a tree of items, with the refusals of a filesystem.

use std::collections::BTreeMap;

use crate::model::{ContentRef, Kind, Name, Properties, Reason};

/// What an item keeps through renames and moves, as an inode does.
pub(in super::super) type Key = u32;

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Item {
    pub(in super::super) parent: Option<Key>,
    pub(in super::super) name: Name,
    pub(in super::super) kind: Kind,
    pub(in super::super) content: Option<ContentRef>,
    pub(in super::super) properties: Properties,
    /// False after somebody saved by writing a new file over the old one: it has no attributes then.
    pub(in super::super) properties_known: bool,
    /// It was renamed out of the way by the agent, and `name` is not what it is called now.
    pub(in super::super) aside: bool,
    pub(in super::super) problem: Option<Reason>,
}

impl Item {
    /// Whether it has the name that it is known by: not if that is gone for a moment, or for one that is not allowed.
    pub(in super::super) fn has_its_name(&self) -> bool {
        !self.aside && self.problem != Some(Reason::NameNotAllowed)
    }
}

/// Why the disk does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Refused {
    /// Something has that very name.
    Exists,
    /// It is not there, or not a folder, or would lie in itself.
    Impossible,
    /// The folder holds something.
    NotEmpty,
}

/// All items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Disk {
    pub(in super::super) items: BTreeMap<Key, Item>,
    next: Key,
}

impl Disk {
    pub(in super::super) fn children(&self, folder: Key) -> impl Iterator<Item = Key> {
        self.items.iter().filter(move |(_, item)| item.parent == Some(folder)).map(|(key, _)| *key)
    }

    /// Keys with folders before what is in them.
    pub(in super::super) fn downwards(&self) -> Vec<Key> {
        let mut found: Vec<_> = self.items.iter().filter(|(_, item)| item.parent.is_none()).map(|(key, _)| *key).collect();
        let mut at = 0;
        while let Some(key) = found.get(at).copied() {
            found.extend(self.children(key));
            at += 1;
        }
        assert_eq!(found.len(), self.items.len(), "an item of the disk lies nowhere");
        found
    }

    pub(in super::super) fn is_beneath(&self, mut at: Option<Key>, above: Key) -> bool {
        while let Some(key) = at {
            if key == above {
                return true;
            }
            at = self.items.get(&key).and_then(|item| item.parent);
        }
        false
    }

    fn check(&self, parent: Option<Key>, name: &Name, own: Option<Key>) -> Result<(), Refused> {
        if parent.is_some_and(|parent| self.items.get(&parent).is_none_or(|folder| folder.kind != Kind::Folder)) {
            return Err(Refused::Impossible);
        }
        let takes = |(key, item): (&Key, &Item)| Some(*key) != own && item.parent == parent && item.has_its_name() && item.name == *name;
        if self.items.iter().any(takes) { Err(Refused::Exists) } else { Ok(()) }
    }

    pub(in super::super) fn make(&mut self, item: Item) -> Result<Key, Refused> {
        self.check(item.parent, &item.name, None)?;
        self.next += 1;
        self.items.insert(self.next, item);
        Ok(self.next)
    }

    pub(in super::super) fn rename(&mut self, key: Key, parent: Option<Key>, name: &Name) -> Result<(), Refused> {
        if !self.items.contains_key(&key) || self.is_beneath(parent, key) {
            return Err(Refused::Impossible);
        }
        self.check(parent, name, Some(key))?;
        let item = self.items.get_mut(&key).ok_or(Refused::Impossible)?;
        (item.parent, item.name, item.aside) = (parent, name.clone(), false);
        item.problem = item.problem.filter(|reason| *reason != Reason::NameNotAllowed);
        Ok(())
    }

    pub(in super::super) fn remove(&mut self, key: Key) -> Result<Item, Refused> {
        if self.children(key).next().is_some() {
            return Err(Refused::NotEmpty);
        }
        self.items.remove(&key).ok_or(Refused::Impossible)
    }

    /// As a person deletes: with all that is in it.
    pub(in super::super) fn remove_tree(&mut self, key: Key) {
        for child in self.children(key).collect::<Vec<_>>() {
            self.remove_tree(child);
        }
        self.items.remove(&key);
    }
}

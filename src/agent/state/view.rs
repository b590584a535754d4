//! The stored trees, as the planner looks at them.

use super::{Holders, LocalSet, LocalSets, Members, Parent, SourceNames, TargetNames};
use crate::engine::{Member, TreeView, Unsettled};
use crate::model::{FoldedName, NodeId, Sequence, SetId, SetOptions};
use crate::store::{Read, ReadExt, StoreError};

/// The most nodes that are listed in one go; more take several.
pub(super) const PAGE: usize = 1_000;

/// One set's trees in a store.
pub struct StoredTrees<'a, R: ?Sized> {
    /// What they are read from.
    pub read: &'a R,
    /// The set.
    pub set: &'a LocalSet,
}

impl<R: ?Sized> std::fmt::Debug for StoredTrees<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredTrees").field("set", &self.set.definition.id).finish_non_exhaustive()
    }
}

impl<R: Read + ?Sized> StoredTrees<'_, R> {
    const fn id(&self) -> SetId {
        self.set.definition.id
    }
}

/// Returns a folder as a part of a key.
#[must_use]
pub fn parent_key(parent: Option<NodeId>) -> Parent {
    parent.map_or([0; 16], |parent| *parent.as_bytes())
}

impl<R: Read + ?Sized> TreeView for StoredTrees<'_, R> {
    type Error = StoreError;

    fn member(&self, node: NodeId) -> Result<Option<Member>, StoreError> {
        Ok(self.read.get::<Members>(&(self.id(), node))?.map(|row| row.member))
    }

    fn source_holders(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Vec<NodeId>, StoreError> {
        let rows = self.read.scan::<SourceNames>(&(self.id(), parent_key(parent), name.clone()), None, PAGE)?;
        Ok(rows.into_iter().map(|((.., node), ())| node).collect())
    }

    fn target_holder(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Option<NodeId>, StoreError> {
        let rows = self.read.scan::<TargetNames>(&(self.id(), parent_key(parent), name.clone()), None, 1)?;
        Ok(rows.into_iter().next().map(|((.., node), ())| node))
    }

    fn has_source_children(&self, parent: NodeId) -> Result<bool, StoreError> {
        Ok(!self.read.scan::<SourceNames>(&(self.id(), parent_key(Some(parent))), None, 1)?.is_empty())
    }

    fn target_children(&self, parent: NodeId) -> Result<Vec<NodeId>, StoreError> {
        target_children(self.read, self.id(), Some(parent))
    }

    fn target_guest(&self, parent: NodeId) -> Result<Option<NodeId>, StoreError> {
        for set in siblings(self.read, self.id())? {
            if let Some(guest) = self.read.scan::<TargetNames>(&(set, parent_key(Some(parent))), None, 1)?.into_iter().next() {
                return Ok(Some(guest.0.3));
            }
        }
        Ok(None)
    }

    fn options(&self) -> SetOptions {
        self.set.definition.options
    }

    fn known_through(&self) -> Sequence {
        self.set.cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence)
    }

    fn unsettled(&self) -> Option<Unsettled> {
        if !self.set.source_complete {
            Some(Unsettled::Source)
        } else if !self.set.target_complete {
            Some(Unsettled::Target)
        } else {
            None
        }
    }
}

/// Lists the other sets of the same network.
///
/// # Errors
/// When the store cannot be read.
pub fn siblings(read: &(impl Read + ?Sized), set: SetId) -> Result<Vec<SetId>, StoreError> {
    let sets = read.scan::<LocalSets>(&(), None, usize::MAX)?;
    let network = sets.iter().find(|(id, _)| *id == set).map(|(_, local)| local.definition.network.clone());
    let same = sets.into_iter().filter(|(id, local)| *id != set && Some(&local.definition.network) == network.as_ref());
    Ok(same.map(|(id, _)| id).collect())
}

/// Lists the other sets of the same network that have a node.
///
/// # Errors
/// When the store cannot be read.
pub fn elsewhere(read: &(impl Read + ?Sized), set: SetId, node: NodeId) -> Result<Vec<SetId>, StoreError> {
    let holders = read.scan::<Holders>(&(node,), None, PAGE)?;
    let others: Vec<_> = holders.into_iter().map(|((_, other), ())| other).filter(|other| *other != set).collect();
    if others.is_empty() {
        return Ok(others);
    }
    let network = |set| Ok::<_, StoreError>(read.get::<LocalSets>(&set)?.map(|local| local.definition.network));
    let own = network(set)?;
    let mut same = Vec::with_capacity(others.len());
    for other in others {
        if network(other)? == own {
            same.push(other);
        }
    }
    Ok(same)
}

/// Lists what is in a folder at the target; with `None`, the direct members.
///
/// # Errors
/// When the store cannot be read.
pub fn target_children(read: &(impl Read + ?Sized), set: SetId, parent: Option<NodeId>) -> Result<Vec<NodeId>, StoreError> {
    all_nodes(|after| read.scan::<TargetNames>(&(set, parent_key(parent)), after, PAGE), |key| key.3)
}

/// Lists what is in a folder at the source; with `None`, the direct members.
///
/// # Errors
/// When the store cannot be read.
pub fn source_children(read: &(impl Read + ?Sized), set: SetId, parent: Option<NodeId>) -> Result<Vec<NodeId>, StoreError> {
    all_nodes(|after| read.scan::<SourceNames>(&(set, parent_key(parent)), after, PAGE), |key| key.4)
}

/// Lists what the rows of several pages name.
pub(super) fn all_nodes<K>(
    page: impl Fn(Option<&K>) -> Result<Vec<(K, ())>, StoreError>,
    node: impl Fn(&K) -> NodeId,
) -> Result<Vec<NodeId>, StoreError> {
    let mut all = Vec::new();
    let mut rows = page(None)?;
    while !rows.is_empty() {
        all.extend(rows.iter().map(|(key, ())| node(key)));
        let full = rows.len() == PAGE;
        let Some((last, ())) = rows.last().filter(|_| full) else { break };
        rows = page(Some(last))?;
    }
    Ok(all)
}

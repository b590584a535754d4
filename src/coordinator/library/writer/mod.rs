//! The changes of a library that people and syncs share. Rights and base revisions are checked by the callers; what is checked here holds
//! for everybody: names are unique, folders form no circle, quota and limits, what a sync set forbids.
//!
//! Each change checks everything before it writes anything, so that an operation can be refused in a transaction that goes on.

mod edit;
mod obstacle;
mod pairing;
mod trash;

pub(in crate::coordinator) use edit::{Destination, Edit};
pub(in crate::coordinator) use obstacle::{Obstacle, Stop};

use super::lineage::Lineage;
use super::{Actor, Child, Gate, Marker, Node, Parent, Stamp, Version, trail};
use crate::coordinator::failure::Failure;
use crate::coordinator::journal::{Entry, Ledger};
use crate::coordinator::sets::{Definition, DirectMember};
use crate::model::{ContentRef, Departure, Kind, Name, NetworkId, NodeId, Properties, Revisions, Sequence, SetId};
use crate::store::{ReadExt as _, StoreError, Transaction, WriteExt as _};

/// The most direct members that one change of a folder above them may concern: each costs a journal entry in one transaction.
const DIRECT_MEMBERS_MAX: usize = 5_000;

/// Changes the library of one network within one transaction. Nothing counts before [`Writer::finish`].
#[derive(Debug)]
pub(in crate::coordinator) struct Writer<'a, 'store> {
    /// The transaction.
    pub(in crate::coordinator) tx: &'a mut Transaction<'store>,
    network: NetworkId,
    ledger: Ledger,
    actor: Actor,
}

/// A node to be made.
#[derive(Debug, Clone)]
pub(in crate::coordinator) struct Birth {
    /// Its identity, that no node has or had.
    pub(in crate::coordinator) id: NodeId,
    /// Document or folder.
    pub(in crate::coordinator) kind: Kind,
    /// Its name.
    pub(in crate::coordinator) name: Name,
    /// A document's content.
    pub(in crate::coordinator) content: Option<ContentRef>,
    /// Its properties.
    pub(in crate::coordinator) properties: Properties,
    /// What it says about membership.
    pub(in crate::coordinator) marker: Option<Marker>,
}

/// Which sets a node was and is in.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    before: Option<SetId>,
    after: Option<SetId>,
    departure: Departure,
}

impl<'a, 'store> Writer<'a, 'store> {
    /// Begins to change a network's library.
    ///
    /// # Errors
    /// When there is no such network.
    pub(in crate::coordinator) fn open(tx: &'a mut Transaction<'store>, network: NetworkId, actor: Actor) -> Result<Self, Failure> {
        let ledger = Ledger::open(tx, network)?;
        Ok(Self { tx, network, ledger, actor })
    }

    /// Returns the last sequence of the journal.
    pub(in crate::coordinator) const fn head(&self) -> Sequence {
        self.ledger.head()
    }

    /// Writes what is left to write.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::coordinator) fn finish(self) -> Result<(), StoreError> {
        self.ledger.close(self.tx)
    }

    /// Makes a node in a folder.
    ///
    /// # Errors
    /// What stands in its way.
    pub(in crate::coordinator) fn insert(&mut self, gate: &dyn Gate, folder: &Lineage, birth: Birth) -> Result<Sequence, Stop> {
        self.check_name(folder, &birth.name, None)?;
        if let Some(content) = &birth.content {
            self.take_in(gate, content)?;
        }
        let sequence = self.ledger.next();
        let stamp = self.stamp();
        let node = Node {
            kind: birth.kind,
            parent: Parent::Folder(folder.id),
            name: birth.name,
            content: birth.content,
            revisions: Revisions::all_at(sequence, &birth.properties),
            properties: birth.properties,
            created: stamp,
            modified: stamp,
            version: u32::from(birth.content.is_some()),
            marker: birth.marker,
            trashed: None,
        };
        let lineage = folder.child(birth.id, node);
        self.put_node(&lineage)?;
        self.put_child(&lineage)?;
        self.put_version(&lineage)?;
        if let Some(Marker::DirectMember { set, .. }) = birth.marker {
            self.tx.put::<DirectMember>(&(set, birth.id), &())?;
            trail::add(self.tx, &lineage)?;
        }
        let after = self.set_of(&lineage)?;
        Ok(self.journal(&lineage, Crossing { before: None, after, departure: Departure::MovedOut })?)
    }

    /// Refuses a name that another node in the folder has.
    fn check_name(&self, folder: &Lineage, name: &Name, own: Option<NodeId>) -> Result<(), Stop> {
        match self.tx.get::<Child>(&(self.network, folder.id, name.folded()))? {
            Some(holder) if own != Some(holder) => Err(Obstacle::NameTaken { holder, name: name.clone() }.into()),
            _ => Ok(()),
        }
    }

    /// Checks that there is room for a version and takes its content into the network. Has an effect only if it succeeds.
    fn take_in(&mut self, gate: &dyn Gate, content: &ContentRef) -> Result<(), Stop> {
        self.ledger.check_room(content.size_bytes).map_err(Obstacle::NoRoom)?;
        if !gate.refer(self.tx, self.network, content)? {
            return Err(Obstacle::ContentMissing.into());
        }
        self.ledger.charge(content.size_bytes);
        Ok(())
    }

    fn put_node(&mut self, lineage: &Lineage) -> Result<(), StoreError> {
        self.tx.put::<Node>(&(self.network, lineage.id), &lineage.node)
    }

    fn put_child(&mut self, lineage: &Lineage) -> Result<(), StoreError> {
        match lineage.node.parent {
            Parent::Folder(folder) => self.tx.put::<Child>(&(self.network, folder, lineage.node.name.folded()), &lineage.id),
            Parent::Site(_) => Ok(()),
        }
    }

    fn delete_child(&mut self, lineage: &Lineage) -> Result<(), StoreError> {
        match lineage.node.parent {
            Parent::Folder(folder) => self.tx.delete::<Child>(&(self.network, folder, lineage.node.name.folded())),
            Parent::Site(_) => Ok(()),
        }
    }

    /// Writes the version of the content that the node has now.
    fn put_version(&mut self, lineage: &Lineage) -> Result<(), StoreError> {
        let Some(content) = lineage.node.content else { return Ok(()) };
        let version = Version { content, name: lineage.node.name.clone(), made: self.stamp(), by_sync: self.actor.by_sync.is_some() };
        self.tx.put::<Version>(&(self.network, lineage.id, lineage.node.version), &version)
    }

    /// Appends an entry that shows the node as it is in `lineage`.
    fn journal(&mut self, lineage: &Lineage, crossing: Crossing) -> Result<Sequence, StoreError> {
        let Crossing { before, after, departure } = crossing;
        let entered = after.is_some() && after != before;
        let lists = entered && lineage.node.kind == Kind::Folder && self.holds_something(lineage.id)?;
        let entry = Entry {
            node: lineage.node.target(lineage.id),
            op: self.actor.by_sync,
            before,
            after,
            departure,
            lists,
            by: self.actor.account,
            at: self.actor.now,
        };
        self.ledger.append(self.tx, &entry)
    }

    fn holds_something(&self, folder: NodeId) -> Result<bool, StoreError> {
        Ok(!self.tx.scan::<Child>(&(self.network, folder), None, 1)?.is_empty())
    }

    fn set_of(&self, lineage: &Lineage) -> Result<Option<SetId>, StoreError> {
        Ok(lineage.membership(self.tx)?.map(|membership| membership.set))
    }

    const fn stamp(&self) -> Stamp {
        Stamp { at: self.actor.now, by: self.actor.account }
    }

    /// Lists the direct members beneath a node, with the sets that are in force.
    fn direct_members(&self, node: NodeId) -> Result<Vec<(NodeId, Option<Definition>)>, Stop> {
        let ids = trail::direct_members_beneath(self.tx, self.network, node, DIRECT_MEMBERS_MAX + 1)?;
        if ids.len() > DIRECT_MEMBERS_MAX {
            return Err(Obstacle::TooManyDirectMembers { limit: DIRECT_MEMBERS_MAX }.into());
        }
        let mut members = Vec::with_capacity(ids.len());
        for id in ids {
            let marker = self.tx.get::<Node>(&(self.network, id))?.and_then(|node| node.marker);
            let definition = match marker {
                Some(Marker::DirectMember { set, .. }) => Definition::in_force(self.tx, set)?,
                _ => None,
            };
            members.push((id, definition));
        }
        Ok(members)
    }

    /// Refuses a person's change by which content leaves a set that does not allow deleting in the cloud.
    fn check_protection<'d>(&self, left: impl IntoIterator<Item = &'d Definition>) -> Result<(), Stop> {
        match left.into_iter().find(|definition| !definition.set.options.delete_on_cloud) {
            Some(definition) if self.actor.by_sync.is_none() => {
                Err(Obstacle::Protected { set: definition.set.id, name: definition.set.name.clone() }.into())
            }
            _ => Ok(()),
        }
    }
}

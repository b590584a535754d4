//! To the trash and back. Only the top moves; what is in it stays where it is, and its members leave their sets with it.

use super::{Crossing, Destination, Stop, Writer};
use crate::coordinator::library::{Lineage, Marker, Node, Parent, Trash, Trashed, trail, trash::time_key};
use crate::coordinator::sets::DirectMember;
use crate::model::{Departure, NodeId, Sequence};
use crate::store::{ReadExt as _, WriteExt as _};

impl Writer<'_, '_> {
    /// Moves a node, which is not a document library, to the trash of its site.
    ///
    /// # Errors
    /// What stands in its way.
    pub(in crate::coordinator) fn trash(&mut self, old: &Lineage) -> Result<Sequence, Stop> {
        let before = old.membership(self.tx)?;
        let beneath = self.direct_members(old.id)?;
        let left = beneath.iter().filter_map(|(_, definition)| definition.as_ref());
        self.check_protection(left.chain(before.as_ref().map(|membership| &membership.definition)))?;

        self.delete_child(old)?;
        if old.node.is_direct_member() || trail::leads_down(self.tx, self.network, old.id)? {
            trail::remove(self.tx, old)?;
        }
        let trashed = Trashed { site: old.site, deleted: self.stamp(), by_sync: self.actor.by_sync.is_some() };
        let mut new = old.clone();
        new.node.trashed = Some(trashed);
        self.put_node(&new)?;
        self.tx.put::<Trash>(&(self.network, old.site, time_key(self.actor.now), old.id), &())?;
        let crossing = Crossing { before: before.map(|membership| membership.set), after: None, departure: Departure::Deleted };
        let sequence = self.journal(old, crossing)?;
        for (id, definition) in beneath {
            let (Some(definition), Some(node)) = (definition, self.tx.get::<Node>(&(self.network, id))?) else { continue };
            let member = Lineage { id, node, ..old.clone() };
            self.journal(&member, Crossing { before: Some(definition.set.id), ..crossing })?;
        }
        Ok(sequence)
    }

    /// Takes the top of something out of the trash. What is a direct member of a set, itself or beneath, is that again, unless it comes
    /// to another site.
    ///
    /// # Errors
    /// What stands in its way.
    pub(in crate::coordinator) fn restore(&mut self, old: &Lineage, trashed: &Trashed, destination: Destination) -> Result<Sequence, Stop> {
        let Destination { folder, name } = destination;
        self.check_name(&folder, &name, Some(old.id))?;
        let comes_elsewhere = folder.site != trashed.site;
        let beneath = self.direct_members(old.id)?;

        let sequence = self.ledger.next();
        let mut node = old.node.clone();
        node.trashed = None;
        node.revisions.existence = sequence;
        if node.parent != Parent::Folder(folder.id) || node.name != name {
            node.revisions.place = sequence;
        }
        match node.marker {
            Some(Marker::DirectMember { set, .. }) if comes_elsewhere => {
                self.tx.delete::<DirectMember>(&(set, old.id))?;
                node.marker = None;
            }
            Some(Marker::Released { .. }) if node.parent != Parent::Folder(folder.id) => node.marker = None,
            _ => {}
        }
        node.parent = Parent::Folder(folder.id);
        node.name = name;
        let new = folder.child(old.id, node);
        self.tx.delete::<Trash>(&(self.network, trashed.site, time_key(trashed.deleted.at), old.id))?;
        self.put_node(&new)?;
        self.put_child(&new)?;
        if new.node.is_direct_member() || trail::leads_down(self.tx, self.network, old.id)? {
            trail::add(self.tx, &new)?;
        }
        let after = self.set_of(&new)?;
        self.journal(&new, Crossing { before: None, after, departure: Departure::MovedOut })?;
        for (id, _) in beneath {
            if comes_elsewhere {
                self.unpair(id, None, Departure::MovedOut)?
            } else {
                self.announce(id)?
            };
        }
        Ok(sequence)
    }

    /// Tells the set of a direct member that it is there again.
    fn announce(&mut self, id: NodeId) -> Result<(), Stop> {
        let Some(mut lineage) = Lineage::read(self.tx, self.network, id)? else { return Ok(()) };
        if let Some(after) = self.set_of(&lineage)? {
            lineage.node.revisions.existence = self.ledger.next();
            self.put_node(&lineage)?;
            self.journal(&lineage, Crossing { before: None, after: Some(after), departure: Departure::MovedOut })?;
        }
        Ok(())
    }
}

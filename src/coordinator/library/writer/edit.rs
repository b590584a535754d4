//! Changing a node that is there: content, place, properties, any of them at once.

use super::{Crossing, Obstacle, Stop, Writer};
use crate::coordinator::library::{Gate, Lineage, Marker, Parent, trail};
use crate::coordinator::sets::{Definition, DirectMember};
use crate::model::{ContentRef, Departure, Name, NodeId, Property, Sequence, SetId, Value};
use crate::store::WriteExt as _;

/// A folder that is not in the trash, and a name in it.
#[derive(Debug, Clone)]
pub(in crate::coordinator) struct Destination {
    /// The folder.
    pub(in crate::coordinator) folder: Lineage,
    /// The name.
    pub(in crate::coordinator) name: Name,
}

/// What to change. The revision of each facet that is named moves on, even if its value stays.
#[derive(Debug, Clone, Default)]
pub(in crate::coordinator) struct Edit {
    /// New content. The content that the document has already makes no version.
    pub(in crate::coordinator) content: Option<ContentRef>,
    /// Another name, another folder, or both.
    pub(in crate::coordinator) place: Option<Destination>,
    /// Properties to set, or with `None` to remove.
    pub(in crate::coordinator) properties: Vec<(Property, Option<Value>)>,
}

impl Writer<'_, '_> {
    /// Changes a node that is not in the trash and is not a document library.
    ///
    /// A direct member that is moved out of its site is no member any more, and neither are those beneath.
    ///
    /// # Errors
    /// What stands in its way.
    pub(in crate::coordinator) fn edit(&mut self, gate: &dyn Gate, old: &Lineage, edit: Edit) -> Result<Sequence, Stop> {
        let sequence = self.ledger.next();
        let before = old.membership(self.tx)?;
        let mut new = old.clone();
        for (property, value) in edit.properties {
            new.node.properties.set(property, value).map_err(Obstacle::Property)?;
            new.node.revisions.properties.insert(property, sequence);
        }
        let mut lost = Vec::new();
        if let Some(destination) = edit.place {
            (new, lost) = self.relocated(old, new, destination)?;
            new.node.revisions.place = sequence;
        }
        let after = new.membership(self.tx)?;
        if let Some(left) = before.as_ref().filter(|before| after.as_ref().is_none_or(|after| after.set != before.set)) {
            self.check_protection([&left.definition])?;
        }
        let crossing = Crossing {
            before: before.map(|membership| membership.set),
            after: after.map(|membership| membership.set),
            departure: Departure::MovedOut,
        };
        if crossing.after.is_some() && crossing.after != crossing.before {
            new.node.revisions.existence = sequence;
        }
        if let Some(content) = edit.content {
            new.node.revisions.content = sequence;
            if old.node.content != Some(content) {
                self.take_in(gate, &content)?;
                new.node.content = Some(content);
                new.node.version += 1;
                self.put_version(&new)?;
            }
        }
        new.node.modified = self.stamp();
        self.put_edited(old, &new)?;
        self.journal(&new, crossing)?;
        for (id, definition) in lost {
            self.unpair(id, definition.map(|definition| definition.set.id), Departure::MovedOut)?;
        }
        Ok(sequence)
    }

    /// Puts the node at its destination, in memory, and says which direct members beneath lose their pairing by that.
    fn relocated(
        &self,
        old: &Lineage,
        new: Lineage,
        destination: Destination,
    ) -> Result<(Lineage, Vec<(NodeId, Option<Definition>)>), Stop> {
        let Destination { folder, name } = destination;
        if folder.contains(old.id) {
            return Err(Obstacle::IntoItself.into());
        }
        self.check_name(&folder, &name, Some(old.id))?;
        let mut node = new.node;
        node.name = name;
        if node.parent == Parent::Folder(folder.id) {
            return Ok((Lineage { node, ..new }, Vec::new()));
        }
        node.parent = Parent::Folder(folder.id);
        let leaves_site = folder.site != old.site;
        let lost = if leaves_site { self.direct_members(old.id)? } else { Vec::new() };
        self.check_protection(lost.iter().filter_map(|(_, definition)| definition.as_ref()))?;
        node.marker = match node.marker {
            Some(Marker::DirectMember { .. }) if leaves_site => None,
            Some(Marker::Released { set }) if !self.stays_in(set, old, &folder)? => None,
            marker => marker,
        };
        Ok((folder.child(old.id, node), lost))
    }

    /// Whether a set reaches both the folder that a node comes from and the one that it goes to. If not, the node's release from the set
    /// is over: moved in again, it is a member again.
    fn stays_in(&self, set: SetId, old: &Lineage, folder: &Lineage) -> Result<bool, Stop> {
        let comes_from = old.holder().map(|holder| self.set_of(&holder)).transpose()?.flatten();
        Ok(comes_from == Some(set) && self.set_of(folder)? == Some(set))
    }

    fn put_edited(&mut self, old: &Lineage, new: &Lineage) -> Result<(), Stop> {
        if old.node.name != new.node.name || old.node.parent != new.node.parent {
            self.delete_child(old)?;
            self.put_child(new)?;
        }
        self.put_node(new)?;
        if old.node.parent != new.node.parent {
            let leads_down = trail::leads_down(self.tx, self.network, old.id)?;
            if leads_down || old.node.is_direct_member() {
                trail::remove(self.tx, old)?;
            }
            if leads_down || new.node.is_direct_member() {
                trail::add(self.tx, new)?;
            }
            if let (Some(Marker::DirectMember { set, .. }), None) = (old.node.marker, new.node.marker) {
                self.tx.delete::<DirectMember>(&(set, old.id))?;
            }
        }
        Ok(())
    }
}

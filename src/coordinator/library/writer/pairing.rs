//! Making and unmaking members where they are.

use super::{Crossing, Stop, Writer};
use crate::coordinator::library::{Lineage, Marker, trail};
use crate::coordinator::sets::DirectMember;
use crate::model::{Departure, NodeId, PairingId, Sequence, SetId};
use crate::store::WriteExt as _;

impl Writer<'_, '_> {
    /// Makes a node that is no member a direct member.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::coordinator) fn pair(&mut self, old: &Lineage, set: SetId, pairing: PairingId) -> Result<Sequence, Stop> {
        let before = self.set_of(old)?;
        let mut new = old.clone();
        new.node.marker = Some(Marker::DirectMember { set, pairing });
        new.node.revisions.existence = self.ledger.next();
        self.put_node(&new)?;
        self.tx.put::<DirectMember>(&(set, old.id), &())?;
        trail::add(self.tx, &new)?;
        let after = self.set_of(&new)?;
        Ok(self.journal(&new, Crossing { before, after, departure: Departure::MovedOut })?)
    }

    /// Takes an indirect member of a set, with what is in it, out of the set.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::coordinator) fn release(&mut self, old: &Lineage, set: SetId) -> Result<Sequence, Stop> {
        let mut new = old.clone();
        new.node.marker = Some(Marker::Released { set });
        self.put_node(&new)?;
        Ok(self.journal(&new, Crossing { before: Some(set), after: None, departure: Departure::Released })?)
    }

    /// Makes a direct member, wherever it is, one no more. `before` is the set that it leaves; without one nobody is told that it left.
    /// If the folder above belongs to another set it enters that one.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::coordinator) fn unpair(&mut self, id: NodeId, before: Option<SetId>, departure: Departure) -> Result<(), Stop> {
        let Some(old) = Lineage::read(self.tx, self.network, id)? else { return Ok(()) };
        let Some(Marker::DirectMember { set, .. }) = old.node.marker else { return Ok(()) };
        let mut new = old.clone();
        new.node.marker = None;
        self.tx.delete::<DirectMember>(&(set, id))?;
        if !trail::leads_down(self.tx, self.network, id)? {
            trail::remove(self.tx, &old)?;
        }
        let after = self.set_of(&new)?;
        if after.is_some() && after != before {
            new.node.revisions.existence = self.ledger.next();
        }
        self.put_node(&new)?;
        if before.is_some() || after.is_some() {
            self.journal(&new, Crossing { before, after, departure })?;
        }
        Ok(())
    }
}

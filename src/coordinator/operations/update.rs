//! Changing members.

use super::create::holds;
use super::{End, Task, check_grant};
use crate::coordinator::library::writer::{Destination, Edit};
use crate::coordinator::library::{Lineage, Membership};
use crate::model::{ContentRef, Kind, NodeId, Permission, Place, PropertyChange, Reason, Refusal, Sequence};
use crate::store::Transaction;

impl Task<'_> {
    pub(super) fn update(
        &self,
        tx: &mut Transaction<'_>,
        content: Option<&(ContentRef, Sequence)>,
        place: Option<&(Place, Sequence)>,
        properties: &[PropertyChange],
    ) -> Result<Sequence, End> {
        let (lineage, membership) = self.changed(tx, place.map(|(place, _)| place))?;
        self.require(tx, &lineage, Permission::Change)?;
        let revisions = &lineage.node.revisions;
        let is_current = content.is_none_or(|(_, base)| *base == revisions.content)
            && place.is_none_or(|(_, base)| *base == revisions.place)
            && properties.iter().all(|change| change.base == revisions.property(change.property));
        if !is_current {
            return Err(Refusal::Stale.into());
        }
        if content.is_some() && lineage.node.kind == Kind::Folder {
            return Err(Refusal::Because(Reason::UnsupportedType, "a folder has no content".to_owned()).into());
        }
        let place = place.map(|(place, _)| self.destination(tx, &lineage, &membership, place)).transpose()?;
        let edit = Edit {
            content: content.map(|(content, _)| *content),
            place,
            properties: properties.iter().map(|change| (change.property, change.value.clone())).collect(),
        };
        let mut writer = self.writer(tx)?;
        let sequence = match writer.edit(self.caller.gate, &lineage, edit) {
            Ok(sequence) => sequence,
            Err(stop) => return Err(self.refuse(writer.tx, stop)),
        };
        writer.finish()?;
        Ok(sequence)
    }

    /// Returns the member to change: one of the set, or one that the agent saw move into this set out of another that is granted to it.
    fn changed(&self, tx: &Transaction<'_>, place: Option<&Place>) -> Result<(Lineage, Membership), End> {
        let lineage = self.read(tx, self.operation.node)?.ok_or(Refusal::Missing)?;
        let membership = lineage.membership(tx)?.ok_or(Refusal::Missing)?;
        if membership.set == self.set() || self.arrives(tx, &membership, place)? {
            return Ok((lineage, membership));
        }
        Err(Refusal::Missing.into())
    }

    fn arrives(&self, tx: &Transaction<'_>, from: &Membership, place: Option<&Place>) -> Result<bool, End> {
        let Some(parent) = place.and_then(|place| place.parent) else { return Ok(false) };
        let Some(folder) = self.read(tx, parent)? else { return Ok(false) };
        let is_here = folder.membership(tx)?.is_some_and(|membership| membership.set == self.set());
        Ok(is_here && check_grant(tx, self.caller.gate, self.caller.agent, from.set)?.is_ok())
    }

    /// Returns a member folder of the set, or of another set that is granted to the same agent: a move from one to the other is one change,
    /// by which the node leaves the one and enters the other with its identity and history.
    fn reached_folder(&self, tx: &Transaction<'_>, parent: NodeId, kind: Kind) -> Result<Lineage, End> {
        let folder = self.read(tx, parent)?.ok_or(Refusal::Missing)?;
        let membership = folder.membership(tx)?.ok_or(Refusal::Missing)?;
        let granted = membership.set == self.set() || check_grant(tx, self.caller.gate, self.caller.agent, membership.set)?.is_ok();
        if granted && holds(&folder, &membership, kind) { Ok(folder) } else { Err(Refusal::Missing.into()) }
    }

    /// Returns the folder that a member is to lie in: a member folder, or for a direct member the folder that it is in.
    fn destination(&self, tx: &Transaction<'_>, lineage: &Lineage, membership: &Membership, place: &Place) -> Result<Destination, End> {
        let is_direct = membership.carrier == lineage.id;
        let folder = match (place.parent, is_direct) {
            (None, true) => lineage.holder().ok_or(Refusal::Missing)?,
            (Some(parent), false) => self.reached_folder(tx, parent, lineage.node.kind)?,
            _ => return Err(Refusal::Missing.into()),
        };
        if lineage.above.first().is_none_or(|(held_by, _)| *held_by != folder.id) {
            self.require(tx, &folder, Permission::Create)?;
        }
        Ok(Destination { folder, name: place.name.clone() })
    }
}

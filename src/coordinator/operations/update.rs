//! Changing members.

use super::{End, Task};
use crate::coordinator::library::writer::{Destination, Edit};
use crate::coordinator::library::{Lineage, Membership};
use crate::model::{ContentRef, Kind, Permission, Place, PropertyChange, Reason, Refusal, Sequence};
use crate::store::Transaction;

impl Task<'_> {
    pub(super) fn update(
        &self,
        tx: &mut Transaction<'_>,
        content: Option<&(ContentRef, Sequence)>,
        place: Option<&(Place, Sequence)>,
        properties: &[PropertyChange],
    ) -> Result<Sequence, End> {
        let (lineage, membership) = self.member(tx, self.operation.node)?;
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

    /// Returns the folder that a member is to lie in: another member of the set, or for a direct member the folder that it is in.
    fn destination(&self, tx: &Transaction<'_>, lineage: &Lineage, membership: &Membership, place: &Place) -> Result<Destination, End> {
        let is_direct = membership.carrier == lineage.id;
        let folder = match (place.parent, is_direct) {
            (None, true) => lineage.holder().ok_or(Refusal::Missing)?,
            (Some(parent), false) => self.member_folder(tx, parent, lineage.node.kind)?,
            _ => return Err(Refusal::Missing.into()),
        };
        if lineage.above.first().is_none_or(|(held_by, _)| *held_by != folder.id) {
            self.require(tx, &folder, Permission::Create)?;
        }
        Ok(Destination { folder, name: place.name.clone() })
    }
}

//! Making members: new nodes, and nodes of the target folder that become members.

use super::{End, Task};
use crate::coordinator::library::writer::Birth;
use crate::coordinator::library::{Child, Lineage, Marker, Membership, Node};
use crate::coordinator::sets::DirectMember;
use crate::engine::membership;
use crate::model::{ContentRef, Departure, Kind, NodeId, NodeState, Permission, Reason, Refusal, Sequence, SetShape};
use crate::store::{ReadExt as _, Transaction};

/// The most direct members of a set of one folder that are looked at: one that lives, and those in the trash.
const FORMER_MAX: usize = 1_000;

impl Task<'_> {
    pub(super) fn create(&self, tx: &mut Transaction<'_>, state: &NodeState) -> Result<Sequence, End> {
        if (state.kind == Kind::Document) != state.content.is_some() {
            return Err(Refusal::Because(Reason::UnsupportedType, "a document has content, a folder has none".to_owned()).into());
        }
        let folder = match state.place.parent {
            Some(parent) => self.member_folder(tx, parent, state.kind)?,
            None => self.target_folder(tx, state.kind)?,
        };
        self.require(tx, &folder, Permission::Create)?;
        if tx.exists::<Node>(&(self.definition.set.network, self.operation.node))? {
            // The same answer whether the id is in this set, in another, or in the trash of somebody else.
            return Err(Refusal::IdInUse.into());
        }
        let mut marker = None;
        if state.place.parent.is_none() {
            self.refuse_paired_holder(tx, &folder, &state.place.name.folded())?;
            marker = Some(Marker::DirectMember { set: self.set(), pairing: self.operation.pairing });
        }
        let former = if marker.is_some() { self.former_members(tx)? } else { Vec::new() };
        let birth = Birth {
            id: self.operation.node,
            kind: state.kind,
            name: state.place.name.clone(),
            content: state.content,
            properties: state.properties.clone(),
            marker,
        };
        let mut writer = self.writer(tx)?;
        let sequence = match writer.insert(self.caller.gate, &folder, birth) {
            Ok(sequence) => sequence,
            Err(stop) => return Err(self.refuse(writer.tx, stop)),
        };
        for node in former {
            writer.unpair(node, None, Departure::Released).map_err(crate::coordinator::failure::Failure::from)?;
        }
        writer.finish()?;
        Ok(sequence)
    }

    /// Returns the member folder of the set that is to hold a node, if the set reaches the node there.
    fn member_folder(&self, tx: &Transaction<'_>, parent: NodeId, kind: Kind) -> Result<Lineage, End> {
        let (folder, membership) = self.member(tx, parent)?;
        if holds(&folder, &membership, kind) { Ok(folder) } else { Err(Refusal::Missing.into()) }
    }

    /// Returns the folder in which direct members are made.
    fn target_folder(&self, tx: &Transaction<'_>, kind: Kind) -> Result<Lineage, End> {
        let fits = match self.definition.set.shape {
            SetShape::Documents => kind == Kind::Document,
            SetShape::Folder { .. } => kind == Kind::Folder,
        };
        if !fits {
            return Err(Refusal::Because(Reason::UnsupportedType, "the set holds direct members of the other kind".to_owned()).into());
        }
        match self.read(tx, self.definition.set.target_folder)? {
            Some(folder) if !folder.in_trash => Ok(folder),
            _ => Err(Refusal::Because(Reason::TargetFolderMissing, String::new()).into()),
        }
    }

    /// Refuses a name in the target folder whose holder is a member of another set: it cannot be adopted, and keeps its name.
    fn refuse_paired_holder(&self, tx: &Transaction<'_>, folder: &Lineage, name: &crate::model::FoldedName) -> Result<(), End> {
        let Some(holder) = tx.get::<Child>(&(folder.network, folder.id, name.clone()))? else { return Ok(()) };
        let Some(holder) = self.read(tx, holder)? else { return Ok(()) };
        match holder.membership(tx)? {
            Some(other) if other.set != self.set() => Err(name_clash(&other).into()),
            _ => Ok(()),
        }
    }

    /// Lists the former direct members of a set of one folder, which are in the trash and whose place the new one takes. One that lives
    /// keeps it.
    fn former_members(&self, tx: &Transaction<'_>) -> Result<Vec<NodeId>, End> {
        if self.definition.set.shape == SetShape::Documents {
            return Ok(Vec::new());
        }
        let mut former = Vec::new();
        for ((_, node), ()) in tx.scan::<DirectMember>(&(self.set(),), None, FORMER_MAX)? {
            if self.read(tx, node)?.is_some_and(|lineage| !lineage.in_trash) {
                return Err(Refusal::Because(Reason::AlreadySynced, "the set has its folder already".to_owned()).into());
            }
            former.push(node);
        }
        Ok(former)
    }

    pub(super) fn pair(&self, tx: &mut Transaction<'_>, content: Option<&ContentRef>) -> Result<Sequence, End> {
        let lineage = self.read(tx, self.operation.node)?.filter(|lineage| !lineage.in_trash).ok_or(Refusal::Missing)?;
        if lineage.above.first().is_none_or(|(folder, _)| *folder != self.definition.set.target_folder) {
            return Err(Refusal::Missing.into());
        }
        self.target_folder(tx, lineage.node.kind)?;
        if let Some(other) = lineage.membership(tx)? {
            return Err(already_synced(&other).into());
        }
        if lineage.node.kind == Kind::Folder {
            self.refuse_synced_beneath(tx, &lineage)?;
        }
        // What the agent writes into an adopted folder is checked by itself; an adopted document is what it will change.
        let permission = if lineage.node.kind == Kind::Folder { Permission::Create } else { Permission::Change };
        self.require(tx, &lineage, permission)?;
        if lineage.node.content.as_ref() != content {
            return Err(Refusal::Stale.into());
        }
        let former = self.former_members(tx)?;
        let mut writer = self.writer(tx)?;
        let paired = writer.pair(&lineage, self.set(), self.operation.pairing);
        let sequence = paired.map_err(crate::coordinator::failure::Failure::from)?;
        for node in former {
            writer.unpair(node, None, Departure::Released).map_err(crate::coordinator::failure::Failure::from)?;
        }
        writer.finish()?;
        Ok(sequence)
    }

    fn refuse_synced_beneath(&self, tx: &Transaction<'_>, folder: &Lineage) -> Result<(), End> {
        let network = self.definition.set.network;
        for node in crate::coordinator::library::direct_members_beneath(tx, network, folder.id, FORMER_MAX)? {
            let membership = self.read(tx, node)?.map(|lineage| lineage.membership(tx)).transpose()?.flatten();
            if let Some(other) = membership {
                return Err(already_synced(&other).into());
            }
        }
        Ok(())
    }
}

/// Whether a node of this kind, right in the folder, belongs to the folder's set.
pub(super) fn holds(folder: &Lineage, membership: &Membership, kind: Kind) -> bool {
    let distance = folder.steps().take_while(|(_, below)| *below != membership.carrier).count() + 1;
    folder.node.kind == Kind::Folder && membership::reaches(membership.definition.set.shape, kind, distance)
}

fn already_synced(other: &Membership) -> Refusal {
    Refusal::Because(Reason::AlreadySynced, by_set(other))
}

fn name_clash(other: &Membership) -> Refusal {
    Refusal::Because(Reason::NameClash, format!("what has it is synced {}", by_set(other)))
}

fn by_set(other: &Membership) -> String {
    format!("by the set {:?} ({})", other.definition.set.name.as_str(), other.set)
}

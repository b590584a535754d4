//! Taking members out: to the trash, or out of the set with the copy left where it is.

use super::{End, Task, denied};
use crate::coordinator::failure::Failure;
use crate::coordinator::library::{Child, Lineage, Marker, Node};
use crate::model::{Departure, Kind, Permission, Reason, Refusal, Sequence};
use crate::store::{ReadExt as _, Transaction};

/// Children of a folder that are read at once.
const CHILDREN_AT_ONCE: usize = 512;

/// What is in a folder.
#[derive(Debug, Default)]
struct Beneath {
    /// The newest revision of a member of the set.
    newest_member: Sequence,
    /// That of anything else.
    newest: Sequence,
    /// Whether anything is not in the set.
    has_foreign: bool,
    /// A folder that holds something that the set's owner may not delete.
    not_the_owners: Option<Lineage>,
}

impl Task<'_> {
    pub(super) fn delete(&self, tx: &mut Transaction<'_>, through: Sequence) -> Result<Sequence, End> {
        let (lineage, _) = self.member(tx, self.operation.node)?;
        if !self.definition.set.options.delete_on_cloud {
            let detail = "the sync set does not allow deleting in the cloud: release it instead";
            return Err(Refusal::Because(Reason::TargetAccessDenied, detail.to_owned()).into());
        }
        self.require(tx, &lineage, Permission::Delete)?;
        if lineage.node.revisions.newest() > through {
            return Err(Refusal::Stale.into());
        }
        if lineage.node.kind == Kind::Folder {
            let beneath = self.survey(tx, &lineage)?;
            if let Some(folder) = beneath.not_the_owners {
                return Err(denied(&folder));
            }
            if beneath.newest.max(beneath.newest_member) > through {
                return Err(Refusal::Stale.into());
            }
            if beneath.has_foreign {
                return Err(Refusal::NotEmpty.into());
            }
        }
        let mut writer = self.writer(tx)?;
        let sequence = match writer.trash(&lineage) {
            Ok(sequence) => sequence,
            Err(stop) => return Err(self.refuse(writer.tx, stop)),
        };
        writer.finish()?;
        Ok(sequence)
    }

    /// Walks through all that is in a folder. Reads as many rows as there are nodes, and writes none.
    fn survey(&self, tx: &Transaction<'_>, top: &Lineage) -> Result<Beneath, End> {
        let network = self.definition.set.network;
        let role = self.role(tx, top)?;
        let (mut folders, mut beneath) = (vec![top.clone()], Beneath::default());
        while let Some(folder) = folders.pop() {
            let mut after = None;
            loop {
                let rows = tx.scan::<Child>(&(network, folder.id), after.as_ref(), CHILDREN_AT_ONCE)?;
                let is_last = rows.len() < CHILDREN_AT_ONCE;
                for (key, child) in rows {
                    after = Some(key);
                    let Some(node) = tx.get::<Node>(&(network, child))? else { continue };
                    let membership = folder.membership_of_child(tx, child, &node)?;
                    let is_foreign = membership.is_none_or(|membership| membership.set != self.set());
                    beneath.has_foreign |= is_foreign;
                    let newest = if is_foreign { &mut beneath.newest } else { &mut beneath.newest_member };
                    *newest = node.revisions.newest().max(*newest);
                    if !role.permits(Permission::Delete, node.created.by == self.definition.set.owner) {
                        beneath.not_the_owners.get_or_insert_with(|| folder.clone());
                    }
                    if node.kind == Kind::Folder {
                        folders.push(folder.child(child, node));
                    }
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(beneath)
    }

    /// Takes a member out of the set. A direct member in the trash counts as one: so its pairing ends when it is pushed anew.
    pub(super) fn release(&self, tx: &mut Transaction<'_>, through: Option<Sequence>) -> Result<Sequence, End> {
        let lineage = self.read(tx, self.operation.node)?.ok_or(Refusal::Missing)?;
        let in_set = lineage.membership(tx)?.is_some_and(|membership| membership.set == self.set());
        let is_direct = matches!(lineage.node.marker, Some(Marker::DirectMember { set, .. }) if set == self.set());
        if !(in_set || is_direct && lineage.in_trash) {
            return Err(Refusal::Missing.into());
        }
        if let Some(through) = through {
            let is_folder = lineage.node.kind == Kind::Folder;
            let beneath = if is_folder { self.survey(tx, &lineage)?.newest_member } else { Sequence::ZERO };
            if lineage.node.revisions.newest().max(beneath) > through {
                return Err(Refusal::Stale.into());
            }
        }
        let mut writer = self.writer(tx)?;
        let done = if is_direct {
            writer.unpair(lineage.id, in_set.then_some(self.set()), Departure::Released)
        } else {
            writer.release(&lineage, self.set()).map(drop)
        };
        done.map_err(Failure::from)?;
        let sequence = writer.head();
        writer.finish()?;
        Ok(sequence)
    }
}

//! Ending: a whole set, or the membership of one direct member. Both copies stay, unless the cloud's is to go to the trash.

use super::record::{SetOfAgent, SetOfNetwork};
use super::{Acknowledged, Definition, DirectMember, Directive, direct, report};
use crate::coordinator::failure::Failure;
use crate::coordinator::library::writer::Writer;
use crate::coordinator::library::{Actor, Child, Lineage, Node, require_all_own};
use crate::coordinator::networks;
use crate::model::{Departure, Fault, FaultKind, Kind, NodeId, Permission, Reason};
use crate::store::{ReadExt as _, Transaction, WriteExt as _};

/// Non-members that a refusal names.
const NAMED_MAX: usize = 10;
/// Direct members, or reports, that one transaction handles.
const STEP_MAX: usize = 1_000;
/// The most direct members whose cloud copies one call moves to the trash: all of them go in one transaction, or none.
const REMOVED_MAX: usize = 5_000;

/// What goes to the trash of the cloud when a sync ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Members. A folder that holds anything else is refused, and that is named.
    Members,
    /// Members, and whatever lies in a folder that is one.
    Everything,
}

/// Ends a set. Answers whether that is done: if not, call it again in another transaction. From the first call on the set reaches nothing.
///
/// The direct members that are to be removed go to the trash first, all or none.
///
/// # Errors
/// When a copy may not be removed; nothing is changed then.
pub fn end(tx: &mut Transaction<'_>, actor: Actor, definition: &Definition, removed: Option<Removed>) -> Result<bool, Failure> {
    let (set, network) = (definition.set.id, definition.set.network);
    let Some(mut current) = tx.get::<Definition>(&(set,))? else { return Ok(true) };
    if !current.ending {
        let removed = removed.map(|removed| removable(tx, &current, removed)).transpose()?;
        // First, so that the set no longer protects what is removed.
        current.ending = true;
        tx.put::<Definition>(&(set,), &current)?;
        direct(tx, &current, Directive::Ended, actor.now)?;
        removed.unwrap_or_default().into_iter().try_for_each(|node| remove(tx, actor, &current, node))?;
    }
    let members = tx.scan::<DirectMember>(&(set,), None, STEP_MAX)?;
    let mut writer = Writer::open(tx, network, actor)?;
    for ((_, node), ()) in &members {
        writer.unpair(*node, None, Departure::Released)?;
    }
    writer.finish()?;
    if members.len() == STEP_MAX || report::forget(tx, set, STEP_MAX)? {
        return Ok(false);
    }
    tx.delete::<Definition>(&(set,))?;
    tx.delete::<SetOfNetwork>(&(network, set))?;
    tx.delete::<SetOfAgent>(&(definition.set.agent, set))?;
    tx.delete::<Acknowledged>(&(set,))?;
    Ok(true)
}

/// Returns the direct members that are to be removed.
fn removable(tx: &Transaction<'_>, definition: &Definition, removed: Removed) -> Result<Vec<NodeId>, Failure> {
    let members = tx.scan::<DirectMember>(&(definition.set.id,), None, REMOVED_MAX + 1)?;
    if members.len() > REMOVED_MAX {
        let message = format!("more than {REMOVED_MAX} documents are synced each by itself: remove them from the cloud in parts");
        return Err(Fault::new(FaultKind::Exhausted, message).into());
    }
    let members: Vec<_> = members.into_iter().map(|((_, node), ())| node).collect();
    if removed == Removed::Members {
        members.iter().try_for_each(|node| refuse_non_members(tx, definition, *node))?;
    }
    Ok(members)
}

/// Refuses to remove a folder that holds what is not in the set, and names that.
fn refuse_non_members(tx: &Transaction<'_>, definition: &Definition, node: NodeId) -> Result<(), Failure> {
    let network = definition.set.network;
    let Some(top) = Lineage::read(tx, network, node)?.filter(|lineage| !lineage.in_trash) else { return Ok(()) };
    let (mut folders, mut named, mut count) = (vec![top.clone()], Vec::new(), 0_usize);
    while let Some(folder) = folders.pop() {
        let mut after = None;
        loop {
            let rows = tx.scan::<Child>(&(network, folder.id), after.as_ref(), STEP_MAX)?;
            let is_last = rows.len() < STEP_MAX;
            for (key, child) in rows {
                after = Some(key);
                let Some(node) = tx.get::<Node>(&(network, child))? else { continue };
                let is_member = folder.membership_of_child(tx, child, &node)?.is_some_and(|held| held.set == definition.set.id);
                let (is_folder, found) = (node.kind == Kind::Folder, folder.child(child, node));
                match (is_member, is_folder) {
                    (true, true) => folders.push(found),
                    (true, false) => {}
                    (false, _) => {
                        count += 1;
                        named.extend((count <= NAMED_MAX).then(|| found.path_in_library()));
                    }
                }
            }
            if is_last {
                break;
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let more = if count > NAMED_MAX { format!(" and {} more", count - NAMED_MAX) } else { String::new() };
    let message = format!(
        "{:?} also holds what is not synced, which would go to the trash with it: {}{more}; move that out first, or confirm with \
         --with-non-members",
        top.node.name.as_str(),
        named.join(", ")
    );
    Err(Fault::new(FaultKind::Precondition, message).into())
}

/// Moves the copy of a direct member to the trash, if the actor may, and it is not there yet.
fn remove(tx: &mut Transaction<'_>, actor: Actor, definition: &Definition, node: NodeId) -> Result<(), Failure> {
    let network = definition.set.network;
    let Some(lineage) = Lineage::read(tx, network, node)?.filter(|lineage| !lineage.in_trash) else { return Ok(()) };
    let role = networks::role(tx, network, lineage.site, actor.account)?;
    let may = |own| role.is_some_and(|role| role.permits(Permission::Delete, own));
    if !may(lineage.node.created.by == actor.account) {
        let message = format!("the role of the owner does not permit to delete {:?} in the cloud", lineage.node.name.as_str());
        return Err(Fault::denied(message).because(Reason::TargetAccessDenied).into());
    }
    if !may(false) {
        require_all_own(tx, &lineage, actor.account)?;
    }
    let mut writer = Writer::open(tx, network, actor)?;
    writer.trash(&lineage)?;
    Ok(writer.finish()?)
}

/// Takes one direct member out of its set. Its copy stays, unless it is to be removed: then it goes to the trash. Done already is no error.
///
/// # Errors
/// When it is an indirect member: the message names the folder that carries the sync.
pub fn unsync_member(
    tx: &mut Transaction<'_>,
    actor: Actor,
    definition: &Definition,
    node: NodeId,
    removed: Option<Removed>,
) -> Result<(), Failure> {
    let (set, network) = (definition.set.id, definition.set.network);
    if !tx.exists::<DirectMember>(&(set, node))? {
        return refuse_indirect(tx, definition, node);
    }
    if removed == Some(Removed::Members) {
        refuse_non_members(tx, definition, node)?;
    }
    let mut writer = Writer::open(tx, network, actor)?;
    // Also of one in the trash the agent has to hear: it keeps the source's copy until then as that of a deleted member.
    writer.unpair(node, Some(set), Departure::Released)?;
    writer.finish()?;
    if removed.is_some() { remove(tx, actor, definition, node) } else { Ok(()) }
}

fn refuse_indirect(tx: &Transaction<'_>, definition: &Definition, node: NodeId) -> Result<(), Failure> {
    let network = definition.set.network;
    let membership = match Lineage::read(tx, network, node)? {
        Some(lineage) => lineage.membership(tx)?.filter(|membership| membership.set == definition.set.id),
        None => None,
    };
    let Some(membership) = membership else { return Ok(()) };
    let carrier = tx.get::<Node>(&(network, membership.carrier))?.map(|node| node.name.to_string()).unwrap_or_default();
    let message = format!("it is synced as part of the folder {carrier:?}, and only that can be unsynced");
    Err(Fault::new(FaultKind::Precondition, message).into())
}

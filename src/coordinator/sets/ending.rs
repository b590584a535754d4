//! Ending: a whole set, or the membership of one direct member. Both copies stay, unless the cloud's is to go to the trash.

use super::record::{SetOfAgent, SetOfNetwork};
use super::{Acknowledged, Definition, DirectMember, Directive, direct, report};
use crate::coordinator::failure::Failure;
use crate::coordinator::library::writer::Writer;
use crate::coordinator::library::{Actor, Lineage, Node};
use crate::coordinator::networks;
use crate::model::{Departure, Fault, FaultKind, NodeId, Permission, Reason};
use crate::store::{ReadExt as _, Transaction, WriteExt as _};

/// Direct members, or reports, that one transaction handles.
const STEP_MAX: usize = 1_000;
/// The most direct members whose cloud copies one call moves to the trash: all of them go in one transaction, or none.
const REMOVED_MAX: usize = 5_000;

/// Ends a set. Answers whether that is done: if not, call it again in another transaction. From the first call on the set reaches nothing.
///
/// With `remove_from_cloud` the direct members, with all that is in them, go to the trash first, all or none.
///
/// # Errors
/// When a copy may not be removed; nothing is changed then.
pub fn end(tx: &mut Transaction<'_>, actor: Actor, definition: &Definition, remove_from_cloud: bool) -> Result<bool, Failure> {
    let (set, network) = (definition.set.id, definition.set.network);
    let Some(mut current) = tx.get::<Definition>(&(set,))? else { return Ok(true) };
    if !current.ending {
        // First, so that the set no longer protects what is removed.
        current.ending = true;
        tx.put::<Definition>(&(set,), &current)?;
        direct(tx, &current, Directive::Ended, actor.now)?;
        if remove_from_cloud {
            remove_all(tx, actor, &current)?;
        }
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

fn remove_all(tx: &mut Transaction<'_>, actor: Actor, definition: &Definition) -> Result<(), Failure> {
    let members = tx.scan::<DirectMember>(&(definition.set.id,), None, REMOVED_MAX + 1)?;
    if members.len() > REMOVED_MAX {
        let message = format!("more than {REMOVED_MAX} documents are synced each by itself: remove them from the cloud in parts");
        return Err(Fault::new(FaultKind::Exhausted, message).into());
    }
    members.into_iter().try_for_each(|((_, node), ())| remove(tx, actor, definition, node))
}

/// Moves the copy of a direct member to the trash, if the actor may, and it is not there yet.
fn remove(tx: &mut Transaction<'_>, actor: Actor, definition: &Definition, node: NodeId) -> Result<(), Failure> {
    let network = definition.set.network;
    let Some(lineage) = Lineage::read(tx, network, node)?.filter(|lineage| !lineage.in_trash) else { return Ok(()) };
    let role = networks::role(tx, network, lineage.site, actor.account)?;
    if !role.is_some_and(|role| role.permits(Permission::Delete, lineage.node.created.by == actor.account)) {
        let message = format!("the role of the owner does not permit to delete {:?} in the cloud", lineage.node.name.as_str());
        return Err(Fault::denied(message).because(Reason::TargetAccessDenied).into());
    }
    let mut writer = Writer::open(tx, network, actor)?;
    writer.trash(&lineage)?;
    Ok(writer.finish()?)
}

/// Takes one direct member out of its set. Its copy stays, or with `remove_from_cloud` goes to the trash. Done already is no error.
///
/// # Errors
/// When it is an indirect member: the message names the folder that carries the sync.
pub fn unsync_member(
    tx: &mut Transaction<'_>,
    actor: Actor,
    definition: &Definition,
    node: NodeId,
    remove_from_cloud: bool,
) -> Result<(), Failure> {
    let (set, network) = (definition.set.id, definition.set.network);
    if !tx.exists::<DirectMember>(&(set, node))? {
        return refuse_indirect(tx, definition, node);
    }
    let mut writer = Writer::open(tx, network, actor)?;
    // Also of one in the trash the agent has to hear: it keeps the source's copy until then as that of a deleted member.
    writer.unpair(node, Some(set), Departure::Released)?;
    writer.finish()?;
    if remove_from_cloud { remove(tx, actor, definition, node) } else { Ok(()) }
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

//! Writes what the coordinator's journal says into the target tree.

use super::outcome;
use crate::agent::state::{InFlight, MemberRow, Members, members};
use crate::engine::Target;
use crate::model::{Change, Cursor, JournalEntry, NodeId, PairingId, SetId, TargetNode};
use crate::store::{ReadExt as _, StoreError, Transaction};
use crate::sys::World;

/// The most members that are looked through in one transaction.
const SWEEP_PAGE: usize = 1_000;

/// Takes entries of the journal, in order, and moves the set's cursor behind them. Entries that are held already change nothing.
///
/// # Errors
/// When the store fails.
pub fn take(tx: &mut Transaction<'_>, set: SetId, entries: &[JournalEntry], to: Cursor, world: &dyn World) -> Result<(), StoreError> {
    for entry in entries {
        one(tx, set, entry, world)?;
    }
    members::update_set(tx, set, |local| {
        if local.cursor.is_none_or(|held| held.epoch != to.epoch || held.sequence < to.sequence) {
            local.cursor = Some(to);
        }
    })
}

fn one(tx: &mut Transaction<'_>, set: SetId, entry: &JournalEntry, world: &dyn World) -> Result<(), StoreError> {
    let target = match &entry.change {
        Change::Present(node) | Change::Entered { node, .. } => Target::Present(node.clone()),
        Change::Left { departure, .. } => Target::Absent(*departure),
    };
    if let Some(op) = entry.op
        && let Some(pushed) = tx.get::<InFlight>(&op)?
        && pushed.operation.set == set
    {
        if pushed.member != pushed.operation.node {
            put(tx, set, entry.change.node(), target.clone(), world)?;
            return outcome::done(tx, &pushed, entry.sequence, None, world);
        }
        return outcome::done(tx, &pushed, entry.sequence, Some(&target), world);
    }
    put(tx, set, entry.change.node(), target, world)
}

/// Takes members of a listing. A listing is not one moment: what is known to be newer stays.
///
/// # Errors
/// When the store fails.
pub fn take_listed(tx: &mut Transaction<'_>, set: SetId, listed: &[TargetNode], world: &dyn World) -> Result<(), StoreError> {
    for node in listed {
        let known = members::load(tx, set, node.node)?;
        let newer =
            known.as_ref().and_then(|row| row.member.target_node()).is_some_and(|held| held.revisions.newest() > node.revisions.newest());
        if !newer {
            put(tx, set, node.node, Target::Present(node.clone()), world)?;
        }
    }
    Ok(())
}

/// Ends a complete listing: members that it did not show, and that no entry of the journal removed, are unknown to the coordinator. They
/// are offered again, never deleted. Returns from where to go on, until all were looked through.
///
/// # Errors
/// When the store fails.
pub fn sweep(
    tx: &mut Transaction<'_>,
    set: SetId,
    after: Option<NodeId>,
    was_listed: impl Fn(NodeId) -> bool,
) -> Result<Option<NodeId>, StoreError> {
    let rows = tx.scan::<Members>(&(set,), after.map(|node| (set, node)).as_ref(), SWEEP_PAGE)?;
    let last = rows.last().map(|((_, node), _)| *node).filter(|_| rows.len() == SWEEP_PAGE);
    for ((_, node), row) in rows {
        if row.member.target_node().is_some() && !was_listed(node) {
            let mut unknown = row.clone();
            unknown.member.target = Target::Never;
            unknown.member.base = None;
            members::save(tx, set, Some(&row), Some(&unknown))?;
        }
    }
    Ok(last)
}

/// Marks the target tree as complete as of a cursor.
///
/// # Errors
/// When the store fails.
pub fn complete(tx: &mut Transaction<'_>, set: SetId, as_of: Cursor) -> Result<(), StoreError> {
    members::update_set(tx, set, |local| {
        local.cursor = Some(as_of);
        local.target_complete = true;
    })
}

fn put(tx: &mut Transaction<'_>, set: SetId, node: NodeId, target: Target, world: &dyn World) -> Result<(), StoreError> {
    members::update(tx, set, node, |row| match (row, target) {
        // Something left that was never known here.
        (None, Target::Absent(_) | Target::Never) => None,
        (row, target) => {
            let mut row = row.unwrap_or_else(|| MemberRow::new(node, PairingId::from_uuid(world.mint())));
            row.member.target = target;
            Some(row)
        }
    })
}

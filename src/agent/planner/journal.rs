//! Writes what the coordinator's journal says into the target tree.

use std::collections::HashMap;

use super::{crossing, outcome};
use crate::agent::state::{InFlight, MemberRow, Members, members};
use crate::engine::{Activity, Source, Target};
use crate::model::{Change, Cursor, JournalEntry, Kind, NodeId, PairingId, Property, SetId, TargetNode};
use crate::store::{Read, ReadExt as _, StoreError, Transaction};
use crate::sys::World;

/// The most members that are looked through in one transaction.
const SWEEP_PAGE: usize = 1_000;

/// Takes entries of the journal, in order, and moves the set's cursor behind them. Entries that are held already change nothing, and no
/// state goes back to an older one.
///
/// # Errors
/// When the store fails.
pub fn take(tx: &mut Transaction<'_>, set: SetId, entries: &[JournalEntry], to: Cursor, world: &dyn World) -> Result<(), StoreError> {
    if members::load_set(tx, set)?.is_none() {
        return Ok(());
    }
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
    let node = entry.change.node();
    tracing::trace!(%set, ?entry, "told");
    let row = members::load(tx, set, node)?;
    // Of what has moved at the source this set may have heard again meanwhile, and knows nothing else.
    let is_here = |row: &MemberRow| row.member.source != Source::Absent || row.member.base.is_some();
    if let (Change::Left { departure, .. }, false) = (&entry.change, row.as_ref().is_some_and(is_here)) {
        crossing::left(tx, set, entry, *departure)?;
    }
    let is_folder = row.as_ref().is_some_and(MemberRow::is_folder);
    let target = newer(row.map(|row| row.member.target), entry);
    if let Target::Absent(departure) = target
        && is_folder
    {
        crossing::take_along(tx, set, node, departure)?;
    }
    if let Some(op) = entry.op
        && let Some(pushed) = tx.get::<InFlight>(&op)?
        && pushed.operation.set == set
    {
        if pushed.member != pushed.operation.node {
            put(tx, set, node, target, world)?;
            return outcome::done(tx, &pushed, entry.sequence, None, world);
        }
        return outcome::done(tx, &pushed, entry.sequence, Some(&target), world);
    }
    put(tx, set, node, target, world)
}

/// Returns the newer of what is held and what an entry says: a listing, or the outcome of a push, may have told of later states before.
fn newer(held: Option<Target>, entry: &JournalEntry) -> Target {
    match (&entry.change, held) {
        (Change::Present(node) | Change::Entered { node, .. }, Some(Target::Present(held))) if is_newer(&held, node) => {
            Target::Present(held)
        }
        // It has entered again since.
        (Change::Left { .. }, Some(Target::Present(held))) if held.revisions.existence > entry.sequence => Target::Present(held),
        (Change::Present(node) | Change::Entered { node, .. }, _) => Target::Present(node.clone()),
        (Change::Left { departure, .. }, _) => Target::Absent(*departure),
    }
}

/// Returns the newer of two states of which the second was told later; one that is there counts for more than one that is not.
pub(super) fn newer_of(held: Target, told: &Target) -> Target {
    match (&held, told) {
        (Target::Present(present), Target::Present(told)) if is_newer(present, told) => held,
        (Target::Present(_), Target::Never | Target::Absent(_)) => held,
        _ => told.clone(),
    }
}

fn is_newer(held: &TargetNode, told: &TargetNode) -> bool {
    held.revisions.newest() > told.revisions.newest()
}

/// Finds the folders beneath which something may have come into the set that no entry of its own announces: those that entered with what
/// is in them, and those of which only a change is told. The latter were moved, between their entering and the listing of what entered
/// with them, to where that listing did not meet them.
///
/// # Errors
/// When the store cannot be read.
pub fn unannounced(read: &(impl Read + ?Sized), set: SetId, changes: &[JournalEntry]) -> Result<Vec<NodeId>, StoreError> {
    let (mut folders, mut told) = (Vec::new(), HashMap::new());
    for JournalEntry { change, .. } in changes {
        let node = change.node();
        let is_known = match told.insert(node, !matches!(change, Change::Left { .. })) {
            Some(known) => known,
            None => members::load(read, set, node)?.is_some_and(|row| row.member.target_node().is_some()),
        };
        match change {
            Change::Entered { lists: true, .. } => folders.push(node),
            Change::Present(target) if !is_known && target.state.kind == Kind::Folder => folders.push(node),
            Change::Present(_) | Change::Entered { .. } | Change::Left { .. } => {}
        }
    }
    Ok(folders)
}

/// Takes members of a listing. A listing is not one moment: what is known to be newer stays. But `in_another_life` of the journal, as after the
/// coordinator was restored from a backup, what was known in the former one to be newer says nothing.
///
/// # Errors
/// When the store fails.
pub fn take_listed(
    tx: &mut Transaction<'_>,
    set: SetId,
    listed: &[TargetNode],
    in_another_life: bool,
    world: &dyn World,
) -> Result<(), StoreError> {
    if members::load_set(tx, set)?.is_none() {
        return Ok(());
    }
    for node in listed {
        tracing::trace!(%set, ?node, "listed");
        let known = members::load(tx, set, node.node)?;
        let held = known.as_ref().and_then(|row| row.member.target_node());
        if in_another_life && let Some(held) = held {
            members::update(tx, set, node.node, |row| row.map(|row| go_back(row, held, node)))?;
        } else if held.is_some_and(|held| is_newer(held, node)) {
            continue;
        }
        put(tx, set, node.node, Target::Present(node.clone()), world)?;
    }
    Ok(())
}

/// Where the target went back to what it was before, base goes back with it: what the source has is taken for a change of the source, and pushed
/// again. Of what the source had not seen yet, base knows nothing, and stays.
fn go_back(mut row: MemberRow, held: &TargetNode, told: &TargetNode) -> MemberRow {
    let (was, is, known) = (&held.revisions, &told.revisions, &held.state);
    let Some(base) = &mut row.member.base else { return row };
    if is.content < was.content && base.content == known.content {
        base.content = told.state.content;
    }
    if is.place < was.place && base.place == known.place {
        base.place.clone_from(&told.state.place);
    }
    for property in Property::ALL {
        if is.property(property) < was.property(property) && base.properties.get(property) == known.properties.get(property) {
            let fits = base.properties.set(property, told.state.properties.get(property).cloned());
            debug_assert!(fits.is_ok(), "a value taken from properties fits its property");
        }
    }
    row
}

/// Drops those of the nodes that hang on a folder which never became known, with what is in them: they have left the set with something
/// above that folder, or an entry that is still to come tells of them again, after its folder.
///
/// # Errors
/// When the store fails.
pub fn drop_orphans(tx: &mut Transaction<'_>, set: SetId, nodes: impl IntoIterator<Item = NodeId>) -> Result<(), StoreError> {
    let mut stack: Vec<_> = nodes.into_iter().collect();
    while let Some(node) = stack.pop() {
        let Some(row) = members::load(tx, set, node)? else { continue };
        if is_orphan(tx, set, &row)? {
            tracing::trace!(%set, %node, "orphan");
            members::save(tx, set, Some(&row), None)?;
            stack.extend(members::at_target(tx, set, Some(node))?);
        }
    }
    Ok(())
}

/// Whether a node that only the coordinator told of is in a folder that nobody knows.
pub(super) fn is_orphan(tx: &Transaction<'_>, set: SetId, row: &MemberRow) -> Result<bool, StoreError> {
    let member = &row.member;
    if member.source != Source::Absent || member.base.is_some() || member.activity != Activity::Idle {
        return Ok(false);
    }
    match member.target_node().and_then(|target| target.state.place.parent) {
        // A folder that was moved into another set at the source is known there.
        Some(parent) => Ok(members::load(tx, set, parent)?.is_none() && crossing::abroad(tx, set, row)?.is_none()),
        None => Ok(false),
    }
}

/// Ends a complete listing: members that it did not show, and that no entry of the journal removed, are unknown to the coordinator. They
/// are offered again, never deleted; but what the cloud has in another set still was not looked for. Returns from where to go on, until all
/// were looked through.
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
        if row.member.target_node().is_some() && !was_listed(node) && crossing::abroad(tx, set, &row)?.is_none() {
            tracing::trace!(%set, %node, "not listed");
            let mut unknown = row.clone();
            unknown.member.target = Target::Never;
            unknown.member.base = None;
            members::save(tx, set, Some(&row), Some(&unknown))?;
        } else {
            drop_orphans(tx, set, [node])?;
        }
    }
    Ok(last)
}

/// Marks the target tree as incomplete: nothing is planned until a listing has ended.
///
/// # Errors
/// When the store fails.
pub fn begin(tx: &mut Transaction<'_>, set: SetId) -> Result<(), StoreError> {
    members::update_set(tx, set, |local| local.target_complete = false)
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

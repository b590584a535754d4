//! Members that change from one sync set into another: one move on the other side too, not a copy beside what was there.
//!
//! A member that is at the source is in the set that it is in there. What the cloud has of it may be in another set still, because somebody
//! moved it at the source and the cloud has yet to follow. A member that is not at the source is in the set that the cloud has it in; in a
//! folder that was moved at the source, in the set of that folder. What the cloud moved into another set is in that one, although it lies in
//! a folder of the first until the repository has followed.
//!
//! The journals of two sets are read apart, and each speaks of what its own set has. So what a set is told can belong to another one, and what
//! entered one set can be planned before the other set is told that it left. The latter waits for that, a moment; then its source side changes
//! hands. What is in a folder follows, each member when its own turn comes.

use super::journal;
use crate::agent::state::members::{self, DEPTH_MAX};
use crate::agent::state::{LocalSet, MemberRow};
use crate::engine::reconcile::{Hold, Step, Waits};
use crate::engine::{Activity, Source, Target};
use crate::model::{Departure, JournalEntry, NodeId, SetId, TargetNode};
use crate::store::{Read, StoreError, Transaction};

/// Where a node is, of which this set has nothing at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossing {
    /// In this set.
    Here,
    /// In another set, which still has something to do or to hear of it.
    NotYet,
    /// It changed hands: what to do with it is another question now.
    Over,
}

/// Sees to it that a member which is only in the cloud, as far as this set knows, is planned in the set that it belongs to.
pub(super) fn cross(tx: &mut Transaction<'_>, set: &LocalSet, row: &MemberRow) -> Result<Crossing, StoreError> {
    let (into, member) = (set.definition.id, &row.member);
    let (Source::Absent, Target::Present(target), Activity::Idle) = (&member.source, &member.target, member.activity) else {
        return Ok(Crossing::Here);
    };
    if let Some(home) = home(tx, into, row)? {
        give(tx, into, home, row)?;
        return Ok(Crossing::Over);
    }
    if member.base.is_some() {
        return Ok(Crossing::Here);
    }
    for from in members::elsewhere(tx, into, member.node)? {
        let Some(there) = members::load(tx, from, member.node)?.filter(|there| there.source.is_some()) else { continue };
        if !was_moved_by_the_cloud(&there, target) {
            give(tx, into, from, row)?;
            return Ok(Crossing::Over);
        }
        if there.member.activity != Activity::Idle || !has_left(tx, from, into, member.node)? {
            return Ok(Crossing::NotYet);
        }
        take(tx, from, into, &there, Some(row))?;
        return Ok(Crossing::Over);
    }
    Ok(Crossing::Here)
}

/// Gives a member whose folder in the cloud is another set's to that set, and says whether it did: both sides moved it, and the cloud's move
/// counts. Here it would wait for a folder that this set never has.
pub(super) fn follow(tx: &mut Transaction<'_>, from: SetId, row: &MemberRow, step: &Step) -> Result<bool, StoreError> {
    let Step::Hold(Hold { reason: None, waits: Waits::Node(folder), .. }) = step else { return Ok(false) };
    if row.member.activity != Activity::Idle || folder_of(row) != Some(*folder) || members::load(tx, from, *folder)?.is_some() {
        return Ok(false);
    }
    let Some(into) = set_of(tx, from, *folder)? else { return Ok(false) };
    let known = members::load(tx, into, row.member.node)?;
    if known.as_ref().is_some_and(|known| known.source.is_some()) {
        return Ok(false);
    }
    take(tx, from, into, row, known.as_ref())?;
    Ok(true)
}

/// The set that has a member's folder in the cloud, if that is another one than its own.
fn home(tx: &(impl Read + ?Sized), set: SetId, row: &MemberRow) -> Result<Option<SetId>, StoreError> {
    match folder_of(row) {
        Some(folder) if members::load(tx, set, folder)?.is_none() => set_of(tx, set, folder),
        _ => Ok(None),
    }
}

/// Gives a member that is to be deleted in the cloud back to the set which the cloud has it in: it was moved from there at the source, and is
/// gone before the cloud followed. Says whether there is such a set.
pub(super) fn send_home(tx: &mut Transaction<'_>, set: SetId, row: &MemberRow) -> Result<bool, StoreError> {
    let home = home(tx, set, row)?;
    home.map_or(Ok(()), |home| give(tx, set, home, row))?;
    Ok(home.is_some())
}

/// The other set that the cloud has a member in: it was moved from there at the source, or is in what was.
pub(super) fn abroad(read: &(impl Read + ?Sized), set: SetId, row: &MemberRow) -> Result<Option<SetId>, StoreError> {
    let mut folder = folder_of(row);
    for _ in 0..DEPTH_MAX {
        let Some(parent) = folder else { return Ok(None) };
        match members::load(read, set, parent)? {
            Some(above) => folder = folder_of(&above),
            None => return set_of(read, set, parent),
        }
    }
    Ok(None)
}

/// The folder that the cloud has a member in.
fn folder_of(row: &MemberRow) -> Option<NodeId> {
    row.member.target_node().and_then(|target| target.state.place.parent)
}

/// Another set of the same network that has a node, and it is in the cloud.
fn set_of(read: &(impl Read + ?Sized), except: SetId, node: NodeId) -> Result<Option<SetId>, StoreError> {
    for set in members::elsewhere(read, except, node)? {
        if members::load(read, set, node)?.is_some_and(|row| row.member.target_node().is_some()) {
            return Ok(Some(set));
        }
    }
    Ok(None)
}

/// Tells the set that a member was moved into at the source, by itself or with its folder, that it left the set which the cloud had it in.
pub(super) fn left(tx: &mut Transaction<'_>, from: SetId, entry: &JournalEntry, departure: Departure) -> Result<(), StoreError> {
    let node = entry.change.node();
    for set in members::elsewhere(tx, from, node)? {
        let Some(before) = members::load(tx, set, node)? else { continue };
        let is_old = before.member.target_node().is_some_and(|target| target.revisions.newest() <= entry.sequence);
        if is_old && abroad(tx, set, &before)?.is_some() {
            let mut after = before.clone();
            after.member.target = Target::Absent(departure);
            members::save(tx, set, Some(&before), Some(&after))?;
        }
    }
    Ok(())
}

/// Tells the other sets that a folder left the set which the cloud had it in, and took along what it had in it of theirs: what was moved at
/// the source before the cloud followed.
pub(super) fn take_along(tx: &mut Transaction<'_>, from: SetId, folder: NodeId, departure: Departure) -> Result<(), StoreError> {
    if set_of(tx, from, folder)?.is_some() {
        // Into that one, with all that is in it.
        return Ok(());
    }
    for set in members::siblings(tx, from)? {
        for node in members::at_target(tx, set, Some(folder))? {
            members::update(tx, set, node, |row| {
                row.map(|mut row| {
                    row.member.target = Target::Absent(departure);
                    row
                })
            })?;
        }
    }
    Ok(())
}

/// Whether it is in another folder there than when both sides were last equal.
fn was_moved_by_the_cloud(row: &MemberRow, target: &TargetNode) -> bool {
    let known = row.member.base.as_ref().or(row.member.target_node().map(|target| &target.state));
    known.map(|known| known.place.parent) != Some(target.state.place.parent)
}

/// Forgets a member of a set that ends. What the cloud still has in another set was moved out of that one at the source: that set sees to it.
///
/// # Errors
/// When the store fails.
pub fn let_go(tx: &mut Transaction<'_>, set: SetId, node: NodeId) -> Result<(), StoreError> {
    let Some(row) = members::load(tx, set, node)? else { return Ok(()) };
    match abroad(tx, set, &row)? {
        Some(home) => give(tx, set, home, &row),
        None => {
            members::save(tx, set, Some(&row), None)?;
            if row.is_folder() { take_along(tx, set, node, Departure::MovedOut) } else { Ok(()) }
        }
    }
}

/// Gives what a set knows of a member in the cloud to another set, which may know something of it already.
fn give(tx: &mut Transaction<'_>, from: SetId, to: SetId, row: &MemberRow) -> Result<(), StoreError> {
    let before = members::load(tx, to, row.member.node)?;
    let mut after = before.clone().unwrap_or_else(|| without_source(row.clone()));
    after.member.target = journal::newer_of(after.member.target, &row.member.target);
    members::save(tx, from, Some(row), None)?;
    members::save(tx, to, before.as_ref(), Some(&after))
}

fn without_source(mut row: MemberRow) -> MemberRow {
    row.member.source = Source::Absent;
    row.member.activity = Activity::Idle;
    row.member.aside = false;
    row.last_folder = row.source.take().map(|source| source.folder).or(row.last_folder);
    MemberRow { waits: None, operation: None, ..row }
}

/// Brings over the source side of a member that another set has, to what this set knows of it.
fn take(tx: &mut Transaction<'_>, from: SetId, into: SetId, there: &MemberRow, known: Option<&MemberRow>) -> Result<(), StoreError> {
    let mut here = known.cloned().unwrap_or_else(|| MemberRow { waits: None, ..there.clone() });
    here.member.source = there.member.source.clone();
    here.member.base = there.member.base.clone();
    here.source.clone_from(&there.source);
    here.source_revision = there.source_revision.max(here.source_revision) + 1;
    members::save(tx, from, Some(there), None)?;
    members::save(tx, into, known, Some(&here))
}

/// Whether a node left its set, or a folder that it was in did, which may have crossed before it.
fn has_left(tx: &Transaction<'_>, from: SetId, into: SetId, node: NodeId) -> Result<bool, StoreError> {
    let mut at = node;
    for _ in 0..DEPTH_MAX {
        match members::load(tx, from, at)?.map(|row| row.member.target) {
            Some(Target::Absent(_)) => return Ok(true),
            Some(Target::Present(target)) => match target.state.place.parent {
                Some(parent) => at = parent,
                None => return Ok(false),
            },
            Some(Target::Never) => return Ok(false),
            None => return Ok(members::load(tx, into, at)?.is_some_and(|row| row.source.is_some())),
        }
    }
    Ok(false)
}

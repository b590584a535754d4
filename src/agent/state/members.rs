//! Reading and changing members, with all that hangs on them.

use std::collections::BTreeSet;

use super::view::{PAGE, all_nodes, parent_key, source_children, target_children};
use super::{
    Dirty, Holders, Keys, LocalSet, LocalSets, MemberRow, Members, Retries, SourceNames, Status, TargetNames, Unreported, WaitKey, Waiting,
};
use crate::engine::reconcile::Waits;
use crate::engine::{Member, Target};
use crate::model::{FoldedName, Kind, MemberState, MemberStatus, Name, NodeId, PairingId, Reason, SetId};
use crate::store::{Key as _, Read, ReadExt as _, StoreError, Transaction, WriteExt as _};

pub use super::view::{elsewhere, siblings, source_children as at_source, target_children as at_target};

/// Folders are not nested deeper than this; a walk up that goes on is a fault in the trees and ends.
pub const DEPTH_MAX: usize = 4_096;

impl MemberRow {
    /// A member of which nothing is known yet.
    #[must_use]
    pub const fn new(node: NodeId, pairing: PairingId) -> Self {
        Self {
            member: Member::new(node),
            pairing,
            source: None,
            protection: None,
            last_folder: None,
            source_revision: 0,
            operation: None,
            put_back_millis: None,
            waits: None,
            status: Status {
                now: MemberStatus { state: MemberState::Pending, reason: None, detail: String::new() },
                success_millis: None,
                attempt_millis: None,
                failures: 0,
                retry_millis: None,
            },
        }
    }

    /// Whether it was selected by a person itself, as far as either side says.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        let member = &self.member;
        let state =
            member.source_node().map(|source| &source.state).or(member.target_node().map(|target| &target.state)).or(member.base.as_ref());
        state.is_some_and(|state| state.place.parent.is_none())
    }

    /// Whether it is a folder, as far as either side says.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        let member = &self.member;
        let kinds = [
            member.source_node().map(|source| source.state.kind),
            member.target_node().map(|target| target.state.kind),
            member.base.as_ref().map(|base| base.kind),
        ];
        kinds.contains(&Some(Kind::Folder))
    }

    fn source_name(&self) -> Option<(Option<NodeId>, &Name)> {
        let source = self.member.source_node().filter(|_| !self.member.aside)?;
        Some((source.state.place.parent, &source.state.place.name))
    }

    fn target_name(&self) -> Option<(Option<NodeId>, &Name)> {
        let target = self.member.target_node()?;
        Some((target.state.place.parent, &target.state.place.name))
    }
}

/// Returns a member.
///
/// # Errors
/// When the store cannot be read.
pub fn load(read: &(impl Read + ?Sized), set: SetId, node: NodeId) -> Result<Option<MemberRow>, StoreError> {
    read.get::<Members>(&(set, node))
}

/// Changes a member, or with a function that returns `None` removes it, and keeps everything that hangs on it. A member that is not there
/// is given to `change` as `None`.
///
/// # Errors
/// When the store fails.
pub fn update(
    tx: &mut Transaction<'_>,
    set: SetId,
    node: NodeId,
    change: impl FnOnce(Option<MemberRow>) -> Option<MemberRow>,
) -> Result<(), StoreError> {
    let before = load(tx, set, node)?;
    let after = change(before.clone());
    save(tx, set, before.as_ref(), after.as_ref())
}

/// Writes a member whose stored state is `before`, keeps the indices, and marks as dirty what has to be planned again.
///
/// # Errors
/// When the store fails.
pub fn save(tx: &mut Transaction<'_>, set: SetId, before: Option<&MemberRow>, after: Option<&MemberRow>) -> Result<(), StoreError> {
    let Some(node) = after.or(before).map(|row| row.member.node) else { return Ok(()) };
    if before == after {
        return Ok(());
    }
    match (before, after) {
        (None, Some(_)) => tx.put::<Holders>(&(node, set), &())?,
        (Some(_), None) => tx.delete::<Holders>(&(node, set))?,
        _ => {}
    }
    save_keys(tx, set, before, after)?;
    let mut freed = save_source_name(tx, set, before, after)?;
    freed.extend(save_target_name(tx, set, before, after)?);
    for (parent, name) in freed {
        wake(tx, set, &Waits::Name(parent, name))?;
    }
    if before.map(|row| &row.member) != after.map(|row| &row.member) {
        mark_dirty(tx, set, node)?;
        wake(tx, set, &Waits::Node(node))?;
        wake_children(tx, set, before, after)?;
    } else if before.map(standing) != after.map(standing) {
        // What keeps it away, which may lie far off, keeps those away who wait for it.
        wake(tx, set, &Waits::Node(node))?;
    }
    if before.is_some_and(is_protected) && after.is_some_and(|row| !is_protected(row)) {
        mark_dirty(tx, set, node)?;
    }
    save_wait(tx, set, node, before, after)?;
    save_status(tx, set, node, before, after)?;
    wake_left_folders(tx, set, before, after)?;
    wake_above(tx, set, before, after)?;
    match after {
        Some(row) => tx.put::<Members>(&(set, node), row),
        None => {
            tx.delete::<Dirty>(&(set, node))?;
            tx.delete::<Members>(&(set, node))
        }
    }
}

/// What a member waits for, and why.
const fn standing(row: &MemberRow) -> (&Option<Waits>, Option<Reason>) {
    (&row.waits, row.status.now.reason)
}

/// Whether its item is read-only for people, as far as is known.
fn is_protected(row: &MemberRow) -> bool {
    row.source.as_ref().is_some_and(|source| source.protected)
}

/// A folder that is gone is removed, or forgotten, only after what was in it has left: at the source for the one, on both sides for the other.
fn wake_left_folders(
    tx: &mut Transaction<'_>,
    set: SetId,
    before: Option<&MemberRow>,
    after: Option<&MemberRow>,
) -> Result<(), StoreError> {
    for (left, now) in folders(before).into_iter().zip(folders(after)) {
        if let Some(folder) = left.filter(|folder| Some(*folder) != now)
            && tx.exists::<Members>(&(set, folder))?
        {
            mark_dirty(tx, set, folder)?;
        }
    }
    Ok(())
}

/// What a folder waits for can be decided by what moves deep beneath it at the target: what is wanted from within it, and what survives there.
fn wake_above(tx: &mut Transaction<'_>, set: SetId, before: Option<&MemberRow>, after: Option<&MemberRow>) -> Result<(), StoreError> {
    let ([_, was, base], [_, is, base_is]) = (folders(before), folders(after));
    let left = |before: Option<NodeId>, after| before.is_some() && before != after;
    if !left(was, is) && !left(base, base_is) {
        return Ok(());
    }
    for mut at in [was, is.filter(|_| is != was)] {
        for _ in 0..DEPTH_MAX {
            let Some(folder) = at else { break };
            let Some(row) = load(tx, set, folder)? else { break };
            if row.waits.is_some() {
                mark_dirty(tx, set, folder)?;
            }
            at = row.target_name().and_then(|(parent, _)| parent);
        }
    }
    Ok(())
}

/// The folder that a member is in, in each of the three trees.
fn folders(row: Option<&MemberRow>) -> [Option<NodeId>; 3] {
    let base = row.and_then(|row| row.member.base.as_ref()).map(|base| base.place.parent);
    [row.and_then(MemberRow::source_name).map(|(parent, _)| parent), row.and_then(MemberRow::target_name).map(|(parent, _)| parent), base]
        .map(Option::flatten)
}

/// Marks a member to be planned.
///
/// # Errors
/// When the store fails.
pub fn mark_dirty(tx: &mut Transaction<'_>, set: SetId, node: NodeId) -> Result<(), StoreError> {
    tx.put::<Dirty>(&(set, node), &())
}

/// Marks as dirty everybody who waits for this.
///
/// # Errors
/// When the store fails.
pub fn wake(tx: &mut Transaction<'_>, set: SetId, waits: &Waits) -> Result<(), StoreError> {
    waiting(tx, set, waits)?.into_iter().try_for_each(|node| mark_dirty(tx, set, node))
}

/// Whether somebody waits for this.
///
/// # Errors
/// When the store cannot be read.
pub fn is_waited_for(read: &(impl Read + ?Sized), set: SetId, waits: &Waits) -> Result<bool, StoreError> {
    Ok(!read.scan::<Waiting>(&(set, wait_key(waits)), None, 1)?.is_empty())
}

/// Lists who waits for this.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(read: &(impl Read + ?Sized), set: SetId, waits: &Waits) -> Result<Vec<NodeId>, StoreError> {
    let key = (set, wait_key(waits));
    all_nodes(|after| read.scan::<Waiting>(&key, after, PAGE), |key| key.2)
}

/// Returns a set.
///
/// # Errors
/// When the store cannot be read.
pub fn load_set(read: &(impl Read + ?Sized), set: SetId) -> Result<Option<LocalSet>, StoreError> {
    read.get::<LocalSets>(&set)
}

/// Changes a set, if it is there.
///
/// # Errors
/// When the store fails.
pub fn update_set(tx: &mut Transaction<'_>, set: SetId, change: impl FnOnce(&mut LocalSet)) -> Result<(), StoreError> {
    let Some(before) = load_set(tx, set)? else { return Ok(()) };
    let mut after = before.clone();
    change(&mut after);
    let gates = |set: &LocalSet| (set.source_complete, set.target_complete, set.braked, set.ending);
    if gates(&before) != gates(&after) {
        wake(tx, set, &Waits::Set)?;
        for at_target in [true, false] {
            wake(tx, set, &Waits::Brake { at_target })?;
        }
    }
    if before == after { Ok(()) } else { tx.put::<LocalSets>(&set, &after) }
}

/// A folder that comes or goes, on either side, changes what can be done about what is in it.
fn wake_children(tx: &mut Transaction<'_>, set: SetId, before: Option<&MemberRow>, after: Option<&MemberRow>) -> Result<(), StoreError> {
    let Some(folder) = after.or(before).filter(|row| row.is_folder()) else { return Ok(()) };
    let node = folder.member.node;
    let source = |row: Option<&MemberRow>| row.is_some_and(|row| row.member.source_node().is_some());
    let target = |row: Option<&MemberRow>| row.map(|row| std::mem::discriminant::<Target>(&row.member.target));
    let shallow = |row: Option<&MemberRow>| row.is_some_and(|row| row.member.shallow);
    if (source(before), target(before), shallow(before)) == (source(after), target(after), shallow(after)) {
        return Ok(());
    }
    let mut children: BTreeSet<NodeId> = source_children(tx, set, Some(node))?.into_iter().collect();
    children.extend(target_children(tx, set, Some(node))?);
    children.into_iter().try_for_each(|child| mark_dirty(tx, set, child))
}

fn save_keys(tx: &mut Transaction<'_>, set: SetId, before: Option<&MemberRow>, after: Option<&MemberRow>) -> Result<(), StoreError> {
    let key = |row: Option<&MemberRow>| row.and_then(|row| row.source.as_ref()).map(|source| (source.key.as_bytes().to_vec(),));
    let (old, new) = (key(before), key(after));
    if old == new {
        return Ok(());
    }
    if let (Some(old), Some(row)) = (old, before) {
        // Another member may have taken the key over in the meantime, as when a set hands a node to another.
        if tx.get::<Keys>(&old)? == Some((set, row.member.node)) {
            tx.delete::<Keys>(&old)?;
        }
    }
    match (new, after) {
        (Some(new), Some(row)) => tx.put::<Keys>(&new, &(set, row.member.node)),
        _ => Ok(()),
    }
}

/// The names whose holder changed.
type Freed = Vec<(Option<NodeId>, FoldedName)>;

fn save_source_name(
    tx: &mut Transaction<'_>,
    set: SetId,
    before: Option<&MemberRow>,
    after: Option<&MemberRow>,
) -> Result<Freed, StoreError> {
    let (old, new) = (before.and_then(MemberRow::source_name), after.and_then(MemberRow::source_name));
    let Some(node) = after.or(before).map(|row| row.member.node).filter(|_| old != new) else { return Ok(Vec::new()) };
    let key = |(parent, name): (Option<NodeId>, &Name)| (set, parent_key(parent), name.folded(), name.as_str().as_bytes().to_vec(), node);
    if let Some(old) = old {
        tx.delete::<SourceNames>(&key(old))?;
    }
    if let Some(new) = new {
        tx.put::<SourceNames>(&key(new), &())?;
    }
    Ok(old.into_iter().chain(new).map(|(parent, name)| (parent, name.folded())).collect())
}

fn save_target_name(
    tx: &mut Transaction<'_>,
    set: SetId,
    before: Option<&MemberRow>,
    after: Option<&MemberRow>,
) -> Result<Freed, StoreError> {
    let (old, new) = (before.and_then(MemberRow::target_name), after.and_then(MemberRow::target_name));
    let Some(node) = after.or(before).map(|row| row.member.node).filter(|_| old != new) else { return Ok(Vec::new()) };
    let key = |(parent, name): (Option<NodeId>, &Name)| (set, parent_key(parent), name.folded(), node);
    if let Some(old) = old {
        tx.delete::<TargetNames>(&key(old))?;
    }
    if let Some(new) = new {
        tx.put::<TargetNames>(&key(new), &())?;
    }
    Ok(old.into_iter().chain(new).map(|(parent, name)| (parent, name.folded())).collect())
}

fn save_wait(
    tx: &mut Transaction<'_>,
    set: SetId,
    node: NodeId,
    before: Option<&MemberRow>,
    after: Option<&MemberRow>,
) -> Result<(), StoreError> {
    let waits = |row: Option<&MemberRow>| row.and_then(|row| row.waits.clone()).filter(|waits| *waits != Waits::Itself);
    let (old, new) = (waits(before), waits(after));
    if old == new {
        return Ok(());
    }
    if let Some(old) = old {
        tx.delete::<Waiting>(&(set, wait_key(&old), node))?;
    }
    match new {
        Some(new) => tx.put::<Waiting>(&(set, wait_key(&new), node), &()),
        None => Ok(()),
    }
}

fn save_status(
    tx: &mut Transaction<'_>,
    set: SetId,
    node: NodeId,
    before: Option<&MemberRow>,
    after: Option<&MemberRow>,
) -> Result<(), StoreError> {
    let retry = |row: Option<&MemberRow>| row.and_then(|row| row.status.retry_millis);
    if retry(before) != retry(after) {
        if let Some(at) = retry(before) {
            tx.delete::<Retries>(&(at, set, node))?;
        }
        if let Some(at) = retry(after) {
            tx.put::<Retries>(&(at, set, node), &())?;
        }
    }
    let now = |row: Option<&MemberRow>| row.map(|row| row.status.now.clone());
    if now(before) != now(after) {
        tx.put::<Unreported>(&(set, node), &())?;
    }
    let counted = |row: Option<&MemberRow>| row.map(|row| (row.status.now.state, size_bytes(&row.member)));
    let (old, new) = (counted(before), counted(after));
    if old == new {
        return Ok(());
    }
    update_set(tx, set, |local| {
        if let Some((state, bytes)) = old
            && let Some(count) = local.counts.get_mut(&state)
        {
            count.members = count.members.saturating_sub(1);
            count.bytes = count.bytes.saturating_sub(bytes);
        }
        if let Some((state, bytes)) = new {
            let count = local.counts.entry(state).or_default();
            count.members += 1;
            count.bytes += bytes;
        }
    })
}

/// What a member holds: at the target if only that changed since both agreed, else at the source.
fn size_bytes(member: &Member) -> u64 {
    let (source, target) = (member.source_node().map(|held| held.state.content), member.target_node().map(|held| held.state.content));
    let base = member.base.as_ref().map(|base| base.content);
    let content = if source.is_none() || source == base { target.or(source) } else { source };
    content.flatten().map_or(0, |content| content.size_bytes)
}

/// Encodes what is waited for, as a part of a key.
fn wait_key(waits: &Waits) -> WaitKey {
    let mut key = Vec::new();
    match waits {
        Waits::Itself => key.push(0),
        Waits::Set => key.push(1),
        Waits::Node(node) => {
            key.push(2);
            node.encode(&mut key);
        }
        Waits::Brake { at_target } => key.extend([4, u8::from(*at_target)]),
        Waits::Name(parent, name) => {
            key.push(3);
            parent_key(*parent).encode(&mut key);
            name.encode(&mut key);
        }
    }
    key
}

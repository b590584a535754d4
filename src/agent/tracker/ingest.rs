//! Writes what was seen into the source tree, in transactions that do no I/O of their own.
//!
//! A sighting names the revision of the member that it builds on. If that has moved on, or somebody is changing the source of the member,
//! the sighting is dropped and the place is looked at again: what the repository showed then need not be true any more.

use super::properties::judge;
use crate::agent::repository::{Entry, Observation, RepoKey};
use crate::agent::state::members::{load, load_set, save};
use crate::agent::state::{Keys, MemberRow, SourceRow, TargetNames, parent_key};
use crate::engine::{Activity, Source, SourceNode};
use crate::model::{Kind, Name, NodeId, NodeState, PairingId, Place, Reason, SetId};
use crate::store::{Read, ReadExt as _, StoreError, Transaction};

/// An item that was seen at a place where a member can be.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) set: SetId,
    pub(super) parent: Option<NodeId>,
    pub(super) folder: RepoKey,
    pub(super) name: Name,
    pub(super) kind: Kind,
    pub(super) entry: Entry,
    pub(super) identity: Identity,
    pub(super) reading: Reading,
}

/// Which member an item is.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// None so far.
    New {
        node: NodeId,
        pairing: PairingId,
        /// Another name of an item that is a member already (a hard link): a node of its own.
        linked: bool,
    },
    /// One that has this key, of this set or another.
    Known {
        set: SetId,
        node: NodeId,
        revision: u64,
        /// What it becomes if it cannot stay the same node.
        spare: (NodeId, PairingId),
    },
    /// The one at this place, whose own item is gone: somebody saved by writing a new one.
    Edit {
        node: NodeId,
        revision: u64,
        /// The short-lived member that the new item was, under another name, before it was moved here.
        absorbed: Option<(NodeId, u64)>,
    },
}

/// What is known of an item beyond its entry.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// Nothing: what is known of the member holds, or has to.
    Unread,
    /// It was read.
    Read(Box<Observation>),
    /// It cannot be synced as it is now.
    Failed(Reason, String),
}

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The source tree has it.
    Done,
    /// The trees moved on since the look began.
    Stale,
    /// Something is being done to the member that has to end first.
    Busy,
}

/// Writes what was seen in one folder.
pub(super) fn ingest(tx: &mut Transaction<'_>, sightings: &[Sighting]) -> Result<Vec<Verdict>, StoreError> {
    sightings
        .iter()
        .map(|sighting| {
            let verdict = ingest_one(tx, sighting)?;
            let Sighting { set, parent, name, identity, .. } = sighting;
            tracing::trace!(%set, ?parent, %name, ?identity, ?verdict, "seen");
            Ok(verdict)
        })
        .collect()
}

/// Takes a member out of the source tree, if nothing happened to it since `revision`.
pub(super) fn remove(tx: &mut Transaction<'_>, set: SetId, node: NodeId, revision: u64) -> Result<Verdict, StoreError> {
    tracing::trace!(%set, %node, "missing");
    change(tx, set, node, revision, |row| {
        row.last_folder = row.source.take().map(|source| source.folder);
        row.member.source = Source::Absent;
        row.member.aside = false;
    })
}

/// Says why a member cannot be synced as it is now, or takes that back.
pub(super) fn trouble(
    tx: &mut Transaction<'_>,
    set: SetId,
    node: NodeId,
    revision: u64,
    problem: Option<&(Reason, String)>,
) -> Result<Verdict, StoreError> {
    change(tx, set, node, revision, |row| {
        if let Source::Present(source) = &mut row.member.source {
            source.problem = problem.cloned();
        }
    })
}

/// Says that a direct member left its document library, which ends its pairing.
pub(super) fn depart(tx: &mut Transaction<'_>, set: SetId, node: NodeId, revision: u64) -> Result<Verdict, StoreError> {
    change(tx, set, node, revision, |row| {
        if let (Source::Present(source), Some(at)) = (&mut row.member.source, &mut row.source) {
            source.problem = Some((Reason::UnsupportedType, "It was moved out of its document library.".to_owned()));
            at.left_library = true;
        }
    })
}

fn change(
    tx: &mut Transaction<'_>,
    set: SetId,
    node: NodeId,
    revision: u64,
    change: impl FnOnce(&mut MemberRow),
) -> Result<Verdict, StoreError> {
    let Some(before) = load(tx, set, node)? else { return Ok(Verdict::Stale) };
    match judge_row(&before, revision) {
        Verdict::Done => {}
        verdict => return Ok(verdict),
    }
    let mut after = before.clone();
    change(&mut after);
    raise(&before, &mut after);
    save(tx, set, Some(&before), Some(&after))?;
    Ok(Verdict::Done)
}

fn judge_row(row: &MemberRow, revision: u64) -> Verdict {
    if row.member.activity == Activity::Applying {
        Verdict::Busy
    } else if row.source_revision == revision {
        Verdict::Done
    } else {
        Verdict::Stale
    }
}

fn raise(before: &MemberRow, after: &mut MemberRow) {
    if before != after {
        after.source_revision = before.source_revision + 1;
    }
}

fn ingest_one(tx: &mut Transaction<'_>, sighting: &Sighting) -> Result<Verdict, StoreError> {
    if let Some(parent) = sighting.parent
        && tx.get::<Keys>(&(sighting.folder.as_bytes().to_vec(),))? != Some((sighting.set, parent))
    {
        return Ok(Verdict::Stale);
    }
    match sighting.identity {
        Identity::New { node, pairing, linked } => {
            let taken = !linked && tx.exists::<Keys>(&(sighting.entry.key.as_bytes().to_vec(),))?;
            if taken {
                return Ok(Verdict::Stale);
            }
            if is_being_made(tx, sighting)? {
                return Ok(Verdict::Busy);
            }
            let mut row = MemberRow::new(node, pairing);
            see(&mut row, sighting, false);
            save(tx, sighting.set, None, Some(&row))?;
            Ok(Verdict::Done)
        }
        Identity::Edit { node, revision, absorbed } => {
            let verdict = change(tx, sighting.set, node, revision, |_| {})?;
            let freed = match absorbed.filter(|_| verdict == Verdict::Done) {
                Some((other, revision)) => remove(tx, sighting.set, other, revision)?,
                None => verdict,
            };
            if freed != Verdict::Done {
                return Ok(freed);
            }
            change(tx, sighting.set, node, revision, |row| see(row, sighting, false))
        }
        Identity::Known { set, node, revision, .. } if set == sighting.set => {
            change(tx, set, node, revision, |row| see(row, sighting, true))
        }
        Identity::Known { set, node, revision, spare } => hand_over(tx, sighting, (set, node, revision), spare),
    }
}

/// Moves a member from another set into the one that it was seen in.
fn hand_over(
    tx: &mut Transaction<'_>,
    sighting: &Sighting,
    (from, node, revision): (SetId, NodeId, u64),
    spare: (NodeId, PairingId),
) -> Result<Verdict, StoreError> {
    let Some(before) = load(tx, from, node)? else { return Ok(Verdict::Stale) };
    match judge_row(&before, revision) {
        // Its operation would come back to a set that no longer has it.
        Verdict::Done if before.member.activity != Activity::Idle => return Ok(Verdict::Busy),
        Verdict::Done => {}
        verdict => return Ok(verdict),
    }
    if has_stayed(&before, sighting) && is_to_move(tx, from, &before)? {
        return change(tx, from, node, revision, |row| see(row, sighting, true));
    }
    let mut row = before.clone();
    see(&mut row, sighting, true);
    row.source_revision = before.source_revision + 1;
    row.waits = None;
    let network = |set| load_set(tx, set).map(|local| local.map(|local| local.definition.network));
    if network(from)? == network(sighting.set)? {
        save(tx, from, Some(&before), None)?;
        let there = load(tx, sighting.set, node)?;
        if let Some(there) = &there
            && is_at_target(tx, sighting.set, there)?
        {
            // The cloud has it in this set already: what is known of its target is known here.
            row.member.target = there.member.target.clone();
            row.member.base = there.member.base.clone();
            row.pairing = there.pairing;
        }
        save(tx, sighting.set, there.as_ref(), Some(&row))?;
    } else {
        remove(tx, from, node, revision)?;
        let mut new = MemberRow::new(spare.0, spare.1);
        new.member.source = row.member.source;
        new.source = row.source;
        new.protection = row.protection;
        save(tx, sighting.set, None, Some(&new))?;
    }
    Ok(Verdict::Done)
}

/// Whether an item lies where it did, with its name.
fn has_stayed(row: &MemberRow, sighting: &Sighting) -> bool {
    let name = row.member.source_node().map(|source| &source.state.place.name);
    row.source.as_ref().is_some_and(|at| at.folder == sighting.folder) && name == Some(&sighting.name)
}

/// Whether the cloud moved a member within this set, or into it, and the repository could not follow yet.
pub(super) fn is_to_move(read: &(impl Read + ?Sized), set: SetId, row: &MemberRow) -> Result<bool, StoreError> {
    let (target, base) = (row.member.target_node().map(|target| &target.state), row.member.base.as_ref());
    Ok(target.map(|state| &state.place) != base.map(|state| &state.place) && is_at_target(read, set, row)?)
}

/// Whether the cloud has a member in this set, as far as is known: in a folder that this set has, too.
fn is_at_target(read: &(impl Read + ?Sized), set: SetId, row: &MemberRow) -> Result<bool, StoreError> {
    match row.member.target_node().map(|target| target.state.place.parent) {
        Some(Some(folder)) => Ok(load(read, set, folder)?.is_some()),
        Some(None) => Ok(true),
        None => Ok(false),
    }
}

/// Whether a member is on its way to this place: what appears here then may be that member, not yet recorded.
fn is_being_made(tx: &Transaction<'_>, sighting: &Sighting) -> Result<bool, StoreError> {
    let prefix = (sighting.set, parent_key(sighting.parent), sighting.name.folded());
    for ((.., node), ()) in tx.scan::<TargetNames>(&prefix, None, 2)? {
        if load(tx, sighting.set, node)?.is_some_and(|row| row.member.activity == Activity::Applying) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes over what was seen. `same_item`: the member had this key before.
fn see(row: &mut MemberRow, sighting: &Sighting, same_item: bool) {
    let before = row.member.source_node().cloned();
    let earlier = row.source.take();
    let place = Place { parent: sighting.parent, name: sighting.name.clone() };
    let mut source = before.clone().unwrap_or_else(|| blank(sighting.kind, place.clone()));
    source.state.place = place;
    let mut at = SourceRow {
        key: sighting.entry.key.clone(),
        folder: sighting.folder.clone(),
        aside: None,
        left_library: false,
        stamp: earlier.as_ref().map_or(sighting.entry.stamp, |earlier| earlier.stamp),
        custom_type: earlier.as_ref().and_then(|earlier| earlier.custom_type.clone()),
        notes: earlier.as_ref().map(|earlier| earlier.notes.clone()).unwrap_or_default(),
        obsolete: earlier.as_ref().map(|earlier| earlier.obsolete.clone()).unwrap_or_default(),
        protected: earlier.is_some_and(|earlier| earlier.protected && same_item),
    };
    match &sighting.reading {
        Reading::Unread => source.problem = source.problem.filter(|(reason, _)| outlasts(&source.state, *reason)),
        Reading::Failed(reason, detail) => source.problem = Some((*reason, detail.clone())),
        Reading::Read(seen) => {
            row.source = Some(at.clone());
            let judged = judge(row, seen, same_item && before.is_some());
            source.state.content = seen.content;
            source.state.properties = judged.properties;
            source.properties_known = judged.known;
            source.problem = source.problem.filter(|(reason, _)| sighting.kind == Kind::Folder && veils(*reason));
            at.obsolete = judged.obsolete;
            at.stamp = seen.stamp;
            at.protected &= seen.read_only;
            at.custom_type = seen.custom_type.clone();
            at.notes = seen.notes.clone();
        }
    }
    row.member.source = Source::Present(source);
    row.member.aside = false;
    row.source = Some(at);
}

/// Whether this says that what is in a folder cannot be seen. Only a listing of the folder takes that back.
pub(super) const fn veils(reason: Reason) -> bool {
    matches!(reason, Reason::SourceUnknown | Reason::SourceAccessDenied)
}

/// Whether a problem remains after its item was merely seen: a folder has to be listed, a document to be read.
fn outlasts(state: &NodeState, reason: Reason) -> bool {
    match state.kind {
        Kind::Folder => veils(reason),
        Kind::Document => reason == Reason::SourceAccessDenied || state.content.is_none(),
    }
}

fn blank(kind: Kind, place: Place) -> SourceNode {
    let state = NodeState { kind, place, content: None, properties: crate::model::Properties::default() };
    SourceNode { state, properties_known: false, problem: None }
}

//! What people ask to see.

use std::path::{Path, PathBuf};

use super::Local;
use super::caller::{Caller, absolute};
use crate::agent::context::Context;
use crate::agent::planner::{self, told};
use crate::agent::repository::EntryName;
use crate::agent::session::Connection;
use crate::agent::state::members::{self, DEPTH_MAX};
use crate::agent::state::{Applying, InFlight, Keys, LocalSet, LocalSets, MemberRow, Members, Retries};
use crate::agent::tracker;
use crate::engine::Activity;
use crate::model::{Fault, FaultKind, Kind, MemberState, MemberStatus, NodeId, Reason, SetId, SetShape, Timestamp};
use crate::store::{Read, ReadExt as _, StoreError};
use crate::sys::Want;
use crate::task;
use crate::wire::{field, pb};

/// Members in one page.
const PAGE_MAX: usize = 1_000;
/// How many of the next retries are looked at for what is on its way: that is tried again soonest.
const RETRIES_SEEN: usize = 256;

/// Returns the direct members of a set.
pub(super) fn direct_members(context: &Context, set: SetId) -> Result<Vec<MemberRow>, StoreError> {
    context.store.read(|read| {
        let mut nodes = members::at_source(read, set, None)?;
        nodes.extend(members::at_target(read, set, None)?);
        nodes.sort_unstable();
        nodes.dedup();
        nodes.into_iter().filter_map(|node| members::load(read, set, node).transpose()).collect()
    })
}

/// Returns where the direct members of a set are.
pub(super) fn direct_paths(local: &Local, set: SetId) -> Result<Vec<PathBuf>, StoreError> {
    direct_members(&local.context, set)?.iter().map(|row| path_of(local, set, row)).collect()
}

/// Returns where a member is, or was, or would be.
pub(super) fn path_of(local: &Local, set: SetId, row: &MemberRow) -> Result<PathBuf, StoreError> {
    let (mut names, mut at) = (Vec::new(), row.clone());
    while names.len() < DEPTH_MAX {
        let member = &at.member;
        let state =
            member.source_node().map(|source| &source.state).or(member.base.as_ref()).or(member.target_node().map(|target| &target.state));
        let Some(place) = state.map(|state| state.place.clone()) else { break };
        if let Some(source) = &at.source
            && let Ok(path) = local.context.repository.path_of(&source.folder, &EntryName::Allowed(place.name.clone()))
        {
            return Ok(names.into_iter().rev().fold(path, |path, name: String| path.join(name)));
        }
        names.push(place.name.to_string());
        let Some(parent) = place.parent else { break };
        match local.context.store.read(|read| members::load(read, set, parent))? {
            Some(parent) => at = parent,
            None => break,
        }
    }
    Ok(names.into_iter().rev().collect())
}

/// Returns the member at a path.
pub(super) async fn member_at(local: &Local, path: &Path) -> Result<(SetId, MemberRow), Fault> {
    let (repository, asked) = (local.context.repository.clone(), path.to_owned());
    let resolved = task::blocking("resolve a path", move || repository.resolve(&asked)).await.map_err(Fault::internal)?;
    let resolved = resolved.map_err(|error| super::create::refuse(path, &error))?;
    let found = local.context.store.read(|read| {
        let Some((set, node)) = read.get::<Keys>(&(resolved.entry.key.as_bytes().to_vec(),))? else { return Ok::<_, StoreError>(None) };
        Ok(members::load(read, set, node)?.map(|row| (set, row)))
    })?;
    found.ok_or_else(|| Fault::not_found(format!("{} is not synced", path.display())))
}

/// Returns the sets that the caller may see.
pub(super) fn sets(local: &Local, caller: Caller) -> Result<Vec<(SetId, LocalSet)>, StoreError> {
    let sets = local.context.store.read(|read| read.scan::<LocalSets>(&(), None, usize::MAX))?;
    Ok(sets.into_iter().filter(|(_, set)| caller.owns(set)).collect())
}

/// Returns a set that the caller may see.
pub(super) fn set(local: &Local, caller: Caller, text: &str) -> Result<(SetId, LocalSet), Fault> {
    let id = field::id::<SetId>("set_id", text)?;
    let found = local.context.store.read(|read| members::load_set(read, id))?;
    let set = found.ok_or_else(|| Fault::not_found(format!("there is no sync set {id}; see `skybridge sync list`")))?;
    caller.must_own(&set)?;
    Ok((id, set))
}

/// Describes a set.
pub(super) fn describe(local: &Local, id: SetId, set: &LocalSet) -> Result<pb::LocalSync, StoreError> {
    let definition = &set.definition;
    let subfolders = !matches!(definition.shape, SetShape::Folder { subfolders: false });
    Ok(pb::LocalSync {
        set_id: id.to_string(),
        name: definition.name.to_string(),
        source_paths: direct_paths(local, id)?.iter().map(|path| path.display().to_string()).collect(),
        target_path: set.target_path.clone(),
        folder: matches!(definition.shape, SetShape::Folder { .. }),
        options: Some(pb::SyncOptions {
            lock_source: definition.options.lock_source,
            no_delete_on_cloud: !definition.options.delete_on_cloud,
            delete_source: definition.options.delete_source,
            no_subfolders: !subfolders,
        }),
        counts: counts(std::iter::once(set)),
        creator_user: set.creator_uid.to_string(),
        creator_user_name: local.rights.name_of(set.creator_uid).unwrap_or_default(),
        create_time: Some(time(set.create_millis)),
        reason: if set.braked.is_some() { pb::Reason::BrakeEngaged.into() } else { pb::Reason::Unspecified.into() },
        brake_deletes: set.braked.map_or(0, |braked| braked.deletes),
        owner_account_id: definition.owner.clone(),
    })
}

fn counts<'a>(sets: impl Iterator<Item = &'a LocalSet>) -> Vec<pb::LocalStateCount> {
    let mut all = std::collections::BTreeMap::<MemberState, u64>::new();
    for (state, count) in sets.flat_map(|set| &set.counts) {
        *all.entry(*state).or_default() += count.members;
    }
    all.into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| pb::LocalStateCount { state: pb::MemberState::from(state).into(), count })
        .collect()
}

/// How far the work on some sets has come: what stands still for a reason is not work.
fn progress<'a>(sets: impl Iterator<Item = &'a LocalSet>) -> pb::Progress {
    let mut progress = pb::Progress::default();
    for (state, count) in sets.flat_map(|set| &set.counts) {
        progress.total_items += count.members;
        progress.total_bytes += count.bytes;
        if !matches!(state, MemberState::Pending | MemberState::Syncing | MemberState::Retrying) {
            progress.done_items += count.members;
            progress.done_bytes += count.bytes;
        }
    }
    progress
}

fn time(millis: u64) -> prost_types::Timestamp {
    Timestamp { seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX), nanoseconds: (millis % 1_000) as u32 * 1_000_000 }.into()
}

/// Returns what is asked about: a set, or a member and what is in it.
pub(super) async fn scope(local: &Local, caller: Caller, id: &str, path: &str) -> Result<(SetId, Option<NodeId>), Fault> {
    if path.is_empty() {
        return Ok((set(local, caller, id)?.0, None));
    }
    let path = absolute("path", path)?;
    caller.must(local, &path, Want::Read).await?;
    let (id, row) = member_at(local, &path).await?;
    Ok((id, Some(row.member.node)))
}

/// Lists members, of one set or at and beneath a path.
pub(super) async fn list(local: &Local, caller: Caller, request: pb::ListSyncMembersRequest) -> Result<pb::ListSyncMembersResponse, Fault> {
    let size = field::page_size("page_size", request.page_size, 100)?.min(PAGE_MAX);
    let (id, beneath) = scope(local, caller, &request.set_id, &request.path).await?;
    let owner = local.context.store.read(|read| members::load_set(read, id))?.map(|set| set.definition.owner).unwrap_or_default();
    let state = pb::MemberState::try_from(request.state).unwrap_or_default();
    let mut after = field::optional_id::<NodeId>("page_token", &request.page_token)?;
    let mut members = Vec::new();
    loop {
        let rows = local.context.store.read(|read| read.scan::<Members>(&(id,), after.map(|node| (id, node)).as_ref(), PAGE_MAX))?;
        let full = rows.len() == PAGE_MAX;
        for ((_, node), row) in rows {
            after = Some(node);
            let wanted = state == pb::MemberState::Unspecified || pb::MemberState::from(told_now(local, &row).state) == state;
            if wanted && is_beneath(local, id, &row, beneath)? {
                members.push(member(local, id, &owner, &row)?);
                if members.len() == size {
                    let next_page_token = after.map(|node| node.to_string()).unwrap_or_default();
                    return Ok(pb::ListSyncMembersResponse { members, next_page_token });
                }
            }
        }
        if !full {
            return Ok(pb::ListSyncMembersResponse { members, next_page_token: String::new() });
        }
    }
}

pub(super) fn is_beneath(local: &Local, set: SetId, row: &MemberRow, folder: Option<NodeId>) -> Result<bool, StoreError> {
    let Some(folder) = folder else { return Ok(true) };
    let mut at = Some(row.clone());
    for _ in 0..DEPTH_MAX {
        let Some(row) = at else { return Ok(false) };
        if row.member.node == folder {
            return Ok(true);
        }
        let member = &row.member;
        let state =
            member.source_node().map(|source| &source.state).or(member.base.as_ref()).or(member.target_node().map(|target| &target.state));
        let Some(parent) = state.and_then(|state| state.place.parent) else { return Ok(false) };
        at = local.context.store.read(|read| members::load(read, set, parent))?;
    }
    Ok(false)
}

/// What is told of a member now: of one whose push is under way also that the coordinator is away, as long as it is.
fn told_now(local: &Local, row: &MemberRow) -> MemberStatus {
    match &*local.connection.borrow() {
        Connection::Away(reason) if matches!(row.member.activity, Activity::Creating | Activity::Pushing) => {
            MemberStatus { state: Reason::Unavailable.state(), reason: Some(Reason::Unavailable), detail: reason.clone() }
        }
        _ => told(row),
    }
}

fn member(local: &Local, set: SetId, owner: &str, row: &MemberRow) -> Result<pb::LocalMember, StoreError> {
    let (held, status) = (&row.member, &row.status);
    let state = held.source_node().map(|source| &source.state).or(held.target_node().map(|target| &target.state)).or(held.base.as_ref());
    let now = told_now(local, row);
    let reason = now.reason;
    Ok(pb::LocalMember {
        node_id: held.node.to_string(),
        set_id: set.to_string(),
        path: path_of(local, set, row)?.display().to_string(),
        kind: state.map_or(pb::NodeKind::Unspecified, |state| state.kind.into()).into(),
        direct: row.is_direct(),
        state: pb::MemberState::from(now.state).into(),
        reason: reason.map_or(pb::Reason::Unspecified, Into::into).into(),
        text: reason.map(|reason| reason.text().to_owned()).unwrap_or_default(),
        remedy: reason.map(|reason| reason.remedy().to_owned()).unwrap_or_default(),
        detail: [now.detail].into_iter().chain(notes(row)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" "),
        success_time: status.success_millis.map(time),
        attempt_time: status.attempt_millis.map(time),
        retry_time: status.retry_millis.map(time),
        success_by: if status.success_millis.is_some() { owner.to_owned() } else { String::new() },
        size_bytes: state.and_then(|state| state.content).map_or(0, |content| content.size_bytes),
    })
}

fn notes(row: &MemberRow) -> Vec<String> {
    let Some(source) = &row.source else { return Vec::new() };
    let nearest = if row.member.source_node().is_some_and(|node| node.state.kind == Kind::Folder) { "cm:folder" } else { "cm:content" };
    let custom = source.custom_type.iter().map(|custom| format!("Synced as {nearest}; its type {custom} stays behind."));
    custom.chain(source.notes.iter().cloned()).collect()
}

/// Says how things are.
pub(super) async fn state(local: &Local, caller: Caller, request: pb::GetStateRequest) -> Result<pb::GetStateResponse, Fault> {
    if request.rescan {
        local.context.looks.everything();
    }
    if request.wait_until_settled {
        settled(local).await?;
    }
    let sets = sets(local, caller)?;
    let excluded = super::excluded::count(local, &sets)?;
    let connection = local.connection.borrow().clone();
    let counts = counts(sets.iter().map(|(_, set)| set));
    let of = |state: pb::MemberState| counts.iter().filter(|count| count.state == i32::from(state)).map(|count| count.count).sum::<u64>();
    let total: u64 = counts.iter().map(|count| count.count).sum();
    let complete = sets.iter().all(|(_, set)| set.source_complete && set.target_complete);
    Ok(pb::GetStateResponse {
        connected: connection == Connection::Open,
        connection_problem: match connection {
            Connection::Away(reason) => reason,
            Connection::Starting => "connecting".to_owned(),
            Connection::Open => String::new(),
        },
        in_step: complete && total == of(pb::MemberState::Synced) && excluded.failed == 0,
        progress: Some(progress(sets.iter().map(|(_, set)| set))),
        counts,
        capabilities: capabilities(local),
        problems: local
            .context
            .looks
            .problems()
            .into_iter()
            .filter(|problem| sets.iter().any(|(id, _)| *id == problem.set))
            .map(|problem| problem.text)
            .collect(),
        agent_id: local.agent.to_string(),
        coordinator_address: local.coordinator_address.clone(),
        excluded_count: excluded.all,
    })
}

fn capabilities(local: &Local) -> Vec<pb::Capability> {
    let repository = &local.context.repository;
    let mut listed = Vec::new();
    for site in repository.sites() {
        let Some(can) = repository.capabilities(&site.name) else { continue };
        for (name, available, with, without) in [
            (
                "exchange",
                can.exchange,
                "documents are swapped with their replacement in one step",
                "a save at the very moment in which a document is replaced can be missed",
            ),
            ("events", can.events, "changes are reported", "changes are not reported, so folders are looked at every few seconds"),
            (
                "leases",
                can.leases,
                "it can be seen whether somebody writes",
                "it cannot be seen whether somebody writes, so a quiet time is waited for",
            ),
            ("properties", can.properties, "properties are kept beside the content", "properties are kept by the agent"),
            (
                "read-only enforced",
                can.read_only_enforced,
                "a locked copy cannot be changed",
                "a locked copy is protected by its permissions alone, which its owner can change",
            ),
        ] {
            let detail = if available { with } else { without }.to_owned();
            listed.push(pb::Capability { name: format!("{}: {name}", site.name), available, detail });
        }
    }
    listed
}

/// Waits until nothing more can be done now: the source was looked through, and nothing is dirty or under way, twice in a row.
async fn settled(local: &Local) -> Result<(), Fault> {
    let stopped = || Fault::new(FaultKind::Unavailable, "the agent is stopping");
    let mut quiet = false;
    loop {
        if !tracker::settled(&local.context).await {
            return Err(stopped());
        }
        if is_at_rest(local)? {
            if quiet {
                return Ok(());
            }
            quiet = true;
        } else {
            quiet = false;
            // Every end of a step rings the planner; what is waited for here has no bell of its own.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn is_at_rest(local: &Local) -> Result<bool, StoreError> {
    local.context.store.read(|read| {
        let sets = read.scan::<LocalSets>(&(), None, usize::MAX)?;
        for (_, set) in &sets {
            if !set.source_complete || !set.target_complete || planner::has_work(read, set)? {
                return Ok(false);
            }
        }
        let idle = read.scan::<InFlight>(&(), None, 1)?.is_empty() && read.scan::<Applying>(&(), None, 1)?.is_empty();
        Ok(idle && !tries_again_unexplained(read)?)
    })
}

/// Whether something is about to be tried again of which a person could not be told why it is not in step.
fn tries_again_unexplained(read: &impl Read) -> Result<bool, StoreError> {
    for ((_, set, node), ()) in read.scan::<Retries>(&(), None, RETRIES_SEEN)? {
        if members::load(read, set, node)?.is_some_and(|row| row.status.now.reason.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

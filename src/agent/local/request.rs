//! "Sync now", and letting a stopped plan go on.

use super::Local;
use super::caller::{Caller, absolute};
use super::show;
use crate::agent::context::Context;
use crate::agent::planner::{begin_anew, committed};
use crate::agent::state::{Braked, MemberRow, Members, Unreported, members};
use crate::agent::tracker::Look;
use crate::engine::{Activity, Source, Target};
use crate::model::{Fault, FaultKind, MemberState, NodeId, SetId};
use crate::store::{ReadExt as _, StoreError, WriteExt as _};
use crate::sys::Want;
use crate::wire::pb;

/// Members that are woken in one transaction.
const PAGE: usize = 500;

/// Looks again at a set or a path, and tries again what stands still.
pub(super) async fn request(local: &Local, caller: Caller, request: pb::RequestLocalSyncRequest) -> Result<u64, Fault> {
    let (set, node) = if request.path.is_empty() {
        (show::set(local, caller, &request.set_id)?.0, None)
    } else {
        let path = absolute("path", &request.path)?;
        caller.must(local, &path, Want::Write).await?;
        let (set, row) = show::member_at(local, &path).await?;
        (set, Some(row.member.node))
    };
    Ok(try_again(&local.context, set, node).await?)
}

/// Tries again what failed in a set, or in one member and what is in it. What was deleted in the cloud is pushed again as new. Returns how
/// many members are planned again.
///
/// # Errors
/// When the store fails.
pub async fn try_again(context: &Context, set: SetId, node: Option<NodeId>) -> Result<u64, StoreError> {
    let mut woken = 0;
    let mut after = None;
    loop {
        let rows = context.store.read(|read| read.scan::<Members>(&(set,), after.as_ref(), PAGE))?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        let mut chosen = Vec::new();
        for (_, row) in rows {
            if stands_still(&row) && beneath(context, set, &row, node)? {
                chosen.push(row);
            }
        }
        // What was just begun anew comes by again, in a later page: it is on its way.
        woken += chosen.iter().filter(|row| row.status.now.state != MemberState::Pending).count() as u64;
        let world = context.world.clone();
        let again = context.store.transact(move |tx| {
            chosen.iter().try_for_each(|row| {
                let Some(row) = members::load(tx, set, row.member.node)? else { return Ok::<_, StoreError>(()) };
                if is_gone_there(&row) {
                    return begin_anew(tx, set, &row, &*world);
                }
                let mut fresh = row.clone();
                fresh.status.failures = 0;
                fresh.status.retry_millis = None;
                fresh.put_back_millis = None;
                tx.put::<Unreported>(&(set, row.member.node), &())?;
                members::save(tx, set, Some(&row), Some(&fresh))?;
                members::mark_dirty(tx, set, row.member.node)
            })
        });
        committed(again.await)?;
    }
    context.looks.look(set, Look::Set);
    context.planner.notify_one();
    Ok(woken)
}

fn stands_still(row: &MemberRow) -> bool {
    let state = row.status.now.state;
    let is_told_about = !matches!(state, MemberState::Synced | MemberState::Syncing | MemberState::Paused) || row.put_back_millis.is_some();
    row.member.activity == Activity::Idle && is_told_about
}

fn is_gone_there(row: &MemberRow) -> bool {
    matches!(row.member.source, Source::Present(_)) && matches!(row.member.target, Target::Absent(_))
}

fn beneath(context: &Context, set: SetId, row: &MemberRow, folder: Option<NodeId>) -> Result<bool, StoreError> {
    let Some(folder) = folder else { return Ok(true) };
    let (mut at, mut seen) = (Some(row.clone()), 0);
    while let Some(row) = at.filter(|_| seen < 4_096) {
        if row.member.node == folder {
            return Ok(true);
        }
        let state = row.member.source_node().map(|source| &source.state).or(row.member.base.as_ref());
        let Some(parent) = state.and_then(|state| state.place.parent) else { return Ok(false) };
        at = context.store.read(|read| members::load(read, set, parent))?;
        seen += 1;
    }
    Ok(false)
}

/// Lets the deletes that the brake stopped go on; returns how many.
pub(super) async fn approve(local: &Local, caller: Caller, set: &str) -> Result<u64, Fault> {
    let (id, row) = show::set(local, caller, set)?;
    let nothing = || Fault::new(FaultKind::Precondition, format!("the brake has stopped nothing in the sync set {id}"));
    let Braked { at_target, deletes, .. } = row.braked.ok_or_else(nothing)?;
    let now = local.context.world.now_millis();
    let approved = local.context.store.transact(move |tx| {
        members::update_set(tx, id, |local| {
            // What was looked at was of one side: the other one's deletes are stopped as before.
            let window = if at_target { &mut local.brake_target } else { &mut local.brake_source };
            window.approve(deletes, now);
            local.braked = None;
        })
    });
    committed(approved.await)?;
    local.context.planner.notify_one();
    tracing::info!(set = %id, user = caller.user, deletes, "stopped deletes approved");
    Ok(deletes)
}

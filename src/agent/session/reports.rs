//! Telling the coordinator how members are doing.

use std::collections::BTreeMap;

use crate::agent::context::Context;
use crate::agent::planner::{committed, told};
use crate::agent::state::{MemberRow, Unreported, members};
use crate::model::{MemberState, MemberTimes, NodeId, SetId, Timestamp};
use crate::store::{Read, ReadExt as _, StoreError, WriteExt as _};
use crate::wire::{MemberReport, MemberUpdate};

/// The most members in one report.
const MEMBERS_MAX: usize = 500;
/// The deepest path that is told.
const DEPTH_MAX: usize = 256;

/// Returns reports of members whose status changed, one for each set, and counts these as told.
pub(super) async fn next(context: &Context) -> Result<Vec<MemberReport>, StoreError> {
    let marked = context.store.read(|read| read.scan::<Unreported>(&(), None, MEMBERS_MAX))?;
    if marked.is_empty() {
        return Ok(Vec::new());
    }
    let time = time(context.world.now_millis());
    let told = context.store.transact(move |tx| {
        let mut reports: BTreeMap<SetId, Vec<MemberUpdate>> = BTreeMap::new();
        for (key, ()) in &marked {
            tx.delete::<Unreported>(key)?;
            let (set, node) = *key;
            let row = members::load(tx, set, node)?;
            // What is under way is told when it has come to something, which marks it again.
            if !row.as_ref().is_some_and(is_under_way) {
                let source_path = row.as_ref().map(|row| path(tx, set, row)).transpose()?;
                let times = row.as_ref().map(times).unwrap_or_default();
                reports.entry(set).or_default().push(MemberUpdate { node, status: row.map(|row| told(&row)), source_path, time, times });
            }
        }
        Ok::<_, StoreError>(reports)
    });
    Ok(committed(told.await)?.into_iter().map(|(set, members)| MemberReport { set, members }).collect())
}

/// Marks members as not told: what was sent last may have been lost with the connection.
pub(super) async fn again(context: &Context, told: Vec<(SetId, NodeId)>) -> Result<(), StoreError> {
    let marked = context.store.transact(move |tx| told.iter().try_for_each(|key| tx.put::<Unreported>(key, &())));
    committed(marked.await)
}

fn is_under_way(row: &MemberRow) -> bool {
    matches!(row.status.now.state, MemberState::Pending | MemberState::Syncing) && row.status.now.reason.is_none()
}

fn times(row: &MemberRow) -> MemberTimes {
    let status = &row.status;
    MemberTimes { success: status.success_millis.map(time), attempt: status.attempt_millis.map(time), retry: status.retry_millis.map(time) }
}

fn time(millis: u64) -> Timestamp {
    Timestamp { seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX), nanoseconds: (millis % 1_000) as u32 * 1_000_000 }
}

/// The path of a member at the source, from the direct member down.
fn path(read: &impl Read, set: SetId, row: &MemberRow) -> Result<String, StoreError> {
    let (mut names, mut at) = (Vec::new(), Some(row.clone()));
    while let Some(row) = at.take().filter(|_| names.len() < DEPTH_MAX) {
        let member = &row.member;
        let state =
            member.source_node().map(|source| &source.state).or(member.base.as_ref()).or(member.target_node().map(|target| &target.state));
        let Some(place) = state.map(|state| &state.place) else { break };
        names.push(place.name.as_str().to_owned());
        if let Some(parent) = place.parent {
            at = members::load(read, set, parent)?;
        }
    }
    names.reverse();
    Ok(names.join("/"))
}

//! Telling the coordinator how members are doing.

use std::collections::BTreeMap;

use crate::agent::context::Context;
use crate::agent::planner::{committed, told};
use crate::agent::state::{MemberRow, Unreported, members};
use crate::model::{MemberState, MemberTimes, NodeId, SetId, Timestamp};
use crate::store::{Read, ReadExt as _, StoreError, WriteExt as _};
use crate::wire::{MemberReport, MemberUpdate, REPORT_TEXT_BYTES_MAX};

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

/// The path of a member at the source, from the direct member down; of a longer one than can be told, its end.
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
    let whole = names.len();
    while length(&names) > REPORT_TEXT_BYTES_MAX {
        names.pop();
    }
    if names.len() < whole {
        names.push("…".to_owned());
    }
    names.reverse();
    Ok(names.join("/"))
}

/// How long a path of these names is, with room for a sign that it goes on.
fn length(names: &[String]) -> usize {
    names.iter().map(|name| name.len() + 1).sum::<usize>() + "…".len()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::agent::planner::tests::Bench;
    use crate::model::{Kind, MemberStatus, NAME_BYTES_MAX, Name, NodeState, PairingId, Place, Properties, Reason, SetShape};
    use crate::wire::pb;

    #[tokio::test]
    async fn edge_n14_a_path_that_is_longer_than_can_be_told_is_told_by_its_end() {
        const DEPTH: u128 = 40;
        let bench = Bench::new(SetShape::Folder { subfolders: true }).await;
        let node = |number: u128| NodeId::from_uuid(Uuid::from_u128(number));
        let set = SetId::from_uuid(Uuid::from_u128(1));
        let made = bench.context.store.transact(move |tx| {
            (1..=DEPTH).try_for_each(|number| {
                let mut row = MemberRow::new(node(number), PairingId::from_uuid(Uuid::from_u128(number)));
                let name = Name::new(format!("{number:02}").repeat(NAME_BYTES_MAX / 2)).unwrap();
                let parent = (number > 1).then(|| node(number - 1));
                row.member.base =
                    Some(NodeState { kind: Kind::Folder, place: Place { parent, name }, content: None, properties: Properties::default() });
                row.status.now = MemberStatus { state: MemberState::Failed, reason: Some(Reason::NameClash), detail: String::new() };
                members::save(tx, set, None, Some(&row))
            })
        });
        committed(made.await).unwrap();
        let [report] = &next(&bench.context).await.unwrap()[..] else { panic!("one set has one report") };
        assert_eq!(report.members.len(), DEPTH as usize);
        assert_eq!(MemberReport::try_from(pb::MemberReport::from(report.clone())).as_ref(), Ok(report), "the coordinator takes it");
        let paths: Vec<_> = report.members.iter().map(|member| member.source_path.clone().unwrap()).collect();
        assert!(paths[0].starts_with("0101") && !paths[0].contains('/'));
        assert!(paths[39].starts_with("…/") && paths[39].ends_with("4040"), "{}", paths[39]);
    }
}

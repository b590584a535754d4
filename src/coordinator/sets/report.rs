//! How members are doing at the source, as their agents said last; counted by state, and found by state where something is the matter.

use serde::{Deserialize, Serialize};

use crate::model::{MemberState, MemberStatus, MemberTimes, NodeId, SetId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// Every state, in the order of their counters.
const STATES: [MemberState; 9] = [
    MemberState::Pending,
    MemberState::Syncing,
    MemberState::Synced,
    MemberState::Retrying,
    MemberState::Failed,
    MemberState::WaitingForLock,
    MemberState::Released,
    MemberState::Excluded,
    MemberState::Paused,
];

/// What was reported of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// How it is doing.
    pub status: MemberStatus,
    /// Where it is at the source, below the source folder.
    pub source_path: String,
    /// When this was so.
    pub at: Timestamp,
    /// When its sync did what.
    pub times: MemberTimes,
}

impl Record for MemberReport {
    const TABLE: Table = Table::MemberReport;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId);
    type Value = Self;
}

/// Finds reports by state. Synced members have none: nearly all are, and are found among all.
#[derive(Debug)]
struct Trouble;

impl Record for Trouble {
    const TABLE: Table = Table::MemberTrouble;
    const FORMAT: u8 = 1;
    type Key = (SetId, u8, NodeId);
    type Value = ();
}

/// How many members were reported in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts([u64; STATES.len()]);

impl Record for Counts {
    const TABLE: Table = Table::MemberCounts;
    const FORMAT: u8 = 1;
    type Key = (SetId,);
    type Value = Self;
}

impl Counts {
    /// Returns how many are in a state.
    #[must_use]
    pub fn of(&self, state: MemberState) -> u64 {
        self.0[usize::from(number(state))]
    }

    /// Iterates over the states that some are in.
    pub fn iter(&self) -> impl Iterator<Item = (MemberState, u64)> {
        STATES.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    fn count(&mut self, state: MemberState, by: i64) {
        let counter = &mut self.0[usize::from(number(state))];
        *counter = counter.saturating_add_signed(by);
    }
}

const fn number(state: MemberState) -> u8 {
    match state {
        MemberState::Pending => 0,
        MemberState::Syncing => 1,
        MemberState::Synced => 2,
        MemberState::Retrying => 3,
        MemberState::Failed => 4,
        MemberState::WaitingForLock => 5,
        MemberState::Released => 6,
        MemberState::Excluded => 7,
        MemberState::Paused => 8,
    }
}

/// What an agent says of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The member.
    pub node: NodeId,
    /// How it is doing; `None` when it is no member any more.
    pub status: Option<MemberStatus>,
    /// Where it is at the source; empty leaves what is known.
    pub source_path: String,
    /// When this was so.
    pub at: Timestamp,
    /// When its sync did what.
    pub times: MemberTimes,
}

/// Stores what an agent says of members of a set; the later of two about one member counts.
///
/// # Errors
/// When the store fails.
pub fn record_reports(tx: &mut Transaction<'_>, set: SetId, reports: &[Report]) -> Result<(), StoreError> {
    let mut counts = counts(tx, set)?;
    for report in reports {
        let key = (set, report.node);
        let held = tx.get::<MemberReport>(&key)?;
        if let Some(held) = &held {
            counts.count(held.status.state, -1);
            tx.delete::<Trouble>(&(set, number(held.status.state), report.node))?;
        }
        let Some(status) = report.status.clone() else {
            tx.delete::<MemberReport>(&key)?;
            continue;
        };
        counts.count(status.state, 1);
        if status.state != MemberState::Synced {
            tx.put::<Trouble>(&(set, number(status.state), report.node), &())?;
        }
        let known = held.map(|held| held.source_path).filter(|_| report.source_path.is_empty());
        let source_path = known.unwrap_or_else(|| report.source_path.clone());
        tx.put::<MemberReport>(&key, &MemberReport { status, source_path, at: report.at, times: report.times })?;
    }
    tx.put::<Counts>(&(set,), &counts)
}

/// Returns how many members of a set were reported in each state.
///
/// # Errors
/// When the store fails.
pub fn counts(read: &(impl Read + ?Sized), set: SetId) -> Result<Counts, StoreError> {
    Ok(read.get::<Counts>(&(set,))?.unwrap_or_default())
}

/// Lists what was reported of a set's members, in a fixed order, of all or of those in one state. Returns where the next page begins.
///
/// # Errors
/// When the store fails.
pub fn list_reports(
    read: &(impl Read + ?Sized),
    set: SetId,
    state: Option<MemberState>,
    after_exclusive: Option<NodeId>,
    limit: usize,
) -> Result<(Vec<(NodeId, MemberReport)>, Option<NodeId>), StoreError> {
    let mut page = Vec::new();
    let next = match state {
        Some(state) if state != MemberState::Synced => {
            let number = number(state);
            let rows = read.scan::<Trouble>(&(set, number), after_exclusive.map(|node| (set, number, node)).as_ref(), limit)?;
            for ((_, _, node), ()) in &rows {
                page.extend(read.get::<MemberReport>(&(set, *node))?.map(|report| (*node, report)));
            }
            rows.last().map(|((_, _, node), ())| *node).filter(|_| rows.len() == limit)
        }
        state => {
            let rows = read.scan::<MemberReport>(&(set,), after_exclusive.map(|node| (set, node)).as_ref(), limit)?;
            let next = rows.last().map(|((_, node), _)| *node).filter(|_| rows.len() == limit);
            let wanted = rows.into_iter().filter(|(_, report)| state.is_none_or(|state| report.status.state == state));
            page.extend(wanted.map(|((_, node), report)| (node, report)));
            next
        }
    };
    Ok((page, next))
}

/// Forgets at most `limit` reports of a set that has ended, and returns whether there are more.
pub(super) fn forget(tx: &mut Transaction<'_>, set: SetId, limit: usize) -> Result<bool, StoreError> {
    let rows = tx.scan::<MemberReport>(&(set,), None, limit)?;
    for (key, report) in &rows {
        tx.delete::<Trouble>(&(set, number(report.status.state), key.1))?;
        tx.delete::<MemberReport>(key)?;
    }
    if rows.len() == limit {
        return Ok(true);
    }
    tx.delete::<Counts>(&(set,))?;
    Ok(false)
}

//! What people see of a member.

use crate::agent::state::{MemberRow, members};
use crate::engine::reconcile::Waits;
use crate::model::{MemberState, MemberStatus, NodeId, Reason, SetId};
use crate::store::{Read, StoreError};

/// The first wait before trying again, in milliseconds.
const RETRY_FIRST_MILLIS: u64 = 250;
/// The longest.
const RETRY_LAST_MILLIS: u64 = 60_000;
/// How many that wait for one another are looked at for a reason.
const QUEUE_MAX: usize = 64;

/// Both sides are equal.
pub(crate) fn settle(row: &mut MemberRow, now_millis: u64) {
    let status = &mut row.status;
    status.now = MemberStatus { state: MemberState::Synced, reason: None, detail: String::new() };
    status.success_millis = Some(now_millis);
    status.failures = 0;
    status.retry_millis = None;
    row.waits = None;
}

/// What is told of a member: how it is doing, and of one that is in step also that a change here was put back.
pub(in crate::agent) fn told(row: &MemberRow) -> MemberStatus {
    let now = row.status.now.clone();
    if now.state != MemberState::Synced || row.put_back_millis.is_none() {
        return now;
    }
    let detail = "Somebody changed it here although it is locked: that was put back, and is kept as a version (`skybridge versions`).";
    MemberStatus { reason: Some(Reason::Locked), detail: detail.to_owned(), ..now }
}

/// It stands still for a reason, until what it waits for changes.
pub(crate) fn fail(row: &mut MemberRow, reason: Reason, detail: impl Into<String>) {
    row.status.now = MemberStatus { state: reason.state(), reason: Some(reason), detail: detail.into() };
}

/// What is told of a member whose turn comes after another one: why that one is not in step, or whichever that waits for in its turn, if it
/// stands still. Looked up anew each time: those who wait for one another in a circle would hand an old reason round.
pub(super) fn behind(read: &(impl Read + ?Sized), set: SetId, other: NodeId) -> Result<MemberStatus, StoreError> {
    let pending = MemberStatus { state: MemberState::Pending, reason: None, detail: String::new() };
    let (mut within, mut at) = (set, other);
    for _ in 0..QUEUE_MAX {
        let Some((holder, row)) = wherever(read, within, at)? else { break };
        within = holder;
        let now = &row.status.now;
        match (now.state, now.reason, &row.waits) {
            (MemberState::Pending, _, Some(Waits::Node(next))) => at = *next,
            (MemberState::Synced, ..) | (_, None, _) => break,
            (_, Some(reason), _) => {
                let member = &row.member;
                let (here, there) = (member.source_node().map(|node| &node.state), member.target_node().map(|node| &node.state));
                let name = here.or(there).or(member.base.as_ref()).map_or_else(String::new, |state| format!(" {:?}", state.place.name));
                return Ok(MemberStatus { reason: Some(reason), detail: format!("It waits for{name}. {}", now.detail), ..pending });
            }
        }
    }
    Ok(pending)
}

/// A member of a set, or of another one: what crosses between sets is waited for there.
fn wherever(read: &(impl Read + ?Sized), set: SetId, node: NodeId) -> Result<Option<(SetId, MemberRow)>, StoreError> {
    if let Some(row) = members::load(read, set, node)? {
        return Ok(Some((set, row)));
    }
    for other in members::elsewhere(read, set, node)? {
        if let Some(row) = members::load(read, other, node)? {
            return Ok(Some((other, row)));
        }
    }
    Ok(None)
}

/// It is tried again after a delay that grows with its failures, whatever else wakes it before.
///
/// `chance` spreads the delays of many members over a fifth.
pub(crate) fn retry(row: &mut MemberRow, now_millis: u64, chance: u64) {
    row.status.failures = row.status.failures.saturating_add(1);
    row.status.retry_millis = Some(now_millis.saturating_add(backoff_millis(row.status.failures, chance)));
}

/// Returns the delay before try number `failures + 1`, in milliseconds.
#[must_use]
pub(crate) fn backoff_millis(failures: u32, chance: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let delay = (RETRY_FIRST_MILLIS << doublings).min(RETRY_LAST_MILLIS);
    delay + chance % (delay / 5 + 1)
}

//! What people see of a member.

use crate::agent::state::MemberRow;
use crate::model::{MemberState, MemberStatus, Reason};

/// The first wait before trying again, in milliseconds.
const RETRY_FIRST_MILLIS: u64 = 250;
/// The longest.
const RETRY_LAST_MILLIS: u64 = 60_000;

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

/// What is told of a member whose turn comes after another one: why that one is not in step, if it stands still.
pub(super) fn behind(other: Option<&MemberRow>) -> MemberStatus {
    let pending = MemberStatus { state: MemberState::Pending, reason: None, detail: String::new() };
    let Some(other) = other.filter(|other| other.status.now.state != MemberState::Synced) else { return pending };
    let Some(reason) = other.status.now.reason else { return pending };
    if other.status.now.state == MemberState::Pending {
        // The one that it waits for waits itself, for whoever is named there.
        return other.status.now.clone();
    }
    let member = &other.member;
    let state =
        member.source_node().map(|source| &source.state).or(member.target_node().map(|target| &target.state)).or(member.base.as_ref());
    let name = state.map_or_else(String::new, |state| format!(" {:?}", state.place.name));
    MemberStatus { reason: Some(reason), detail: format!("It waits for{name}. {}", other.status.now.detail), ..pending }
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

//! Direct members whose pairing ends although both copies live on: taken out of the set in the cloud, or moved out of their document library
//! on either side. They are forgotten; nothing is planned for them any more.

use crate::agent::state::MemberRow;
use crate::agent::tracker::oddities::{self, Oddity};
use crate::engine::{Activity, Source, Target};
use crate::model::{Departure, Reason, SetId};
use crate::store::{StoreError, Transaction};

/// What is done about such a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departing {
    /// The coordinator is told first: else it would go on counting it as a member, and its next listing would bring it back.
    Release,
    /// The coordinator knows.
    Forget,
}

/// Says whether the pairing of a member ends. Only for sets of which everything is known.
pub(super) fn judge(row: &MemberRow) -> Option<Departing> {
    let member = &row.member;
    if !row.is_direct() || member.activity != Activity::Idle || matches!(member.source, Source::Absent) {
        return None;
    }
    match &member.target {
        Target::Absent(Departure::Released | Departure::MovedOut) => Some(Departing::Forget),
        Target::Never if left_library(row) => Some(Departing::Forget),
        Target::Present(_) | Target::Absent(Departure::Deleted) if left_library(row) => Some(Departing::Release),
        Target::Never | Target::Present(_) | Target::Absent(Departure::Deleted) => None,
    }
}

/// Whether it was moved out of its document library at the source.
pub(super) fn left_library(row: &MemberRow) -> bool {
    row.source.as_ref().is_some_and(|source| source.left_library)
}

/// Leaves word for people of a pairing that nobody ended on purpose.
pub(super) fn report(tx: &mut Transaction<'_>, set: SetId, row: &MemberRow) -> Result<(), StoreError> {
    let (reason, place) = match (left_library(row), &row.member.target) {
        (true, _) => (Reason::UnsupportedType, "of its document library"),
        (false, Target::Absent(Departure::MovedOut)) => (Reason::DeletedOnCloud, "of its document library in the cloud"),
        (false, _) => return Ok(()),
    };
    let Some(source) = row.member.source_node() else { return Ok(()) };
    let detail = format!("It was moved out {place}, which ended its sync: both copies stay.");
    oddities::save(tx, set, None, source.state.place.name.as_str().as_bytes().to_vec(), Some(&Oddity { reason, detail }))
}

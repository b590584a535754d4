//! What the agent keeps: sync sets, their members in three trees, operations in flight, holds, kept versions.
//!
//! Everything that changes a member goes through [`members::save`], which keeps the indices and marks as dirty whatever has to be planned
//! again: the node itself, and those that waited for it or for a name that it held. Dirty marks are stored in the same transaction, so
//! a crash forgets no work.
//!
//! | record | key | holds |
//! | --- | --- | --- |
//! | [`LocalSets`] | set | definition, cursor, what is known completely, the brake |
//! | [`Members`] | set, node | a member in three trees, where it is at the source, its status |
//! | [`Holders`] | node, set | which sets have a member |
//! | [`Keys`] | repository key | which member it is |
//! | [`SourceNames`] | set, folder, folded name, name, node | who holds a name at the source |
//! | [`TargetNames`] | set, folder, folded name, node | who holds a name at the target |
//! | [`Dirty`] | set, node | what has to be planned |
//! | [`Waiting`] | set, what for, node | who is planned again when that changes |
//! | [`InFlight`] | operation | a push whose outcome is not known |
//! | [`Applying`] | operation | a change of the source that is being made |
//! | [`Placing`](super::planner::placing::Placing) | repository key | whose the item is that is being put in place |
//! | [`Displacements`] | operation | whose document it took out of its place |
//! | [`Unreported`] | set, node | whose status the coordinator has not heard yet |
//! | [`Retries`] | when, set, node | what to plan again at a time |
//!
//! Rows written by a change: a document seen first takes 7 (member, holder, key, source name, dirty, unreported, counters of the set), planned
//! as a push 3 (member, in flight, dirty), confirmed 6.

pub mod members;
mod records;
mod view;

pub use records::{
    Applying, Braked, Count, Definition, Dirty, Displacements, EarlierLives, Holders, InFlight, Keys, KnownSites, LocalSet, LocalSets,
    MemberRow, Members, Mine, MineRow, Parent, Pushed, Retries, Retry, SourceNames, SourceRow, Status, TargetNames, Unreported, WaitKey,
    Waiting,
};
pub use view::{StoredTrees, parent_key};

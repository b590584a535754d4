//! The document libraries of sites: folders, documents with versions, trash. What people and syncs do to them goes through the same few
//! changes, which keep the indexes, the journal and the membership in sync sets right.
//!
//! Owned by the coordinator. All of it is synchronous and runs inside one transaction of the store. It must not know the wire, and it
//! knows content only by reference ([`Gate`]).
//!
//! # What a change writes
//!
//! Rows, counted for a node in a sync set. Keys are grouped by kind of record and then by network, so that the rows of one kind of a
//! batch lie side by side. A test holds the numbers.
//!
//! | change | node | child | version | trash | journal | its index | network | in all |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | create a document | 1 | 1 | 1 | | 1 | 1 | 1 | 6 |
//! | create a folder | 1 | 1 | | | 1 | 1 | 1 | 5 |
//! | new content | 1 | | 1 | | 1 | 1 | 1 | 5 |
//! | change properties | 1 | | | | 1 | 1 | 1 | 4 |
//! | rename or move, whatever is beneath | 1 | 2 | | | 1 | 1 | 1 | 6 |
//! | move from set to set | 1 | 2 | | | 1 | 2 | 1 | 7 |
//! | delete, whatever is beneath | 1 | 1 | | 1 | 1 | 1 | 1 | 6 |
//!
//! An operation of an agent writes its outcome too. A direct member has a row more in the index of its set, and edges of the
//! [trail]. A direct member somewhere in a folder that is deleted, or that leaves its site, costs its own journal entry.

mod actor;
mod browse;
mod child;
mod copy;
mod expire;
mod lineage;
mod locate;
mod node;
mod relocate;
pub mod request;
#[cfg(test)]
mod tests;
mod trail;
mod trash;
mod version;
mod write;
pub(in crate::coordinator) mod writer;

pub use actor::{Actor, Gate};
pub use browse::{TrashCursor, TrashedView, View, content, get, list, list_trash, list_versions};
pub use child::Child;
pub use copy::copy_node;
pub use expire::{TrashKey, expire_versions, expired_trash, purge, trash_to_empty};
pub use lineage::{Lineage, Membership};
pub use locate::{Located, NodeRef, locate};
pub use node::{Marker, Node, Parent, Stamp, Trashed};
pub(in crate::coordinator) use relocate::require_all_own;
pub use relocate::{delete_node, move_node, restore_node};
pub use trail::Trail;
pub use trash::Trash;
pub use version::Version;
pub use write::{WriteTarget, create_folder, restore_version, update_properties, write_document};

pub(in crate::coordinator) use trail::direct_members_beneath;
pub(in crate::coordinator) use write::ensure_folders;

//! Listing the members of a set: direct members in the order of their ids, and what is in each, folders before what is in them.
//!
//! A listing takes many pages and no long snapshot. Its cursor remembers where it is by the ids of the folders that it is in, so that
//! moving one of them does not make it skip what has not changed. What changes meanwhile is in the journal behind `as_of`.

use serde::{Deserialize, Serialize};

use super::{Definition, DirectMember};
use crate::coordinator::failure::Failure;
use crate::coordinator::journal;
use crate::coordinator::library::{Child, Lineage, Node};
use crate::model::{Cursor, FoldedName, Kind, NodeId, TargetNode};
use crate::store::{Read, ReadExt as _};

/// About how many bytes of members one page holds, so that it fits into a message.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Where a listing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersCursor {
    as_of: Cursor,
    /// The direct member that was begun last.
    direct: Option<NodeId>,
    /// The folders that it is in, the outermost first, each with the name that was listed last in it.
    folders: Vec<(NodeId, Option<FoldedName>)>,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersPage {
    /// The members; folders before what is in them.
    pub members: Vec<TargetNode>,
    /// The head of the journal when the listing began: where to read on after the last page.
    pub as_of: Cursor,
    /// Where the next page begins; `None` after the last.
    pub next: Option<MembersCursor>,
}

/// Lists at most `limit` members of a set, all or one with what is in it, from where the page before ended.
///
/// A member `beneath` which to list, that is none, gives an empty page.
///
/// # Errors
/// When the store fails.
pub fn list_members(
    read: &(impl Read + ?Sized),
    definition: &Definition,
    beneath: Option<NodeId>,
    from: Option<MembersCursor>,
    limit: usize,
) -> Result<MembersPage, Failure> {
    let is_first = from.is_none();
    let cursor = match from {
        Some(cursor) => cursor,
        None => MembersCursor { as_of: journal::head(read, definition.set.network)?, direct: None, folders: Vec::new() },
    };
    let mut walk = Walk { read, definition, cursor, members: Vec::new(), bytes: 0 };
    walk.check_folders()?;
    if let (true, Some(node)) = (is_first, beneath) {
        walk.enter(node)?;
    }
    while walk.members.len() < limit && walk.bytes < PAGE_BYTES_MAX {
        if !walk.cursor.folders.is_empty() {
            walk.step(limit)?;
        } else if beneath.is_some() || !walk.next_direct()? {
            return Ok(MembersPage { members: walk.members, as_of: walk.cursor.as_of, next: None });
        }
    }
    Ok(MembersPage { members: walk.members, as_of: walk.cursor.as_of, next: Some(walk.cursor) })
}

struct Walk<'a, R: ?Sized> {
    read: &'a R,
    definition: &'a Definition,
    cursor: MembersCursor,
    members: Vec<TargetNode>,
    bytes: usize,
}

/// Children of a folder that are read at once.
const CHILDREN_AT_ONCE: usize = 128;

impl<R: Read + ?Sized> Walk<'_, R> {
    /// Leaves the folders that have left the set since the last page.
    fn check_folders(&mut self) -> Result<(), Failure> {
        let mut kept = Vec::with_capacity(self.cursor.folders.len());
        for (folder, after) in std::mem::take(&mut self.cursor.folders) {
            if self.lineage(folder)?.is_some() {
                kept.push((folder, after));
            }
        }
        self.cursor.folders = kept;
        Ok(())
    }

    /// Returns a node with what is above it, if it is a member.
    fn lineage(&self, node: NodeId) -> Result<Option<Lineage>, Failure> {
        let Some(lineage) = Lineage::read(self.read, self.definition.set.network, node)? else { return Ok(None) };
        let in_set = lineage.membership(self.read)?.is_some_and(|membership| membership.set == self.definition.set.id);
        Ok(in_set.then_some(lineage))
    }

    /// Lists a node if it is a member, and goes into it.
    fn enter(&mut self, node: NodeId) -> Result<(), Failure> {
        if let Some(lineage) = self.lineage(node)? {
            self.list(node, &lineage.node);
        }
        Ok(())
    }

    fn list(&mut self, id: NodeId, node: &Node) {
        let member = node.target(id);
        self.bytes += weight(&member);
        if node.kind == Kind::Folder {
            self.cursor.folders.push((id, None));
        }
        self.members.push(member);
    }

    /// Goes on to the next direct member; `false` at the end.
    fn next_direct(&mut self) -> Result<bool, Failure> {
        let set = self.definition.set.id;
        let next = self.read.scan::<DirectMember>(&(set,), self.cursor.direct.map(|node| (set, node)).as_ref(), 1)?;
        let Some(((_, node), ())) = next.into_iter().next() else { return Ok(false) };
        self.cursor.direct = Some(node);
        self.enter(node)?;
        Ok(true)
    }

    /// Lists the next few children of the innermost folder, up to the first folder among them, or leaves it.
    fn step(&mut self, limit: usize) -> Result<(), Failure> {
        let Some((folder, after)) = self.cursor.folders.last().cloned() else { return Ok(()) };
        let network = self.definition.set.network;
        let after = after.map(|name| (network, folder, name));
        let rows = self.read.scan::<Child>(&(network, folder), after.as_ref(), CHILDREN_AT_ONCE)?;
        let (Some(holder), false) = (Lineage::read(self.read, network, folder)?, rows.is_empty()) else {
            self.cursor.folders.pop();
            return Ok(());
        };
        let depth = self.cursor.folders.len();
        for ((_, _, name), child) in rows {
            self.cursor.folders[depth - 1].1 = Some(name);
            let Some(node) = self.read.get::<Node>(&(network, child))? else { continue };
            // A direct member is listed by itself, wherever it is.
            let membership = holder.membership_of_child(self.read, child, &node)?;
            if membership.is_some_and(|membership| membership.set == self.definition.set.id && membership.carrier != child) {
                self.list(child, &node);
            }
            if self.cursor.folders.len() > depth || self.members.len() >= limit || self.bytes >= PAGE_BYTES_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// About how many bytes a member takes in a message.
fn weight(member: &TargetNode) -> usize {
    200 + member.state.place.name.as_str().len() + member.state.properties.message_bytes()
}

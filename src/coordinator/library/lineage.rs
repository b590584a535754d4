//! A node with all that is above it: what decides its site, whether it is in the trash, its path, and which set it belongs to.

use std::iter::once;

use super::{Marker, Node, Parent};
use crate::coordinator::sets::Definition;
use crate::engine::membership;
use crate::model::{Kind, NetworkId, NodeId, SetId, SiteId};
use crate::store::{Read, ReadExt as _, StoreError, Table};

/// More steps up than any library has: where a walk stops that damage has made endless.
const STEPS_MAX: usize = 100_000;

/// A node and its ancestors, as they were read.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The network.
    pub network: NetworkId,
    /// The node's id.
    pub id: NodeId,
    /// The node.
    pub node: Node,
    /// What holds it, then what holds that, up to the document library or to the top of what is in the trash.
    pub above: Vec<(NodeId, Node)>,
    /// The site whose document library or trash it is in.
    pub site: SiteId,
    /// Whether it is in the trash.
    pub in_trash: bool,
}

/// That a node belongs to a set.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The set.
    pub set: SetId,
    /// Its definition.
    pub definition: Definition,
    /// The direct member that carries it: the node itself, or a folder above.
    pub carrier: NodeId,
}

impl Lineage {
    /// Reads a node with what is above it; `None` if there is no such node.
    ///
    /// # Errors
    /// When the store fails, or a node above is missing.
    pub fn read(read: &(impl Read + ?Sized), network: NetworkId, id: NodeId) -> Result<Option<Self>, StoreError> {
        let Some(node) = read.get::<Node>(&(network, id))? else { return Ok(None) };
        let mut above: Vec<(NodeId, Node)> = Vec::new();
        for _ in 0..STEPS_MAX {
            let (top_id, top) = above.last().map_or((id, &node), |(id, node)| (*id, node));
            match (top.trashed, top.parent) {
                (Some(trashed), _) => return Ok(Some(Self { network, id, node, above, site: trashed.site, in_trash: true })),
                (None, Parent::Site(site)) => return Ok(Some(Self { network, id, node, above, site, in_trash: false })),
                (None, Parent::Folder(folder)) => {
                    let holder = read.get::<Node>(&(network, folder))?;
                    above.push((folder, holder.ok_or_else(|| damaged(format_args!("{folder} above {top_id} is missing")))?));
                }
            }
        }
        Err(damaged(format_args!("{id} lies in a circle")))
    }

    /// Returns the lineage of a node that this one holds.
    #[must_use]
    pub fn child(&self, id: NodeId, node: Node) -> Self {
        let above = once((self.id, self.node.clone())).chain(self.above.iter().cloned()).collect();
        Self { id, node, above, ..*self }
    }

    /// Whether it is the document library of its site.
    #[must_use]
    pub const fn is_library(&self) -> bool {
        matches!(self.node.parent, Parent::Site(_))
    }

    /// Whether a node is this one or above it.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.id == id || self.above.iter().any(|(above, _)| *above == id)
    }

    /// Returns the lineage of what holds it; `None` for a document library and the top of what is in the trash.
    #[must_use]
    pub fn holder(&self) -> Option<Self> {
        let ((id, node), above) = self.above.split_first()?;
        Some(Self { id: *id, node: node.clone(), above: above.to_vec(), ..*self })
    }

    /// Iterates over the steps up: what holds, and what it holds.
    pub fn steps(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let below = once(self.id).chain(self.above.iter().map(|(id, _)| *id));
        self.above.iter().map(|(id, _)| *id).zip(below)
    }

    /// Returns the names from the document library down, joined by slashes; empty for the library itself.
    #[must_use]
    pub fn path_in_library(&self) -> String {
        let mut names: Vec<&str> = self.chain().map(|(_, node)| node.name.as_str()).collect();
        if !self.in_trash {
            names.pop();
        }
        names.reverse();
        names.join("/")
    }

    /// Returns which set it belongs to. What is in the trash belongs to none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn membership(&self, read: &(impl Read + ?Sized)) -> Result<Option<Membership>, StoreError> {
        if self.in_trash { Ok(None) } else { nearest(read, self.node.kind, self.chain()) }
    }

    /// Returns which set a node belongs to that this one holds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn membership_of_child(&self, read: &(impl Read + ?Sized), id: NodeId, child: &Node) -> Result<Option<Membership>, StoreError> {
        if self.in_trash { Ok(None) } else { nearest(read, child.kind, once((id, child)).chain(self.chain())) }
    }

    fn chain(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        once((self.id, &self.node)).chain(self.above.iter().map(|(id, node)| (*id, node)))
    }
}

/// Finds the nearest direct member on the way up from a node, and asks the rule whether its set reaches the node.
fn nearest<'n>(
    read: &(impl Read + ?Sized),
    kind: Kind,
    chain: impl Iterator<Item = (NodeId, &'n Node)>,
) -> Result<Option<Membership>, StoreError> {
    let mut released = Vec::new();
    for (distance, (carrier, node)) in chain.enumerate() {
        match node.marker {
            None => {}
            Some(Marker::Released { set }) => released.push(set),
            Some(Marker::DirectMember { set, .. }) => {
                if let Some(definition) = Definition::in_force(read, set)? {
                    let reached = membership::reaches(definition.set.shape, kind, distance) && !released.contains(&set);
                    return Ok(reached.then_some(Membership { set, definition, carrier }));
                }
            }
        }
    }
    Ok(None)
}

fn damaged(detail: std::fmt::Arguments<'_>) -> StoreError {
    StoreError::Corrupt { table: Table::Node, detail: detail.to_string() }
}

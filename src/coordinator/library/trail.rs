//! The trail: which children of a folder are, or hold somewhere beneath, a direct member of a sync set.
//!
//! Deleting or moving a folder concerns the sets whose direct members lie anywhere in it. The trail finds them without a walk through
//! all that is in the folder, and costs one row for a direct member in a folder that has others. Invariant: a folder that is not the top
//! of something in the trash has an edge from what holds it exactly if it is a direct member or has an edge itself.

use super::Node;
use super::lineage::Lineage;
use crate::model::{NetworkId, NodeId};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// An edge of the trail.
#[derive(Debug)]
pub struct Trail;

impl Record for Trail {
    const TABLE: Table = Table::Trail;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, NodeId, NodeId);
    type Value = ();
}

/// Whether something beneath the node is a direct member.
pub(super) fn leads_down(read: &(impl Read + ?Sized), network: NetworkId, node: NodeId) -> Result<bool, StoreError> {
    Ok(!read.scan::<Trail>(&(network, node), None, 1)?.is_empty())
}

/// Adds the edges that lead to a node which is, or holds, a direct member.
pub(super) fn add(tx: &mut Transaction<'_>, lineage: &Lineage) -> Result<(), StoreError> {
    for (above, below) in lineage.steps() {
        let edge = (lineage.network, above, below);
        if tx.exists::<Trail>(&edge)? {
            return Ok(());
        }
        tx.put::<Trail>(&edge, &())?;
    }
    Ok(())
}

/// Removes the edges that led to a node which neither is nor holds a direct member any more, or which leaves the place that
/// `lineage` says.
pub(super) fn remove(tx: &mut Transaction<'_>, lineage: &Lineage) -> Result<(), StoreError> {
    for (step, (above, below)) in lineage.steps().enumerate() {
        tx.delete::<Trail>(&(lineage.network, above, below))?;
        let is_direct = lineage.above.get(step).is_some_and(|(_, node)| node.is_direct_member());
        if is_direct || leads_down(tx, lineage.network, above)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Lists the direct members beneath a node, itself not among them; at most `limit`.
pub(in crate::coordinator) fn direct_members_beneath(
    read: &(impl Read + ?Sized),
    network: NetworkId,
    node: NodeId,
    limit: usize,
) -> Result<Vec<NodeId>, StoreError> {
    let (mut found, mut folders) = (Vec::new(), vec![node]);
    while let Some(folder) = folders.pop() {
        let edges = read.scan::<Trail>(&(network, folder), None, limit.saturating_sub(found.len()).max(1))?;
        for ((_, _, child), ()) in edges {
            if found.len() >= limit {
                return Ok(found);
            }
            if read.get::<Node>(&(network, child))?.is_some_and(|node| node.is_direct_member()) {
                found.push(child);
            }
            folders.push(child);
        }
    }
    Ok(found)
}

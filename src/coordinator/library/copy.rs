//! Copying. A copy is made of new nodes, and so is in no sync set but where it lands in a synced folder.

use super::actor::Again;
use super::browse::View;
use super::locate::{NodeRef, locate};
use super::write::show;
use super::writer::{Birth, Writer};
use super::{Actor, Child, Gate, Lineage, Node};
use crate::coordinator::failure::Failure;
use crate::model::{Fault, FaultKind, Name, NetworkId, NodeId, Permission};
use crate::store::{ReadExt as _, Transaction};

/// The most nodes that one copy makes: it is one transaction, of about a kilobyte for each.
const COPIED_NODES_MAX: usize = 5_000;

/// Copies a node, with what is in it and its properties but without its history, into a folder. `mint` makes a new id each time.
///
/// # Errors
/// When it is too large for one call, the name is taken, there is no room, or the role does not permit it.
pub fn copy_node(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    node: &NodeRef,
    parent: &NodeRef,
    name: Option<Name>,
    mint: &mut dyn FnMut() -> NodeId,
) -> Result<View, Failure> {
    let source = locate(tx, actor.account, node)?;
    source.require_no_library()?;
    let folder = locate(tx, actor.account, parent)?;
    folder.require_folder()?;
    folder.require(Permission::Create)?;
    if folder.lineage.network != source.lineage.network {
        return Err(Fault::new(FaultKind::Precondition, "a node cannot be copied to another network: read it and write it there").into());
    }
    let name = name.unwrap_or_else(|| source.lineage.node.name.clone());
    let originals = gather(tx, source.lineage.network, (source.lineage.id, source.lineage.node))?;

    let mut writer = Writer::open(tx, folder.lineage.network, actor)?;
    let mut made: Vec<NodeId> = Vec::with_capacity(originals.len());
    for (index, original) in originals.into_iter().enumerate() {
        let id = mint();
        let (into, name) = match original.holder {
            None => (folder.lineage.clone(), name.clone()),
            Some(holder) => (copied(&writer, folder.lineage.network, made[holder])?, original.node.name),
        };
        debug_assert_eq!(index, made.len());
        let Node { kind, content, properties, .. } = original.node;
        writer.insert(&Again(gate), &into, Birth { id, kind, name, content, properties, marker: None })?;
        made.push(id);
    }
    writer.finish()?;
    show(tx, &folder, made[0])
}

fn copied(writer: &Writer<'_, '_>, network: NetworkId, id: NodeId) -> Result<Lineage, Failure> {
    let lineage = Lineage::read(writer.tx, network, id)?;
    Ok(lineage.ok_or_else(|| Fault::internal("a folder that was just copied is gone"))?)
}

/// A node to copy, and the place in the list of the folder that holds it.
struct Original {
    node: Node,
    holder: Option<usize>,
}

/// Lists a node and all that is in it, folders before what is in them, before the first copy is made: so a folder can be copied into itself.
fn gather(tx: &Transaction<'_>, network: NetworkId, top: (NodeId, Node)) -> Result<Vec<Original>, Failure> {
    let (mut originals, mut ids) = (vec![Original { node: top.1, holder: None }], vec![top.0]);
    let mut holder = 0;
    while holder < originals.len() {
        for (_, child) in tx.scan::<Child>(&(network, ids[holder]), None, COPIED_NODES_MAX + 1)? {
            if originals.len() >= COPIED_NODES_MAX {
                let message = format!("it holds more than {COPIED_NODES_MAX} items: copy it in parts");
                return Err(Fault::new(FaultKind::Exhausted, message).into());
            }
            if let Some(node) = tx.get::<Node>(&(network, child))? {
                originals.push(Original { node, holder: Some(holder) });
                ids.push(child);
            }
        }
        holder += 1;
    }
    Ok(originals)
}

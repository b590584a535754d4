//! What people and programs move: to another name or folder, to the trash, and back.

use super::browse::{View, may_see};
use super::locate::{Located, NodeRef, locate, locate_trashed};
use super::write::show;
use super::writer::{Destination, Edit, Writer};
use super::{Actor, Child, Gate, Lineage, Node, Parent};
use crate::coordinator::failure::Failure;
use crate::model::{AccountId, Fault, FaultKind, Kind, Name, NodeId, Permission, Reason, Sequence};
use crate::store::{ReadExt as _, Transaction};

/// The most nodes in a folder that somebody may delete who may not delete everything, and so must have created all of them.
const OWNED_NODES_MAX: usize = 10_000;

/// Renames or moves a node within its network. Without a folder it stays where it is, without a name it keeps its own.
///
/// # Errors
/// When the name is taken, the role does not permit it, the etag has moved on, or a sync set forbids it.
pub fn move_node(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    node: &NodeRef,
    parent: Option<&NodeRef>,
    name: Option<Name>,
    etag: Option<Sequence>,
) -> Result<View, Failure> {
    let found = locate(tx, actor.account, node)?;
    found.require_no_library()?;
    found.require(Permission::Change)?;
    found.require_etag(etag)?;
    let folder = match parent {
        Some(parent) => locate(tx, actor.account, parent)?,
        None => Located { lineage: holder(&found)?, site_path: found.site_path.clone(), ..found },
    };
    folder.require_folder()?;
    if folder.lineage.network != found.lineage.network {
        return Err(Fault::new(FaultKind::Precondition, "a node cannot be moved to another network: copy it by reading and writing").into());
    }
    let name = name.unwrap_or_else(|| found.lineage.node.name.clone());
    if found.lineage.node.parent != Parent::Folder(folder.lineage.id) {
        folder.require(Permission::Create)?;
        if folder.lineage.site != found.lineage.site {
            found.require(Permission::Delete)?;
        }
    } else if found.lineage.node.name == name {
        return View::of(tx, &found);
    }
    let place = Some(Destination { folder: folder.lineage.clone(), name });
    let mut writer = Writer::open(tx, found.lineage.network, actor)?;
    writer.edit(gate, &found.lineage, Edit { place, ..Edit::default() })?;
    writer.finish()?;
    show(tx, &folder, found.lineage.id)
}

fn holder(found: &Located) -> Result<Lineage, Fault> {
    found.lineage.holder().ok_or_else(|| Fault::internal("a node that is no document library lies in nothing"))
}

/// Moves a node, with what is in it, to the trash of its site.
///
/// # Errors
/// When the role does not permit it, the etag has moved on, or a sync set of anything in it forbids it.
pub fn delete_node(tx: &mut Transaction<'_>, actor: Actor, node: &NodeRef, etag: Option<Sequence>) -> Result<(), Failure> {
    let found = locate(tx, actor.account, node)?;
    found.require_no_library()?;
    found.require(Permission::Delete)?;
    found.require_etag(etag)?;
    if !found.role.permits(Permission::Delete, false) {
        require_all_own(tx, &found.lineage, found.account)?;
    }
    let mut writer = Writer::open(tx, found.lineage.network, actor)?;
    writer.trash(&found.lineage)?;
    Ok(writer.finish()?)
}

/// Refuses unless the account created everything in a folder.
pub(in crate::coordinator) fn require_all_own(tx: &Transaction<'_>, top: &Lineage, account: AccountId) -> Result<(), Failure> {
    let network = top.network;
    let denied = |what: String| Fault::denied(what).because(Reason::TargetAccessDenied);
    let (mut folders, mut seen) = (vec![(top.id, top.node.kind)], 0);
    while let Some((folder, _)) = folders.pop().filter(|(_, kind)| *kind == Kind::Folder) {
        for (_, child) in tx.scan::<Child>(&(network, folder), None, OWNED_NODES_MAX + 1)? {
            seen += 1;
            if seen > OWNED_NODES_MAX {
                return Err(denied(format!("only a manager of the site may delete a folder of more than {OWNED_NODES_MAX} items")).into());
            }
            let Some(node) = tx.get::<Node>(&(network, child))? else { continue };
            if node.created.by != account {
                let name = top.node.name.as_str();
                return Err(denied(format!("{name:?} holds what others created: only a manager of the site may delete it")).into());
            }
            if node.kind == Kind::Folder {
                folders.push((child, node.kind));
            }
        }
    }
    Ok(())
}

/// Restores a node from the trash, with its id and history: where it was and as it was named, or elsewhere.
///
/// # Errors
/// When it is not there for the account to see, the name is taken, the folder that it was in is gone, or the role does not permit it.
pub fn restore_node(
    tx: &mut Transaction<'_>,
    actor: Actor,
    network: &str,
    node: NodeId,
    parent: Option<&NodeRef>,
    name: Option<Name>,
) -> Result<View, Failure> {
    let (found, trashed) = locate_trashed(tx, actor.account, network, node)?;
    if !may_see(&found, &trashed) {
        return Err(Fault::not_found("there is no such node in the trash, or it is not for you to see").into());
    }
    let gone =
        || Fault::new(FaultKind::Precondition, "the folder that it was in is gone: name another").because(Reason::TargetFolderMissing);
    let folder = match (parent, found.lineage.node.parent) {
        (Some(parent), _) => locate(tx, actor.account, parent)?,
        (None, Parent::Folder(folder)) => {
            let former = NodeRef::Id { network: network.to_owned(), node: folder };
            locate(tx, actor.account, &former).map_err(|failure| match failure {
                Failure::Refused(fault) if fault.kind == FaultKind::NotFound => gone().into(),
                other => other,
            })?
        }
        (None, Parent::Site(_)) => return Err(gone().into()),
    };
    folder.require_folder()?;
    folder.require(Permission::Create)?;
    if folder.lineage.network != found.lineage.network {
        return Err(Fault::new(FaultKind::Precondition, "a node cannot be restored to another network").into());
    }
    let name = name.unwrap_or_else(|| found.lineage.node.name.clone());
    let mut writer = Writer::open(tx, found.lineage.network, actor)?;
    writer.restore(&found.lineage, &trashed, Destination { folder: folder.lineage.clone(), name })?;
    writer.finish()?;
    show(tx, &folder, node)
}

//! What people and programs write: folders, documents, properties, versions made the newest again.

use super::actor::Again;
use super::browse::{View, no_version};
use super::locate::{Located, NodeRef, Path, locate};
use super::writer::{Birth, Edit, Writer};
use super::{Actor, Child, Gate, Lineage, Version};
use crate::coordinator::failure::Failure;
use crate::model::{ContentRef, Fault, FaultKind, Kind, Name, NodeId, Permission, Properties, Property, Reason, Sequence, Value};
use crate::store::{ReadExt as _, Transaction};

/// Which document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteTarget {
    /// A document that is there: it gets a new version.
    Node(NodeRef),
    /// The document of this name in a folder: it gets a new version, or is made.
    Named {
        /// The folder.
        parent: NodeRef,
        /// The name.
        name: Name,
        /// Refuse if it is there already.
        create_only: bool,
    },
}

/// Creates a folder; with `create_parents` also those of the parent's path that are missing. `mint` makes a new id each time.
///
/// # Errors
/// When the name is taken, the parent is not there, or the role does not permit it.
pub fn create_folder(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    parent: &NodeRef,
    name: Name,
    create_parents: bool,
    mint: &mut dyn FnMut() -> NodeId,
) -> Result<View, Failure> {
    let folder = match parent {
        NodeRef::Path(path) if create_parents => ensure_folders(tx, gate, actor, path, mint)?,
        _ => locate(tx, actor.account, parent)?,
    };
    folder.require_folder()?;
    folder.require(Permission::Create)?;
    let birth = Birth { id: mint(), kind: Kind::Folder, name, content: None, properties: Properties::default(), marker: None };
    let id = birth.id;
    insert(tx, gate, actor, &folder.lineage, birth)?;
    show(tx, &folder, id)
}

/// Finds the folder of a path, and makes what is missing of it.
///
/// # Errors
/// When something in the path is a document, or the role does not permit it.
pub(in crate::coordinator) fn ensure_folders(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    path: &str,
    mint: &mut dyn FnMut() -> NodeId,
) -> Result<Located, Failure> {
    let parsed = Path::parse(tx, actor.account, path)?;
    let (at, missing) = parsed.walk(tx)?;
    let lineage = Lineage::read(tx, parsed.network, at)?.ok_or_else(|| Fault::internal(format_args!("{at} has a name and no record")))?;
    let mut folder = Located { lineage, account: actor.account, role: parsed.role, site_path: parsed.site_path.clone() };
    for name in missing {
        folder.require_folder()?;
        folder.require(Permission::Create)?;
        let id = mint();
        let birth = Birth { id, kind: Kind::Folder, name: name.clone(), content: None, properties: Properties::default(), marker: None };
        insert(tx, gate, actor, &folder.lineage, birth)?;
        folder.lineage = read(tx, &folder, id)?;
    }
    Ok(folder)
}

/// Writes a document whose content is stored already. The content that it has already makes no version.
///
/// # Errors
/// When it may not be written, the etag has moved on, or there is no room.
pub fn write_document(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    target: &WriteTarget,
    content: ContentRef,
    etag: Option<Sequence>,
    id: NodeId,
) -> Result<View, Failure> {
    let found = match target {
        WriteTarget::Node(node) => locate(tx, actor.account, node)?,
        WriteTarget::Named { parent, name, create_only } => {
            let folder = locate(tx, actor.account, parent)?;
            folder.require_folder()?;
            match tx.get::<Child>(&(folder.lineage.network, folder.lineage.id, name.folded()))? {
                Some(_) if *create_only => {
                    let message = format!("there is something named {:?} already", name.as_str());
                    return Err(Fault::new(FaultKind::AlreadyExists, message).because(Reason::NameClash).into());
                }
                Some(there) => Located { lineage: read(tx, &folder, there)?, ..folder },
                None if etag.is_some() => {
                    let message = format!("{:?} is not there any more", name.as_str());
                    return Err(Fault::new(FaultKind::Stale, message).into());
                }
                None => return create_document(tx, gate, actor, &folder, name.clone(), content, id),
            }
        }
    };
    found.require_document()?;
    found.require(Permission::Change)?;
    found.require_etag(etag)?;
    if found.lineage.node.content == Some(content) {
        return View::of(tx, &found);
    }
    edit(tx, gate, actor, &found, Edit { content: Some(content), ..Edit::default() })
}

fn create_document(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    folder: &Located,
    name: Name,
    content: ContentRef,
    id: NodeId,
) -> Result<View, Failure> {
    folder.require(Permission::Create)?;
    let birth = Birth { id, kind: Kind::Document, name, content: Some(content), properties: Properties::default(), marker: None };
    insert(tx, gate, actor, &folder.lineage, birth)?;
    show(tx, folder, id)
}

/// Sets properties, or with `None` removes them. Those that have the value already are left alone.
///
/// # Errors
/// When the node may not be changed, the etag has moved on, or a value does not fit.
pub fn update_properties(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    node: &NodeRef,
    changes: Vec<(Property, Option<Value>)>,
    etag: Option<Sequence>,
) -> Result<View, Failure> {
    let found = locate(tx, actor.account, node)?;
    found.require_no_library()?;
    found.require(Permission::Change)?;
    found.require_etag(etag)?;
    let held = &found.lineage.node.properties;
    let properties: Vec<_> = changes.into_iter().filter(|(property, value)| held.get(*property) != value.as_ref()).collect();
    if properties.is_empty() {
        return View::of(tx, &found);
    }
    edit(tx, gate, actor, &found, Edit { properties, ..Edit::default() })
}

/// Makes an old version of a document the newest, as a version of its own.
///
/// # Errors
/// When the document may not be changed or has no such version, or there is no room.
pub fn restore_version(tx: &mut Transaction<'_>, gate: &dyn Gate, actor: Actor, document: &NodeRef, version: u32) -> Result<View, Failure> {
    let found = locate(tx, actor.account, document)?;
    found.require_document()?;
    found.require(Permission::Change)?;
    let record = tx.get::<Version>(&(found.lineage.network, found.lineage.id, version))?.ok_or_else(|| no_version(version))?;
    if found.lineage.node.content == Some(record.content) {
        return View::of(tx, &found);
    }
    edit(tx, &Again(gate), actor, &found, Edit { content: Some(record.content), ..Edit::default() })
}

fn insert(tx: &mut Transaction<'_>, gate: &dyn Gate, actor: Actor, folder: &Lineage, birth: Birth) -> Result<(), Failure> {
    let mut writer = Writer::open(tx, folder.network, actor)?;
    writer.insert(gate, folder, birth)?;
    Ok(writer.finish()?)
}

fn edit(tx: &mut Transaction<'_>, gate: &dyn Gate, actor: Actor, found: &Located, edit: Edit) -> Result<View, Failure> {
    let mut writer = Writer::open(tx, found.lineage.network, actor)?;
    writer.edit(gate, &found.lineage, edit)?;
    writer.finish()?;
    show(tx, found, found.lineage.id)
}

/// Shows a node of the site that `near` is in.
pub(super) fn show(tx: &Transaction<'_>, near: &Located, id: NodeId) -> Result<View, Failure> {
    View::of(tx, &Located { lineage: read(tx, near, id)?, site_path: near.site_path.clone(), ..*near })
}

fn read(tx: &Transaction<'_>, near: &Located, id: NodeId) -> Result<Lineage, Failure> {
    let lineage = Lineage::read(tx, near.lineage.network, id)?;
    Ok(lineage.ok_or_else(|| Fault::internal(format_args!("{id} has a name and no record")))?)
}

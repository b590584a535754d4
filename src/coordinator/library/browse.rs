//! What people and programs read of a library.

use super::locate::{Located, NodeRef, locate};
use super::{Child, Lineage, Membership, Node, Trash, Trashed, Version};
use crate::coordinator::failure::Failure;
use crate::coordinator::networks;
use crate::model::{AccountId, ContentRef, Fault, FoldedName, NodeId, Permission, Role};
use crate::store::{Read, ReadExt as _};

/// The most rows of the trash that one page looks at: a caller who may see few of them gets a short page.
const TRASH_LOOKED_AT_MAX: usize = 5_000;
/// About how many bytes of nodes one page holds, so that it fits into a message.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A node as people see it.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: NodeId,
    /// The record.
    pub node: Node,
    /// `NETWORK/SITE/FOLDER/…/NAME`.
    pub path: String,
    /// The set that it is a member of.
    pub membership: Option<Membership>,
}

impl View {
    /// Shows a node that was found.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(read: &(impl Read + ?Sized), found: &Located) -> Result<Self, Failure> {
        let membership = found.lineage.membership(read)?;
        Ok(Self { id: found.lineage.id, node: found.lineage.node.clone(), path: found.path(), membership })
    }

    /// About how many bytes it takes in a message.
    fn message_bytes(&self) -> usize {
        300 + self.path.len() + self.node.name.as_str().len() + self.node.properties.message_bytes()
    }

    /// Whether it is a direct member of its set.
    #[must_use]
    pub fn is_direct_member(&self) -> bool {
        self.membership.as_ref().is_some_and(|membership| membership.carrier == self.id)
    }
}

/// Shows a node.
///
/// # Errors
/// [`crate::model::FaultKind::NotFound`] when it is not there, or not for the account to see.
pub fn get(read: &(impl Read + ?Sized), account: AccountId, node: &NodeRef) -> Result<View, Failure> {
    View::of(read, &locate(read, account, node)?)
}

/// Lists what is in a folder, in the order of folded names, and returns where the next page begins.
///
/// # Errors
/// When it is no folder that the account may see.
pub fn list(
    read: &(impl Read + ?Sized),
    account: AccountId,
    folder: &NodeRef,
    after_exclusive: Option<FoldedName>,
    limit: usize,
) -> Result<(Vec<View>, Option<FoldedName>), Failure> {
    let found = locate(read, account, folder)?;
    found.require_folder()?;
    let Lineage { network, id, .. } = found.lineage;
    let rows = read.scan::<Child>(&(network, id), after_exclusive.map(|name| (network, id, name)).as_ref(), limit)?;
    let last = rows.last().map(|((_, _, name), _)| name.clone()).filter(|_| rows.len() == limit);
    let (mut views, mut bytes) = (Vec::with_capacity(rows.len()), 0);
    for ((_, _, name), child) in rows {
        if let Some(node) = read.get::<Node>(&(network, child))? {
            let lineage = found.lineage.child(child, node);
            let view = View::of(read, &Located { lineage, site_path: found.site_path.clone(), ..found })?;
            bytes += view.message_bytes();
            views.push(view);
            if bytes >= PAGE_BYTES_MAX {
                return Ok((views, Some(name)));
            }
        }
    }
    Ok((views, last))
}

/// Lists the versions of a document, the newest first, older than `before_exclusive`.
///
/// # Errors
/// When it is no document that the account may see.
pub fn list_versions(
    read: &(impl Read + ?Sized),
    account: AccountId,
    document: &NodeRef,
    before_exclusive: Option<u32>,
    limit: usize,
) -> Result<Vec<(u32, Version)>, Failure> {
    let found = locate(read, account, document)?;
    found.require_document()?;
    let Lineage { network, id, .. } = found.lineage;
    let rows = read.scan_back::<Version>(&(network, id), before_exclusive.map(|number| (network, id, number)).as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, _, number), version)| (number, version)).collect())
}

/// Returns the content of a document, now or in a version, and the view of the document.
///
/// # Errors
/// When it is no document that the account may see, or has no such version.
pub fn content(
    read: &(impl Read + ?Sized),
    account: AccountId,
    document: &NodeRef,
    version: Option<u32>,
) -> Result<(View, ContentRef), Failure> {
    let found = locate(read, account, document)?;
    found.require_document()?;
    let number = version.unwrap_or(found.lineage.node.version);
    let record = read.get::<Version>(&(found.lineage.network, found.lineage.id, number))?.ok_or_else(|| no_version(number))?;
    Ok((View::of(read, &found)?, record.content))
}

pub(super) fn no_version(number: u32) -> Fault {
    Fault::not_found(format!("the document has no version {number}"))
}

/// Where a page of trash ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrashCursor {
    /// When what was listed last was deleted, in microseconds since 1970.
    pub deleted_micros: u64,
    /// What was listed last.
    pub node: NodeId,
}

/// Something in the trash.
#[derive(Debug, Clone)]
pub struct TrashedView {
    /// The node; its path is where it was.
    pub view: View,
    /// How it got there.
    pub trashed: Trashed,
}

/// Lists the trash of a site, the newest first: what the account deleted, or for a manager everything. Returns where the next page begins.
///
/// # Errors
/// When there is no such site for the account to see.
pub fn list_trash(
    read: &(impl Read + ?Sized),
    account: AccountId,
    network: &str,
    site: &str,
    before_exclusive: Option<TrashCursor>,
    limit: usize,
) -> Result<(Vec<TrashedView>, Option<TrashCursor>), Failure> {
    let (network_id, record, _) = networks::visible(read, account, network)?;
    let (site_id, site, role) = networks::visible_site(read, network_id, account, site)?;
    let site_path = format!("{}/{}", record.name, site.name);
    let before = before_exclusive.map(|cursor| (network_id, site_id, cursor.deleted_micros, cursor.node));
    let rows = read.scan_back::<Trash>(&(network_id, site_id), before.as_ref(), TRASH_LOOKED_AT_MAX)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    let all = rows.len();
    for (index, ((_, _, deleted_micros, node), ())) in rows.into_iter().enumerate() {
        let shown = show_trashed(read, Located { account, role, site_path: site_path.clone(), lineage: top(read, network_id, node)? })?;
        bytes += shown.as_ref().map_or(0, |trashed| trashed.view.message_bytes());
        page.extend(shown);
        let cursor = TrashCursor { deleted_micros, node };
        if page.len() == limit || bytes >= PAGE_BYTES_MAX || (index + 1 == all && all == TRASH_LOOKED_AT_MAX) {
            return Ok((page, Some(cursor)));
        }
    }
    Ok((page, None))
}

fn top(read: &(impl Read + ?Sized), network: crate::model::NetworkId, node: NodeId) -> Result<Lineage, Failure> {
    let lineage = Lineage::read(read, network, node)?;
    Ok(lineage.ok_or_else(|| Fault::internal(format_args!("{node} is in the index of the trash and nowhere else")))?)
}

fn show_trashed(read: &(impl Read + ?Sized), found: Located) -> Result<Option<TrashedView>, Failure> {
    let Some(trashed) = found.lineage.node.trashed.filter(|trashed| may_see(&found, trashed)) else { return Ok(None) };
    let was_in = match found.lineage.node.parent {
        super::Parent::Folder(folder) => Lineage::read(read, found.lineage.network, folder)?.map(|folder| folder.path_in_library()),
        super::Parent::Site(_) => None,
    };
    let mut view = View::of(read, &found)?;
    if let Some(folder) = was_in.filter(|folder| !folder.is_empty()) {
        view.path = format!("{}/{folder}/{}", found.site_path, found.lineage.node.name);
    }
    Ok(Some(TrashedView { view, trashed }))
}

/// Whether a caller sees something in the trash: managers see all of it, others what they deleted.
pub(super) fn may_see(found: &Located, trashed: &Trashed) -> bool {
    trashed.deleted.by == found.account || found.role.permits(Permission::Manage, false) || found.role == Role::Administrator
}

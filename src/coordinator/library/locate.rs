//! Finding the node that a person or a program names, if it may see it.

use super::{Child, Lineage, Trashed};
use crate::coordinator::failure::Failure;
use crate::coordinator::networks::{self, Network, Site};
use crate::model::{AccountId, Fault, FaultKind, Kind, Name, NetworkId, NodeId, Permission, Reason, Role, Sequence};
use crate::store::{Read, ReadExt as _};

/// How a caller names a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRef {
    /// By its id.
    Id {
        /// The network's name.
        network: String,
        /// The node.
        node: NodeId,
    },
    /// By its path: `NETWORK/SITE` for the document library, `NETWORK/SITE/FOLDER/…/NAME` for what is in it.
    Path(String),
}

/// A node that the caller may read.
#[derive(Debug, Clone)]
pub struct Located {
    /// The node and what is above it.
    pub lineage: Lineage,
    /// The caller.
    pub account: AccountId,
    /// The caller's role in the site.
    pub role: Role,
    /// `NETWORK/SITE`.
    pub site_path: String,
}

/// A path, taken apart.
pub(super) struct Path {
    pub(super) network: NetworkId,
    pub(super) site: Site,
    pub(super) role: Role,
    pub(super) site_path: String,
    pub(super) names: Vec<Name>,
}

/// Finds a live node.
///
/// # Errors
/// [`FaultKind::NotFound`] when it is not there, or not for the account to see.
pub fn locate(read: &(impl Read + ?Sized), account: AccountId, node: &NodeRef) -> Result<Located, Failure> {
    match node {
        NodeRef::Id { network, node } => {
            let (network, record, _) = networks::visible(read, account, network)?;
            let found = by_id(read, account, network, &record, *node)?;
            if found.lineage.in_trash { Err(unknown().into()) } else { Ok(found) }
        }
        NodeRef::Path(text) => {
            let path = Path::parse(read, account, text)?;
            let (id, missing) = path.walk(read)?;
            if !missing.is_empty() {
                return Err(Fault::not_found(format!("there is no {text:?}, or it is not for you to see")).into());
            }
            let lineage = Lineage::read(read, path.network, id)?.ok_or_else(unknown)?;
            Ok(Located { lineage, account, role: path.role, site_path: path.site_path })
        }
    }
}

/// Finds the top of something in the trash.
pub(super) fn locate_trashed(
    read: &(impl Read + ?Sized),
    account: AccountId,
    network: &str,
    node: NodeId,
) -> Result<(Located, Trashed), Failure> {
    let (network, record, _) = networks::visible(read, account, network)?;
    let found = by_id(read, account, network, &record, node)?;
    match found.lineage.node.trashed {
        Some(trashed) => Ok((found, trashed)),
        None => Err(Fault::not_found("there is no such node in the trash, or it is not for you to see").into()),
    }
}

fn by_id(read: &(impl Read + ?Sized), account: AccountId, network: NetworkId, record: &Network, node: NodeId) -> Result<Located, Failure> {
    let lineage = Lineage::read(read, network, node)?.ok_or_else(unknown)?;
    let role = networks::role(read, network, lineage.site, account)?.ok_or_else(unknown)?;
    let site = networks::site(read, network, lineage.site)?;
    Ok(Located { lineage, account, role, site_path: format!("{}/{}", record.name, site.name) })
}

impl Path {
    /// Takes a path apart, if the account may see its site.
    pub(super) fn parse(read: &(impl Read + ?Sized), account: AccountId, text: &str) -> Result<Self, Failure> {
        let mut parts = text.trim_matches('/').split('/');
        let (Some(network), Some(site)) = (parts.next().filter(|part| !part.is_empty()), parts.next()) else {
            return Err(Fault::invalid("path", format!("{text:?} is not NETWORK/SITE or NETWORK/SITE/FOLDER")).into());
        };
        let name = |part| Name::new(part).map_err(|error| Fault::invalid("path", format!("{part:?} in {text:?}: {error}")));
        let names = parts.map(name).collect::<Result<_, _>>()?;
        let (network, record, _) = networks::visible(read, account, network)?;
        let (_, site, role) = networks::visible_site(read, network, account, site)?;
        let site_path = format!("{}/{}", record.name, site.name);
        Ok(Self { network, site, role, site_path, names })
    }

    /// Walks down as far as there is something, and returns where it got to and the names that are missing.
    pub(super) fn walk(&self, read: &(impl Read + ?Sized)) -> Result<(NodeId, &[Name]), Failure> {
        let mut at = self.site.library;
        for (index, name) in self.names.iter().enumerate() {
            match read.get::<Child>(&(self.network, at, name.folded()))? {
                Some(child) => at = child,
                None => return Ok((at, &self.names[index..])),
            }
        }
        Ok((at, &[]))
    }
}

impl Located {
    /// Refuses what the caller's role does not permit on the node.
    ///
    /// # Errors
    /// [`FaultKind::Denied`].
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        let own = self.lineage.node.created.by == self.account;
        if self.role.permits(permission, own) {
            return Ok(());
        }
        let what = match permission {
            Permission::Read => "read",
            Permission::Create => "create in",
            Permission::Change => "change",
            Permission::Delete => "delete",
            Permission::Manage | Permission::Administer => "manage",
        };
        Err(Fault::denied(format!("your role in the site does not permit to {what} {:?}", self.path())).because(Reason::TargetAccessDenied))
    }

    /// Returns the path `NETWORK/SITE/FOLDER/…/NAME`.
    #[must_use]
    pub fn path(&self) -> String {
        match self.lineage.path_in_library() {
            path if path.is_empty() => self.site_path.clone(),
            path => format!("{}/{path}", self.site_path),
        }
    }

    pub(in crate::coordinator) fn require_folder(&self) -> Result<(), Fault> {
        match self.lineage.node.kind {
            Kind::Folder => Ok(()),
            Kind::Document => Err(Fault::new(FaultKind::Precondition, format!("{:?} is a document, not a folder", self.path()))),
        }
    }

    pub(super) fn require_document(&self) -> Result<(), Fault> {
        match self.lineage.node.kind {
            Kind::Document => Ok(()),
            Kind::Folder => Err(Fault::new(FaultKind::Precondition, format!("{:?} is a folder, not a document", self.path()))),
        }
    }

    pub(super) fn require_no_library(&self) -> Result<(), Fault> {
        if self.lineage.is_library() {
            return Err(Fault::new(FaultKind::Precondition, "the document library of a site stays as and where it is"));
        }
        Ok(())
    }

    pub(super) fn require_etag(&self, etag: Option<Sequence>) -> Result<(), Fault> {
        match etag {
            Some(etag) if etag != self.lineage.node.etag() => {
                Err(Fault::new(FaultKind::Stale, format!("{:?} has changed since you read it: read it again", self.path())))
            }
            _ => Ok(()),
        }
    }
}

fn unknown() -> Fault {
    Fault::not_found("there is no such node, or it is not for you to see")
}

//! The record of a document or folder.

use serde::{Deserialize, Serialize};

use crate::model::{
    AccountId, ContentRef, Kind, Name, NetworkId, NodeId, NodeState, PairingId, Place, Properties, Revisions, Sequence, SetId, SiteId,
    TargetNode, Timestamp,
};
use crate::store::{Record, Table};

/// What holds a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// Nothing: it is the document library of this site.
    Site(SiteId),
    /// A folder.
    Folder(NodeId),
}

/// What a node says about membership for itself and all that is in it, up to where another one says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Marker {
    /// It is a direct member of the set. Void once the set has ended.
    DirectMember {
        /// The set.
        set: SetId,
        /// The pairing, as the agent named it.
        pairing: PairingId,
    },
    /// It was taken out of the set where it is. Void once it lies where that set does not reach, or the set has ended.
    Released {
        /// The set.
        set: SetId,
    },
}

/// Who did something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// Who; for what a sync did, the owner of its set.
    pub by: AccountId,
}

/// How a node got into the trash. Only the top of what was deleted has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    /// In whose trash it is.
    pub site: SiteId,
    /// Who deleted it, and when.
    pub deleted: Stamp,
    /// Whether a sync did.
    pub by_sync: bool,
}

/// A document or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Document or folder.
    pub kind: Kind,
    /// What holds it; in the trash, what held it.
    pub parent: Parent,
    /// Its name.
    pub name: Name,
    /// What it holds; a document always has content.
    pub content: Option<ContentRef>,
    /// Its synced properties.
    pub properties: Properties,
    /// When each facet last changed.
    pub revisions: Revisions,
    /// Made.
    pub created: Stamp,
    /// Last changed.
    pub modified: Stamp,
    /// The number of its newest version; 0 for a folder.
    pub version: u32,
    /// What it says about membership.
    pub marker: Option<Marker>,
    /// Set while it is the top of something in the trash.
    pub trashed: Option<Trashed>,
}

impl Record for Node {
    const TABLE: Table = Table::Node;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, NodeId);
    type Value = Self;
}

impl Node {
    /// Makes the document library of a site.
    #[must_use]
    pub fn library(site: SiteId, name: Name, by: AccountId, at: Timestamp) -> Self {
        let stamp = Stamp { at, by };
        Self {
            kind: Kind::Folder,
            parent: Parent::Site(site),
            name,
            content: None,
            properties: Properties::default(),
            revisions: Revisions::default(),
            created: stamp,
            modified: stamp,
            version: 0,
            marker: None,
            trashed: None,
        }
    }

    /// Returns what a caller names to change only what it has seen: it grows with every change of the node.
    #[must_use]
    pub fn etag(&self) -> Sequence {
        self.revisions.newest()
    }

    /// Whether it is a direct member of a set, that may have ended since.
    #[must_use]
    pub const fn is_direct_member(&self) -> bool {
        matches!(self.marker, Some(Marker::DirectMember { .. }))
    }

    /// Returns the node as an agent sees it: where a direct member lies is not told.
    #[must_use]
    pub fn target(&self, id: NodeId) -> TargetNode {
        let parent = match self.parent {
            Parent::Folder(folder) if !self.is_direct_member() => Some(folder),
            Parent::Folder(_) | Parent::Site(_) => None,
        };
        TargetNode {
            node: id,
            state: NodeState {
                kind: self.kind,
                place: Place { parent, name: self.name.clone() },
                content: self.content,
                properties: self.properties.clone(),
            },
            revisions: self.revisions.clone(),
        }
    }
}

//! Sync sets: what one person asked to be kept in step, with which options.

use serde::{Deserialize, Serialize};

use super::{AccountId, AgentId, Name, NetworkId, NodeId, SetId};

/// Whether a set holds documents or one folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SetShape {
    /// One or several documents, each a direct member.
    Documents,
    /// One folder, the direct member, and what is in it.
    Folder {
        /// Whether its subfolders are members too. If not, only the documents right in it are.
        subfolders: bool,
    },
}

/// What the person chose when making the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetOptions {
    /// The source copies are read-only for people until unsync. Off by default.
    pub lock_source: bool,
    /// People in the cloud may delete synced content, and a delete at the source deletes the target's copy. On by default.
    pub delete_on_cloud: bool,
    /// A delete in the cloud deletes the source copy. Off by default; needs `delete_on_cloud`.
    pub delete_source: bool,
}

impl Default for SetOptions {
    fn default() -> Self {
        Self { lock_source: false, delete_on_cloud: true, delete_source: false }
    }
}

impl SetOptions {
    /// Whether the options agree with one another: `delete_source` needs `delete_on_cloud`.
    #[must_use]
    pub const fn are_consistent(self) -> bool {
        self.delete_on_cloud || !self.delete_source
    }
}

/// A sync set's definition, as both sides keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSet {
    /// Its identity.
    pub id: SetId,
    /// The network of its target.
    pub network: NetworkId,
    /// The agent that holds the source.
    pub agent: AgentId,
    /// The account that made it; pushes act as this account.
    pub owner: AccountId,
    /// The folder in the cloud that holds the direct members.
    pub target_folder: NodeId,
    /// Documents or a folder.
    pub shape: SetShape,
    /// The choices.
    pub options: SetOptions,
    /// What lists call it: the name of its folder or first document at creation.
    pub name: Name,
}

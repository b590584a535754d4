//! What is in the cloud, read from the coordinator's records: for people who pick something, and for the checks.

use std::collections::{BTreeMap, BTreeSet};

use skybridge::coordinator::Context;
use skybridge::coordinator::library::{Node, Parent, Version};
use skybridge::model::{ContentRef, Kind, NetworkId, NodeId};
use skybridge::store::{ReadExt as _, StoreError};

use super::coordinator::NETWORK;
use super::ledger::{Root, key};

/// No library is as deep as this: a circle is left, and found by its absence.
const DEPTH_MAX: usize = 100;

/// A node that is not in the trash.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) id: NodeId,
    /// `network/site/…`.
    pub(super) path: String,
    pub(super) node: Node,
}

/// All that is in the cloud.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) live: Vec<Live>,
    /// The tops of what is in the trash.
    pub(super) trashed: Vec<NodeId>,
    /// All contents that any document has or had, wherever it is.
    pub(super) versions: Vec<(NodeId, ContentRef)>,
    /// Those of them in whose place the same document has another one by now, or which a person deleted with something above them.
    pub(super) ended: BTreeSet<Root>,
    /// What documents hold that a sync deleted, alone or with something above them.
    pub(super) deleted_by_sync: BTreeSet<Root>,
}

impl Library {
    pub(super) fn read(context: &Context, network: NetworkId, sites: &BTreeMap<NodeId, String>) -> Result<Self, StoreError> {
        context.store.read(|read| {
            let nodes = read.scan::<Node>(&(network,), None, usize::MAX)?;
            let versions = read.scan::<Version>(&(network,), None, usize::MAX)?;
            let nodes: BTreeMap<NodeId, Node> = nodes.into_iter().map(|((_, id), node)| (id, node)).collect();
            let mut library = Self::default();
            for (id, node) in &nodes {
                if node.trashed.is_some() {
                    library.trashed.push(*id);
                }
                if let Some(path) = path(&nodes, sites, *id) {
                    library.live.push(Live { id: *id, path, node: node.clone() });
                }
            }
            let newest = |id: &NodeId| nodes.get(id).map(|node| node.version);
            let superseded = |id: &NodeId, number: u32| newest(id).is_some_and(|newest| number < newest);
            let by_person = |id: &NodeId| is_deleted_by_sync(&nodes, *id) == Some(false);
            let ended = versions.iter().filter(|((_, id, number), _)| superseded(id, *number) || by_person(id));
            library.ended = ended.map(|(_, version)| key(&version.content.root)).collect();
            let by_sync = nodes.iter().filter(|(id, _)| is_deleted_by_sync(&nodes, **id) == Some(true));
            library.deleted_by_sync = by_sync.filter_map(|(_, node)| node.content.map(|content| key(&content.root))).collect();
            library.versions = versions.into_iter().map(|((_, id, _), version)| (id, version.content)).collect();
            Ok(library)
        })
    }

    pub(super) fn of_kind(&self, kind: Kind) -> Vec<&Live> {
        self.live.iter().filter(|live| live.node.kind == kind).collect()
    }
}

/// Whether a sync deleted it, or a person; none if nobody did.
fn is_deleted_by_sync(nodes: &BTreeMap<NodeId, Node>, id: NodeId) -> Option<bool> {
    let mut at = id;
    for _ in 0..DEPTH_MAX {
        let node = nodes.get(&at)?;
        match (&node.trashed, node.parent) {
            (Some(trashed), _) => return Some(trashed.by_sync),
            (None, Parent::Folder(folder)) => at = folder,
            (None, Parent::Site(_)) => return None,
        }
    }
    None
}

fn path(nodes: &BTreeMap<NodeId, Node>, sites: &BTreeMap<NodeId, String>, id: NodeId) -> Option<String> {
    let mut names = Vec::new();
    let mut at = id;
    for _ in 0..DEPTH_MAX {
        let node = nodes.get(&at).filter(|node| node.trashed.is_none())?;
        match node.parent {
            Parent::Folder(folder) => {
                names.push(node.name.as_str().to_owned());
                at = folder;
            }
            Parent::Site(_) => {
                names.push(sites.get(&at)?.clone());
                names.push(NETWORK.to_owned());
                names.reverse();
                return Some(names.join("/"));
            }
        }
    }
    None
}

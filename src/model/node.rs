//! Documents and folders: their facets, and the revisions at which these last changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContentRef, Name, NodeId, Properties, Property, Sequence};

/// What a node is. Anything else is pushed as the nearer of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `cm:content`.
    Document,
    /// `cm:folder`.
    Folder,
}

/// Where a node is: the facet that a rename or a move changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The member folder that holds it. `None` for a direct member: where that one lies is not synced, only its name.
    pub parent: Option<NodeId>,
    /// Its name.
    pub name: Name,
}

/// The synced state of a node on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Document or folder; never changes for one id.
    pub kind: Kind,
    /// Where it is.
    pub place: Place,
    /// What it holds; `None` for a folder, always `Some` for a document.
    pub content: Option<ContentRef>,
    /// Its synced properties.
    pub properties: Properties,
}

/// The journal sequence at which each facet last changed. These are what a push builds on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Revisions {
    /// Made, restored or re-entered the set.
    pub existence: Sequence,
    /// Renamed or moved.
    pub place: Sequence,
    /// New content.
    pub content: Sequence,
    /// Each property that was ever set since the node was made, removed ones included.
    pub properties: BTreeMap<Property, Sequence>,
}

impl Revisions {
    /// All facets at one sequence, as for a node just made.
    #[must_use]
    pub fn all_at(sequence: Sequence, properties: &Properties) -> Self {
        Self {
            existence: sequence,
            place: sequence,
            content: sequence,
            properties: properties.iter().map(|(property, _)| (property, sequence)).collect(),
        }
    }

    /// Returns the revision of one property; [`Sequence::ZERO`] when it never was set.
    #[must_use]
    pub fn property(&self, property: Property) -> Sequence {
        self.properties.get(&property).copied().unwrap_or_default()
    }

    /// Returns the newest of all.
    #[must_use]
    pub fn newest(&self) -> Sequence {
        let properties = self.properties.values().copied().max().unwrap_or_default();
        self.existence.max(self.place).max(self.content).max(properties)
    }
}

/// A node as the coordinator shows it to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetNode {
    /// Its identity.
    pub node: NodeId,
    /// Its synced state.
    pub state: NodeState,
    /// What to name in a push that builds on this state.
    pub revisions: Revisions,
}

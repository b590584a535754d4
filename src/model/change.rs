//! What moves between the two sides: operations up, journal entries down.

use serde::{Deserialize, Serialize};

use super::{ContentRef, Name, NodeId, NodeState, OpId, PairingId, Place, Property, Reason, Revisions, Sequence, SetId, TargetNode, Value};

/// A property set or removed by a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyChange {
    /// The property.
    pub property: Property,
    /// The new value; `None` removes it.
    pub value: Option<Value>,
    /// The revision that the change builds on.
    pub base: Sequence,
}

/// What an operation asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// Makes a node. `place.parent` is `None` for a direct member, which is made in the set's target folder.
    Create(NodeState),
    /// Changes facets of a node; at least one.
    Update {
        /// New content, and the content revision that it builds on.
        content: Option<(ContentRef, Sequence)>,
        /// A rename or move, and the place revision that it builds on.
        place: Option<(Place, Sequence)>,
        /// Changed properties.
        properties: Vec<PropertyChange>,
    },
    /// Moves a node, and of a folder all that is in it, to the trash.
    Delete {
        /// No facet of anything in the subtree may be newer than this; else nothing is deleted.
        through: Sequence,
    },
    /// Takes a node, and of a folder all that is in it, out of the set. The target's copy stays.
    Release {
        /// If given, no facet of it or of any member in it may be newer than this; else nothing is released.
        through: Option<Sequence>,
    },
    /// Makes an existing node of the target folder a direct member, with what is in it (adoption at the first sync).
    Pair {
        /// For a document, the content that it must hold now.
        content: Option<ContentRef>,
    },
}

/// One step that an agent asks the coordinator to take. Repeating it with the same id has no second effect and gets the first answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its identity.
    pub op: OpId,
    /// The set on whose behalf it is done.
    pub set: SetId,
    /// The node that it is about; for a create, the id that the agent minted.
    pub node: NodeId,
    /// The pairing under which it is done.
    pub pairing: PairingId,
    /// What to do.
    pub push: Push,
}

/// Why an operation was not done. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A facet moved on. The journal brings, or has brought, the newer state.
    Stale,
    /// The name is held by another node there.
    NameTaken {
        /// The holder, when the caller may see it.
        holder: Option<NodeId>,
    },
    /// The node or its parent is not in the set (any more).
    Missing,
    /// A delete of a folder that holds what is not in the set.
    NotEmpty,
    /// The id of a node to be made is, or was, that of another: mint a new one.
    IdInUse,
    /// Chunks of the content are absent: send them and ask again with the same id.
    ContentMissing,
    /// For this reason, that a person can understand.
    Because(Reason, String),
}

/// The answer to an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, durably, at this journal sequence.
    Done(Sequence),
    /// Not done.
    Refused(Refusal),
}

/// How a node left a set, or the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Departure {
    /// Moved to the trash.
    Deleted,
    /// Moved to where the set does not reach; it lives on.
    MovedOut,
    /// Taken out of the set where it is.
    Released,
}

/// What one journal entry means to one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The node is in the set with this state.
    Present(TargetNode),
    /// The node entered the set with this state: made, moved in, restored, paired. If `lists` its subtree must be listed.
    Entered {
        /// The node.
        node: TargetNode,
        /// Whether there is something beneath that no entry of its own announces.
        lists: bool,
    },
    /// The node, and of a folder everything beneath, left the set.
    Left {
        /// The node.
        node: NodeId,
        /// How.
        departure: Departure,
    },
}

/// One change of a network's library, seen from one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place in the network's journal.
    pub sequence: Sequence,
    /// The operation that made it, when an agent did.
    pub op: Option<OpId>,
    /// What happened.
    pub change: Change,
}

impl Change {
    /// Returns the node that it is about.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        match self {
            Self::Present(node) | Self::Entered { node, .. } => node.node,
            Self::Left { node, .. } => *node,
        }
    }

    /// Returns the node's name where the change carries it.
    #[must_use]
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::Present(node) | Self::Entered { node, .. } => Some(&node.state.place.name),
            Self::Left { .. } => None,
        }
    }

    /// Returns the revisions that it carries.
    #[must_use]
    pub const fn revisions(&self) -> Option<&Revisions> {
        match self {
            Self::Present(node) | Self::Entered { node, .. } => Some(&node.revisions),
            Self::Left { .. } => None,
        }
    }
}

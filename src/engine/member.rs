//! What the planner knows of one node, and how it looks around it.

use serde::{Deserialize, Serialize};

use crate::model::{Departure, FoldedName, NodeId, NodeState, Reason, Sequence, SetOptions, TargetNode};

/// A node of a sync set in the three trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub node: NodeId,
    /// What the repository last showed.
    pub source: Source,
    /// What the coordinator last said.
    pub target: Target,
    /// The last state in which both were known to be equal.
    pub base: Option<NodeState>,
    /// The step under way, if any. There is one at a time.
    pub activity: Activity,
    /// The coordinator refused to delete this folder because it holds what is not in the set: its members go one by one, it stays.
    pub shallow: bool,
    /// It stands aside at the source: out of its folder for a moment, while a ring of moves is sorted out. It holds no name there.
    pub aside: bool,
}

/// A node as the repository showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceNode {
    /// Its state. Its properties mean nothing unless `properties_known`.
    pub state: NodeState,
    /// Whether the properties were seen. An editor that saves by rename leaves a new inode without any: what is not known counts as
    /// unchanged, and is written back from base.
    pub properties_known: bool,
    /// Why it cannot be synced as it is now, such as that it cannot be read.
    pub problem: Option<(Reason, String)>,
}

/// The source tree's knowledge of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// It cannot be told whether it is there.
    Unknown,
    /// It is not there, by positive evidence; or it never was.
    Absent,
    /// It is there.
    Present(SourceNode),
}

/// The target tree's knowledge of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The coordinator never spoke of it.
    Never,
    /// It left the set, by an entry of the journal.
    Absent(Departure),
    /// It is there.
    Present(TargetNode),
}

/// What is being done about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// Nothing.
    Idle,
    /// A push that makes it is under way.
    Creating,
    /// Another push is under way.
    Pushing,
    /// The source is being changed.
    Applying,
}

/// Why a whole set cannot be planned right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsettled {
    /// The source was not looked through completely, or cannot be seen.
    Source,
    /// The coordinator's state of the set is not known completely.
    Target,
}

/// How the planner looks around a node. All of it is of one sync set, and consistent for the time of one plan.
pub trait TreeView {
    /// What went wrong while reading.
    type Error;

    /// Returns a node.
    ///
    /// # Errors
    /// When it cannot be read.
    fn member(&self, node: NodeId) -> Result<Option<Member>, Self::Error>;

    /// Lists who holds a folded name at the source beneath a folder (`None`: among the direct members). At the source several may.
    ///
    /// # Errors
    /// When it cannot be read.
    fn source_holders(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Vec<NodeId>, Self::Error>;

    /// Returns who holds a folded name at the target.
    ///
    /// # Errors
    /// When it cannot be read.
    fn target_holder(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Option<NodeId>, Self::Error>;

    /// Whether a folder has children at the source.
    ///
    /// # Errors
    /// When it cannot be read.
    fn has_source_children(&self, parent: NodeId) -> Result<bool, Self::Error>;

    /// Lists a folder's children at the target.
    ///
    /// # Errors
    /// When it cannot be read.
    fn target_children(&self, parent: NodeId) -> Result<Vec<NodeId>, Self::Error>;

    /// Returns one of what the target has in a folder and the source in another set: somebody moved it there, and the target has yet to follow.
    ///
    /// # Errors
    /// When it cannot be read.
    fn target_guest(&self, parent: NodeId) -> Result<Option<NodeId>, Self::Error>;

    /// Returns the set's options.
    fn options(&self) -> SetOptions;

    /// Returns up to where the coordinator's journal is known: what a delete names as the newest state that it was planned on.
    fn known_through(&self) -> Sequence;

    /// Says why nothing can be planned now, if so.
    fn unsettled(&self) -> Option<Unsettled>;
}

impl Member {
    /// A node that is known only by its id.
    #[must_use]
    pub const fn new(node: NodeId) -> Self {
        Self { node, source: Source::Absent, target: Target::Never, base: None, activity: Activity::Idle, shallow: false, aside: false }
    }

    /// Returns the source state, if it is there.
    #[must_use]
    pub const fn source_node(&self) -> Option<&SourceNode> {
        match &self.source {
            Source::Present(node) => Some(node),
            Source::Unknown | Source::Absent => None,
        }
    }

    /// Returns the target state, if it is there.
    #[must_use]
    pub const fn target_node(&self) -> Option<&TargetNode> {
        match &self.target {
            Target::Present(node) => Some(node),
            Target::Never | Target::Absent(_) => None,
        }
    }

    /// Whether nothing bound it to the other side so far: it is on one side alone and never was equal.
    #[must_use]
    pub const fn is_unpaired(&self) -> bool {
        self.base.is_none() && !(matches!(self.source, Source::Present(_)) && matches!(self.target, Target::Present(_)))
    }
}

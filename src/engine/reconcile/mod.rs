//! The planner: the next step for one node, from three trees.
//!
//! # The decision table: existence
//!
//! | base | source | target | step |
//! | --- | --- | --- | --- |
//! | – | absent | never, absent | forget it |
//! | – | present | never | push: create, or adopt what has the same name there and is equal |
//! | – | present | absent | hold `TARGET_NO_LONGER_EXISTS` |
//! | – | absent | present | apply: create |
//! | – | present | present | merge the facets, as if base were empty |
//! | yes | present | present | merge the facets |
//! | yes | absent | present, as in base | push: delete; release, if content may not be deleted on cloud; apply: create, if the set is locked |
//! | yes | absent | present, changed | apply: create. The edit survives the delete |
//! | yes | present, as in base | deleted | hold `DELETED_ON_CLOUD`; apply: delete, if the source follows |
//! | yes | present, changed | deleted | hold `TARGET_NO_LONGER_EXISTS`. The edit survives the delete |
//! | yes | present | moved out, released | hold: kept here, no longer in the set |
//! | yes | absent | absent | forget it |
//! | any | unknown | any | hold `SOURCE_UNKNOWN` |
//! | any | present, with a problem | any | hold for that |
//!
//! A folder is deleted in the cloud, or released, in one step, if nothing in it survives and nothing in it still moves; what is in it waits for
//! that step.
//! At the source a folder is deleted once nothing is left in it.
//!
//! # The decision table: content, place, each property
//!
//! | source | target | step |
//! | --- | --- | --- |
//! | as base | as base | none |
//! | changed | as base | push |
//! | as base | changed | apply |
//! | changed | changed, to the same | record |
//! | changed | changed | apply: the target wins; of content, the source's version is kept as a conflict |
//!
//! In a set that locks its source copies, a change at the source counts as a conflict that the target wins, and its content is kept; but what
//! comes into it from another set is pushed like what is new.
//! Of a place, folder and name are merged apart: a move here and a rename there both happen. Two moves that together would put a folder into
//! itself are a conflict of the whole place.

mod existence;
mod facets;
mod names;
#[cfg(test)]
pub(crate) mod tests;

pub use facets::source_changed;

use serde::{Deserialize, Serialize};

use super::{Activity, Member, Source, Target, TreeView, Unsettled};
use crate::model::{ContentRef, FoldedName, NodeId, NodeState, Place, Property, Push, Reason, Value};

/// The next step for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the coordinator for this.
    Push(Push),
    /// Do this at the source.
    Apply(Apply),
    /// Both sides are equal in more than base says: move base. No content moves.
    Record(NodeState),
    /// Join what is here under this node with what is there under another: same name, nothing to transfer.
    Adopt {
        /// The node that the target has. It takes over the source side of the planned one.
        target: NodeId,
    },
    /// Nothing is left of it on either side.
    Forget,
    /// Nothing can be done now.
    Hold(Hold),
    /// Both sides are equal, or a step is under way.
    Rest,
}

/// A change of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Apply {
    /// Make the node.
    Create(NodeState),
    /// Change facets of the node; at least one.
    Update {
        /// New content.
        content: Option<ContentRef>,
        /// A rename or a move.
        place: Option<Place>,
        /// Properties to set or, without a value, to remove.
        properties: Vec<(Property, Option<Value>)>,
        /// What it replaces was changed too, so its content is kept as a conflict.
        conflict: bool,
    },
    /// Take it out of its folder for a moment, because it holds a name that a ring of moves needs. Its place in the source tree stays what
    /// it was, but it holds no name; a later update gives it its new one.
    StepAside,
    /// Make it read-only for people. Not planned here: whoever runs the plan adds it when all else rests.
    Protect,
    /// Remove it; its content goes to the version store.
    Delete,
}

/// Why a node stands still, and what ends that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What people see. `None`: it is merely not its turn.
    pub reason: Option<Reason>,
    /// More about this case, for a person.
    pub detail: String,
    /// What makes it worth planning again.
    pub waits: Waits,
}

/// What a hold waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waits {
    /// A change of the node itself, on either side, or a person.
    Itself,
    /// Any change of another node.
    Node(NodeId),
    /// A change of who holds this name at the source or the target.
    Name(Option<NodeId>, FoldedName),
    /// The set as a whole.
    Set,
    /// What the brake says of all deletes together. Not planned here: whoever runs the plan adds it.
    Brake {
        /// Of those that would be pushed; else of those that would be made at the source.
        at_target: bool,
    },
}

impl Hold {
    fn turn(waits: Waits) -> Step {
        Step::Hold(Self { reason: None, detail: String::new(), waits })
    }

    fn because(reason: Reason, detail: impl Into<String>, waits: Waits) -> Step {
        Step::Hold(Self { reason: Some(reason), detail: detail.into(), waits })
    }
}

/// Names the next step for `member`.
///
/// Pure: the same view gives the same step. The step for one node never needs the step of another in the same batch to be done first,
/// except that a push that creates a node may follow, in the same stream, the push that creates its folder.
///
/// # Errors
/// Only those of the view.
pub fn reconcile<V: TreeView>(view: &V, member: &Member) -> Result<Step, V::Error> {
    match view.unsettled() {
        Some(Unsettled::Source) => return Ok(Hold::because(Reason::SourceUnknown, "", Waits::Set)),
        Some(Unsettled::Target) => return Ok(Hold::turn(Waits::Set)),
        None => {}
    }
    if member.activity != Activity::Idle {
        return Ok(Step::Rest);
    }
    match (&member.source, &member.target) {
        (Source::Unknown, _) => Ok(Hold::because(Reason::SourceUnknown, "", Waits::Itself)),
        (Source::Present(source), _) if source.problem.is_some() => Ok(problem(source)),
        (Source::Present(source), Target::Present(target)) => facets::merge(view, member, source, target),
        (Source::Present(source), Target::Never) => existence::only_source(view, member, source),
        (Source::Present(source), Target::Absent(departure)) => existence::gone_at_target(view, member, source, *departure),
        (Source::Absent, Target::Present(target)) => existence::only_target(view, member, target),
        (Source::Absent, Target::Never | Target::Absent(_)) => Ok(Step::Forget),
    }
}

fn problem(source: &super::SourceNode) -> Step {
    match &source.problem {
        Some((reason, detail)) => Hold::because(*reason, detail.clone(), Waits::Itself),
        None => Step::Rest,
    }
}

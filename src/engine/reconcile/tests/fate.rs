//! What becomes of each node, told from the state of both sides before anything is planned: written apart from the planner.

use super::case::Case;
use super::world::World;
use crate::engine::{Member, Source, Target};
use crate::model::{Departure, NodeId, NodeState};

/// Checks what became of every node that both sides had.
pub(super) fn check(case: &Case, is_racy: bool, before: &World, after: &World) {
    let is_in_trouble = |member: &Member| match &member.source {
        Source::Unknown => true,
        Source::Present(source) => source.problem.is_some(),
        Source::Absent => false,
    };
    if before.agent.rows.values().any(|row| is_in_trouble(&row.member)) {
        return;
    }
    if is_racy && case.is_slow {
        return;
    }
    for (node, row) in &before.agent.rows {
        if let Some(base) = &row.member.base
            && before.cloud.docs[node].state.place.parent.is_none_or(|parent| before.cloud.docs.contains_key(&parent))
            && (base.content.is_some() || is_empty(before, *node))
            && let Some(ending) = Ending::new(case, before, &row.member, base)
        {
            ending.check(after, *node);
        }
    }
}

/// Whether nothing is in a folder, on either side.
fn is_empty(world: &World, folder: NodeId) -> bool {
    let within = |state: Option<&NodeState>| state.is_some_and(|state| state.place.parent == Some(folder));
    world.agent.rows.values().map(|row| &row.member).all(|member| {
        !within(member.source_node().map(|source| &source.state)) && !within(member.target_node().map(|target| &target.state))
    })
}

/// What a node comes to.
#[derive(Debug)]
enum Ending {
    /// It is on neither side.
    Gone,
    /// It is at the source alone.
    Here(NodeState),
    /// It is at the target alone, which keeps it outside of the set.
    There,
    /// It is on both sides.
    Both(NodeState, Option<NodeState>),
}

impl Ending {
    /// Returns nothing where the order decides: an edit in the cloud that is not seen before its node is released is released as well, and one
    /// that gets past the lock, or loses to one in the cloud, may be taken back before its node is seen to be deleted.
    fn new(case: &Case, world: &World, member: &Member, base: &NodeState) -> Option<Self> {
        let (options, node) = (case.options, member.node);
        let here = member.source_node();
        let there = world.cloud.is_member(node).then(|| &world.cloud.docs[&node].state);
        let is_edited = here.is_some_and(|source| {
            let state = &source.state;
            let properties = if source.properties_known { &state.properties } else { &base.properties };
            (&state.place, state.content, properties) != (&base.place, base.content, &base.properties)
        });
        Some(match (here, there) {
            (None, None) => Self::Gone,
            (None, Some(there)) if there == base && !options.lock_source && options.delete_on_cloud => Self::Gone,
            (None, Some(there)) if there == base && !options.lock_source => Self::There,
            (None, Some(_)) if world.is_slow && !options.delete_on_cloud => return None,
            (None, Some(there)) => Self::Both(there.clone(), None),
            (Some(_), None) if !is_edited && options.delete_source && departure(world, node) == Some(Departure::Deleted) => Self::Gone,
            (Some(_), None) if options.lock_source && is_edited => return None,
            (Some(_), None) if is_edited && world.cloud.docs[&node].state != *base => return None,
            (Some(here), None) => Self::Here(here.state.clone()),
            (Some(here), Some(there)) => {
                let is_theirs = options.lock_source || there.content != base.content;
                let content = if is_theirs { there.content } else { here.state.content };
                let is_lost = here.state.content != content && here.state.content != base.content;
                let state = NodeState { content, ..there.clone() };
                Self::Both(state, is_lost.then(|| here.state.clone()))
            }
        })
    }

    fn check(&self, after: &World, node: NodeId) {
        let key = after.agent.rows.get(&node).and_then(|row| row.key);
        let here = key.map(|key| after.disk.items[&key].content);
        let there = after.cloud.is_member(node).then(|| after.cloud.docs[&node].state.content);
        let is_explained = after.is_explained(node);
        let is_so = match self {
            Self::Gone => here.is_none() && there.is_none(),
            Self::There => here.is_none() && there.is_none() && !after.cloud.docs[&node].trashed,
            Self::Here(state) => here == Some(state.content) && there.is_none(),
            Self::Both(state, lost) => {
                let lost = lost.as_ref().and_then(|state| state.content);
                assert!(lost.is_none_or(|lost| after.conflicts.contains(lost.root.as_bytes())), "a conflict is not kept: {node}");
                here == Some(state.content) && there == Some(state.content)
            }
        };
        assert!(is_so || is_explained, "{node} should have come to {self:#?}, but is {here:?} and {there:?}");
    }
}

/// How a node left the set: by itself, or with the folder that it was in.
fn departure(world: &World, node: NodeId) -> Option<Departure> {
    let mut at = Some(node);
    while let Some(node) = at {
        if let Some(Target::Absent(departure)) = world.agent.rows.get(&node).map(|row| &row.member.target) {
            return Some(*departure);
        }
        at = world.cloud.docs.get(&node).and_then(|doc| doc.state.place.parent);
    }
    None
}

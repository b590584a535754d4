//! Who holds a name that a node wants, and what can be done about it.
//!
//! The holder may be about to leave: then it is waited for. A ring of nodes that each want the next one's name is opened by the one with the
//! least id, which steps aside. Whatever stays is a clash.

use super::{Apply, Hold, Step, Waits, facets};
use crate::engine::{Activity, Member, Source, Target, TreeView};
use crate::model::{Departure, Name, NodeId, Place, Push, Reason};

/// The longest chain of nodes, each wanting the next one's name, that is followed. Longer ones settle from their end, link by link.
const CHAIN_MAX: usize = 64;
/// Folders are not nested deeper than this; a walk up that goes on is a fault in the trees and ends.
const DEPTH_MAX: usize = 4_096;

/// A tree in which something takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

/// What stands in the way of a node that wants a place.
enum Obstacle {
    Nothing,
    /// It leaves by itself.
    Leaving(NodeId),
    /// It stays.
    Staying(Member),
    /// The ring closes on the node itself, and this is its least id.
    Ring(NodeId),
}

/// Where a node on one side will be once both agree, as far as can be told from the node alone.
enum Intent {
    Stay,
    Move(Place),
    Leave,
}

/// Returns the other node that holds the name at the target.
pub(super) fn target_holder<V: TreeView>(view: &V, place: &Place, node: NodeId) -> Result<Option<Member>, V::Error> {
    holder(view, Side::Target, place, node)
}

/// What a node that is not yet at the target does about a holder that it cannot adopt.
pub(super) fn wait_for_target<V: TreeView>(view: &V, node: NodeId, place: &Place, _: &Member) -> Result<Step, V::Error> {
    Ok(match obstacle(view, Side::Target, node, place)? {
        Obstacle::Leaving(other) | Obstacle::Ring(other) => Hold::turn(Waits::Node(other)),
        Obstacle::Staying(other) => clash(place, &other),
        Obstacle::Nothing => Hold::turn(Waits::Itself),
    })
}

/// What a node that is not yet at the source waits for, if its name is taken there.
pub(super) fn wait_for_source<V: TreeView>(view: &V, node: NodeId, place: &Place) -> Result<Option<Step>, V::Error> {
    Ok(match obstacle(view, Side::Source, node, place)? {
        Obstacle::Nothing => None,
        Obstacle::Leaving(other) | Obstacle::Ring(other) => Some(Hold::turn(Waits::Node(other))),
        Obstacle::Staying(other) => Some(clash(place, &other)),
    })
}

/// The place that a node at the source can take now, or the step that it takes instead.
pub(super) fn step_aside_at_source<V: TreeView>(view: &V, node: NodeId, place: &Place) -> Result<Result<Place, Step>, V::Error> {
    Ok(match obstacle(view, Side::Source, node, place)? {
        Obstacle::Nothing => Ok(place.clone()),
        Obstacle::Leaving(other) => Err(Hold::turn(Waits::Node(other))),
        Obstacle::Staying(other) => Err(clash(place, &other)),
        Obstacle::Ring(least) if least == node => Err(Step::Apply(Apply::StepAside)),
        Obstacle::Ring(least) => Err(Hold::turn(Waits::Node(least))),
    })
}

/// The place that a node at the target can take now, or the step that it takes instead.
pub(super) fn step_aside_at_target<V: TreeView>(view: &V, node: NodeId, place: &Place) -> Result<Result<Place, Step>, V::Error> {
    Ok(match obstacle(view, Side::Target, node, place)? {
        Obstacle::Nothing => Ok(place.clone()),
        Obstacle::Leaving(other) => Err(Hold::turn(Waits::Node(other))),
        Obstacle::Staying(other) => Err(clash(place, &other)),
        Obstacle::Ring(least) if least == node => Err(aside_at_target(view, node)?),
        Obstacle::Ring(least) => Err(Hold::turn(Waits::Node(least))),
    })
}

/// Whether `folder` lies beneath `node`, or is it.
pub(super) fn is_beneath<V: TreeView>(view: &V, folder: NodeId, node: NodeId, side: Side) -> Result<bool, V::Error> {
    Ok(path_to(view, folder, node, side)?.is_some())
}

/// The nodes from `folder` up to just below `node`, if it lies beneath it.
pub(super) fn path_to<V: TreeView>(view: &V, folder: NodeId, node: NodeId, side: Side) -> Result<Option<Vec<Member>>, V::Error> {
    let (mut at, mut path) = (folder, Vec::new());
    while at != node && path.len() < DEPTH_MAX {
        let Some(member) = view.member(at)? else { return Ok(None) };
        let Some(parent) = current(&member, side).and_then(|place| place.parent) else { return Ok(None) };
        path.push(member);
        at = parent;
    }
    Ok((at == node).then_some(path))
}

fn clash(place: &Place, holder: &Member) -> Step {
    let detail = format!("The name {:?} is held by {}.", place.name, holder.node);
    Hold::because(Reason::NameClash, detail, Waits::Name(place.parent, place.name.folded()))
}

fn holder<V: TreeView>(view: &V, side: Side, place: &Place, node: NodeId) -> Result<Option<Member>, V::Error> {
    let folded = place.name.folded();
    let holder = match side {
        Side::Target => view.target_holder(place.parent, &folded)?,
        Side::Source => view.source_holders(place.parent, &folded)?.into_iter().find(|other| *other != node),
    };
    match holder.filter(|other| *other != node) {
        Some(other) => view.member(other),
        None => Ok(None),
    }
}

fn obstacle<V: TreeView>(view: &V, side: Side, node: NodeId, place: &Place) -> Result<Obstacle, V::Error> {
    let Some(first) = holder(view, side, place, node)? else { return Ok(Obstacle::Nothing) };
    let mut chain = vec![node, first.node];
    let mut at = first.clone();
    loop {
        let wanted = match intent(view, &at, side) {
            _ if at.activity != Activity::Idle => return Ok(Obstacle::Leaving(first.node)),
            Intent::Leave => return Ok(Obstacle::Leaving(first.node)),
            Intent::Stay => return Ok(Obstacle::Staying(first)),
            Intent::Move(wanted) => wanted,
        };
        let Some(next) = holder(view, side, &wanted, at.node)? else { return Ok(Obstacle::Leaving(first.node)) };
        if next.node == node {
            return Ok(Obstacle::Ring(chain.into_iter().min().unwrap_or(node)));
        }
        if chain.contains(&next.node) || chain.len() >= CHAIN_MAX {
            return Ok(Obstacle::Leaving(first.node));
        }
        chain.push(next.node);
        at = next;
    }
}

fn current(member: &Member, side: Side) -> Option<&Place> {
    match side {
        Side::Source => member.source_node().map(|source| &source.state.place),
        Side::Target => member.target_node().map(|target| &target.state.place),
    }
}

fn intent<V: TreeView>(view: &V, member: &Member, side: Side) -> Intent {
    let Some(base) = &member.base else { return Intent::Stay };
    match (&member.source, &member.target, side) {
        (Source::Present(source), Target::Present(target), _) => {
            let (here, there) = (&source.state.place, &target.state.place);
            let locked = view.options().lock_source;
            let target_moved = *there != base.place || locked;
            match side {
                Side::Target if *here != base.place && !target_moved => Intent::Move(here.clone()),
                Side::Source if here != there && target_moved => Intent::Move(there.clone()),
                Side::Source | Side::Target => Intent::Stay,
            }
        }
        (Source::Absent, Target::Present(target), Side::Target) if target.state == *base && view.options().delete_on_cloud => Intent::Leave,
        (Source::Present(source), Target::Absent(Departure::Deleted), Side::Source)
            if view.options().delete_source && !facets::source_changed(base, source) =>
        {
            Intent::Leave
        }
        _ => Intent::Stay,
    }
}

/// Opens a ring at the target: the node takes a name of its own for a moment. Base follows, so the wanted name is pushed next.
fn aside_at_target<V: TreeView>(view: &V, node: NodeId) -> Result<Step, V::Error> {
    let member = view.member(node)?;
    let Some(target) = member.as_ref().and_then(Member::target_node) else { return Ok(Hold::turn(Waits::Itself)) };
    let Ok(name) = Name::new(format!("{node}.moving")) else { return Ok(Hold::turn(Waits::Itself)) };
    let place = Place { parent: target.state.place.parent, name };
    Ok(Step::Push(Push::Update { content: None, place: Some((place, target.revisions.place)), properties: Vec::new() }))
}

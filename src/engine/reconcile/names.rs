//! Who holds a name that a node wants, and what can be done about it.
//!
//! The holder may be about to leave: then it is waited for. Nodes can wait for one another in a circle: for a name, for a folder that is not
//! there yet, for a folder to get out of the very node that wants into it. Where a name is part of such a circle, its holder steps aside, and
//! the circle is open. Whatever stays is a clash.

use std::collections::BTreeSet;

use super::{Apply, Hold, Step, Waits, facets};
use crate::engine::{Activity, Member, Source, Target, TreeView};
use crate::model::{Departure, Name, NodeId, Place, Push, Reason, TargetNode};

/// The most nodes that are looked at for a circle of waiting.
const CIRCLE_MAX: usize = 64;
/// Folders are not nested deeper than this; a walk up that goes on is a fault in the trees and ends.
const DEPTH_MAX: usize = 4_096;

/// Stands between the node and its former name in the name of what stands aside at the target.
const ASIDE: &str = ".moving";
/// The highest number that tells what gets a name back from others of that name.
const NUMBER_MAX: u32 = 9;

/// A tree in which something takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

/// What stands in the way of a node that wants a place.
enum Obstacle {
    Nothing,
    /// It leaves by itself, or says why it cannot.
    Leaving(NodeId),
    /// It stays.
    Staying(Member),
}

/// Where a node on one side will be once both agree, whoever else may want that place.
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
pub(super) fn wait_for_target<V: TreeView>(view: &V, node: NodeId, place: &Place) -> Result<Step, V::Error> {
    Ok(match obstacle(view, Side::Target, node, place)? {
        Obstacle::Leaving(other) => Hold::turn(Waits::Node(other)),
        Obstacle::Staying(other) => clash(Side::Target, place, &other),
        Obstacle::Nothing => Hold::turn(Waits::Itself),
    })
}

/// What a node that is not yet at the source waits for, if its name is taken there.
pub(super) fn wait_for_source<V: TreeView>(view: &V, node: NodeId, place: &Place) -> Result<Option<Step>, V::Error> {
    Ok(match obstacle(view, Side::Source, node, place)? {
        Obstacle::Nothing => None,
        Obstacle::Leaving(other) => Some(Hold::turn(Waits::Node(other))),
        Obstacle::Staying(other) => Some(clash(Side::Source, place, &other)),
    })
}

/// The place that a node can take now on one side, or the step that it takes instead.
pub(super) fn free_place<V: TreeView>(view: &V, side: Side, node: NodeId, place: &Place) -> Result<Result<Place, Step>, V::Error> {
    Ok(match obstacle(view, side, node, place)? {
        Obstacle::Nothing => Ok(place.clone()),
        Obstacle::Leaving(other) => Err(wait_or_step_aside(view, side, node, other)?),
        Obstacle::Staying(other) => Err(clash(side, place, &other)),
    })
}

/// What a node does that cannot have its place before `other` changed: wait, unless `other` in turn waits for the name that the node has.
pub(super) fn wait_or_step_aside<V: TreeView>(view: &V, side: Side, node: NodeId, other: NodeId) -> Result<Step, V::Error> {
    Ok(match side {
        _ if !is_waited_for_in_a_circle(view, side, node, other)? => Hold::turn(Waits::Node(other)),
        Side::Source => Step::Apply(Apply::StepAside),
        Side::Target => aside_at_target(view, node)?,
    })
}

/// Whether the cloud gave the name of a folder, which is to be deleted at the source, to something that is still in it there.
pub(super) fn is_wanted_from_within<V: TreeView>(view: &V, folder: NodeId, place: &Place) -> Result<bool, V::Error> {
    match holder(view, Side::Target, place, folder)? {
        Some(heir) => Ok(path_to(view, heir.node, folder, Side::Source)?.is_some()),
        None => Ok(false),
    }
}

/// What a node does whose new folder still lies beneath it: wait for whoever on the way is to get out, or step aside for it. On the other side
/// that folder does not lie beneath it, so somebody on the way is in another folder there.
pub(super) fn wait_for_exit<V: TreeView>(view: &V, side: Side, node: NodeId, path: &[Member]) -> Result<Step, V::Error> {
    let parent = |step: &Member, side| current(step, side).map(|place| place.parent);
    let leaves = path.iter().find(|step| parent(step, Side::Source) != parent(step, Side::Target));
    wait_or_step_aside(view, side, node, leaves.or(path.first()).map_or(node, |step| step.node))
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

fn clash(side: Side, place: &Place, holder: &Member) -> Step {
    let there = if side == Side::Source { "here" } else { "in the cloud" };
    let detail = match current(holder, side) {
        Some(held) if held.name != place.name => format!("The name {:?} is taken {there} by {:?}.", place.name, held.name),
        _ => format!("The name {:?} is taken {there} by another item.", place.name),
    };
    // Not for the name: the holder may also begin to want another one, without having it yet.
    Hold::because(Reason::NameClash, detail, Waits::Node(holder.node))
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
    Ok(match intent(view, &first, side)? {
        _ if first.activity != Activity::Idle => Obstacle::Leaving(first.node),
        Intent::Leave | Intent::Move(_) => Obstacle::Leaving(first.node),
        Intent::Stay => Obstacle::Staying(first),
    })
}

/// Whether somebody waits for the name that `node` has, and `node`, which waits for `other`, over whatever number of others for that one.
fn is_waited_for_in_a_circle<V: TreeView>(view: &V, side: Side, node: NodeId, other: NodeId) -> Result<bool, V::Error> {
    let (mut stack, mut seen) = (vec![node, other], BTreeSet::new());
    while let Some(at) = stack.pop() {
        if !seen.insert(at) || seen.len() > CIRCLE_MAX {
            continue;
        }
        let Some(member) = view.member(at)? else { continue };
        let Some(place) = wanted(view, &member, side)? else { continue };
        if let Some(parent) = place.parent {
            let folder = view.member(parent)?;
            let is_there = folder.map_or(Ok(false), |folder| is_there(view, &folder, side))?;
            match path_to(view, parent, at, side)? {
                Some(path) => stack.extend(path.iter().map(|step| step.node)),
                None if is_there => {}
                None => stack.push(parent),
            }
        }
        match holder(view, side, &place, at)? {
            Some(holder) if holder.node == node => return Ok(true),
            Some(holder) => stack.push(holder.node),
            None => {}
        }
    }
    Ok(false)
}

/// The place that a member is to have on one side and does not have yet, whoever else may want it.
fn wanted<V: TreeView>(view: &V, member: &Member, side: Side) -> Result<Option<Place>, V::Error> {
    Ok(match (&member.source, &member.target, side) {
        _ if member.activity != Activity::Idle => None,
        (Source::Present(source), Target::Never, Side::Target) if source.problem.is_none() => Some(source.state.place.clone()),
        (Source::Absent, Target::Present(target), Side::Source) => Some(target.state.place.clone()),
        _ => match intent(view, member, side)? {
            Intent::Move(place) => Some(place),
            Intent::Stay | Intent::Leave => None,
        },
    })
}

/// Whether something can be put into a folder on one side. At the target it may still be in another set.
pub(super) fn is_there<V: TreeView>(view: &V, folder: &Member, side: Side) -> Result<bool, V::Error> {
    Ok(current(folder, side).is_some() && (side == Side::Source || away(view, folder)?.is_none()))
}

/// The first on the way up from a member at the target, itself included, whose folder there is not in this set: it was moved into this set at
/// the source, and the cloud has it in another one still. Nothing can be asked for in this set of what hangs on it before that move is done.
pub(super) fn away<V: TreeView>(view: &V, member: &Member) -> Result<Option<NodeId>, V::Error> {
    let folder_of = |member: &Member| current(member, Side::Target).and_then(|place| place.parent);
    let (mut at, mut folder) = (member.node, folder_of(member));
    for _ in 0..DEPTH_MAX {
        let Some(parent) = folder else { return Ok(None) };
        let Some(above) = view.member(parent)? else { return Ok(Some(at)) };
        (at, folder) = (parent, folder_of(&above));
    }
    Ok(None)
}

fn current(member: &Member, side: Side) -> Option<&Place> {
    match side {
        Side::Source => member.source_node().map(|source| &source.state.place),
        Side::Target => member.target_node().map(|target| &target.state.place),
    }
}

fn intent<V: TreeView>(view: &V, member: &Member, side: Side) -> Result<Intent, V::Error> {
    let Some(base) = &member.base else { return Ok(Intent::Stay) };
    if member.source_node().is_some_and(|source| source.problem.is_some()) {
        return Ok(Intent::Stay);
    }
    Ok(match (&member.source, &member.target, side) {
        (Source::Present(source), Target::Present(target), _) => {
            let (here, there) = (&source.state.place, &target.state.place);
            let wanted = facets::merged_place(view, member, here, there)?;
            match side {
                Side::Source if wanted != *here => Intent::Move(wanted),
                Side::Target if wanted == *here && here != there => Intent::Move(wanted),
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
    })
}

/// Whether a name at the target is the one that a node has while it stands aside there.
pub(super) fn is_aside(node: NodeId, name: &Name) -> bool {
    former_name(node, name).is_some()
}

/// The name that a node had before it stood aside; empty where that would have been too long a name.
fn former_name(node: NodeId, name: &Name) -> Option<&str> {
    let rest = name.as_str().strip_prefix(node.to_string().as_str())?.strip_prefix(ASIDE)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

/// The step by which a node that stands aside at the target, and is not at the source any more, gets its former name back, or one like it if
/// somebody has or wants that by now.
pub(super) fn named_again<V: TreeView>(view: &V, node: NodeId, target: &TargetNode) -> Result<Option<Step>, V::Error> {
    let Some(former) = former_name(node, &target.state.place.name).filter(|former| !former.is_empty()) else { return Ok(None) };
    let (stem, ending) = former.rsplit_once('.').map_or((former, String::new()), |(stem, ending)| (stem, format!(".{ending}")));
    let numbered = (2..=NUMBER_MAX).map(|number| format!("{stem} ({number}){ending}"));
    for name in std::iter::once(former.to_owned()).chain(numbered).filter_map(|name| Name::new(name).ok()) {
        let place = Place { parent: target.state.place.parent, name };
        if holder(view, Side::Target, &place, node)?.is_none() && holder(view, Side::Source, &place, node)?.is_none() {
            return Ok(Some(move_at_target(target, place)));
        }
    }
    Ok(None)
}

fn move_at_target(target: &TargetNode, place: Place) -> Step {
    Step::Push(Push::Update { content: None, place: Some((place, target.revisions.place)), properties: Vec::new() })
}

/// Opens a circle at the target: the node takes a name of its own for a moment. Base follows, so the wanted name is pushed next.
fn aside_at_target<V: TreeView>(view: &V, node: NodeId) -> Result<Step, V::Error> {
    let member = view.member(node)?;
    let Some(target) = member.as_ref().and_then(Member::target_node) else { return Ok(Hold::turn(Waits::Itself)) };
    let former = &target.state.place.name;
    let name = Name::new(format!("{node}{ASIDE} {former}")).or_else(|_| Name::new(format!("{node}{ASIDE}")));
    let Ok(name) = name else { return Ok(Hold::turn(Waits::Itself)) };
    Ok(move_at_target(target, Place { parent: target.state.place.parent, name }))
}

//! Nodes that are on one side only.

use super::{Apply, Hold, Step, Waits, facets, names};
use crate::engine::{Activity, Member, Source, SourceNode, Target, TreeView};
use crate::model::{Departure, Kind, NodeId, NodeState, Place, Push, Reason, TargetNode};

/// The source has it, the coordinator never spoke of it: push it, or adopt its like.
pub(super) fn only_source<V: TreeView>(view: &V, member: &Member, source: &SourceNode) -> Result<Step, V::Error> {
    let place = &source.state.place;
    if let Some(wait) = target_folder_missing(view, place.parent)? {
        return Ok(wait);
    }
    let Some(holder) = names::target_holder(view, place, member.node)? else {
        return Ok(Step::Push(Push::Create(source.state.clone())));
    };
    if can_adopt(&source.state, &holder) {
        return Ok(Step::Adopt { target: holder.node });
    }
    names::wait_for_target(view, member.node, place)
}

/// Says why a child of `parent` cannot be made at the target now, if so.
pub(super) fn target_folder_missing<V: TreeView>(view: &V, parent: Option<NodeId>) -> Result<Option<Step>, V::Error> {
    let Some(parent) = parent else { return Ok(None) };
    let Some(folder) = view.member(parent)? else { return Ok(Some(Hold::turn(Waits::Node(parent)))) };
    Ok(match folder.target {
        // It, or what it is in, comes from another set, and this one is not told yet.
        Target::Present(_) => names::away(view, &folder)?.map(|away| Hold::turn(Waits::Node(away))),
        // The stream keeps the order: a child may follow the push that makes its folder.
        Target::Never if folder.activity == Activity::Creating => None,
        Target::Never => Some(Hold::turn(Waits::Node(parent))),
        Target::Absent(_) => Some(Hold::because(Reason::TargetFolderMissing, "", Waits::Node(parent))),
    })
}

/// Whether what is here can take over what is there, with nothing to transfer: two folders, or two documents of equal content, of which
/// the one there is bound to nothing here. Their properties are merged afterwards, the target's winning.
fn can_adopt(source: &NodeState, holder: &Member) -> bool {
    let Target::Present(target) = &holder.target else { return false };
    holder.is_unpaired()
        && holder.activity == Activity::Idle
        && matches!(holder.source, Source::Absent)
        && source.kind == target.state.kind
        && source.content == target.state.content
}

/// The source has it, the coordinator says that it left the set.
pub(super) fn gone_at_target<V: TreeView>(view: &V, member: &Member, source: &SourceNode, departure: Departure) -> Result<Step, V::Error> {
    let Some(base) = &member.base else {
        return Ok(Hold::because(Reason::TargetNoLongerExists, "", Waits::Itself));
    };
    match departure {
        Departure::MovedOut => {
            return Ok(Hold::because(Reason::DeletedOnCloud, "It was moved out of the synced folder in the cloud.", Waits::Itself));
        }
        Departure::Released => {
            return Ok(Hold::because(Reason::DeletedOnCloud, "It was taken out of the sync in the cloud.", Waits::Itself));
        }
        Departure::Deleted => {}
    }
    if facets::source_changed(base, source) {
        return Ok(Hold::because(Reason::TargetNoLongerExists, "", Waits::Itself));
    }
    if !view.options().delete_source {
        return Ok(Hold::because(Reason::DeletedOnCloud, "", Waits::Itself));
    }
    if view.has_source_children(member.node)? {
        if !member.aside && names::is_wanted_from_within(view, member.node, &source.state.place)? {
            return Ok(Step::Apply(Apply::StepAside));
        }
        // Whatever is in it goes first; each child's end wakes its folder.
        return Ok(Hold::because(Reason::DeletedOnCloud, "", Waits::Itself));
    }
    Ok(Step::Apply(Apply::Delete))
}

/// The target has it, the source does not.
pub(super) fn only_target<V: TreeView>(view: &V, member: &Member, target: &TargetNode) -> Result<Step, V::Error> {
    if let Some(step) = names::named_again(view, member.node, target)? {
        return Ok(step);
    }
    let Some(base) = &member.base else { return create_at_source(view, member, &target.state) };
    if target.state != *base || facets::target_decides(view, member)? {
        return create_at_source(view, member, &target.state);
    }
    delete_at_target(view, member, base)
}

fn create_at_source<V: TreeView>(view: &V, member: &Member, state: &NodeState) -> Result<Step, V::Error> {
    if let Some(parent) = state.place.parent {
        let folder = view.member(parent)?;
        if !folder.is_some_and(|folder| matches!(folder.source, Source::Present(_))) {
            return Ok(Hold::turn(Waits::Node(parent)));
        }
    }
    if let Some(wait) = names::wait_for_source(view, member.node, &state.place)? {
        return Ok(wait);
    }
    Ok(Step::Apply(Apply::Create(state.clone())))
}

/// Deleted here, unchanged there. What the cloud has in another set still is the business of that one, which whoever runs the plan sees to.
fn delete_at_target<V: TreeView>(view: &V, member: &Member, base: &NodeState) -> Result<Step, V::Error> {
    if let Some(away) = names::away(view, member)?.filter(|away| *away != member.node) {
        return Ok(Hold::turn(Waits::Node(away)));
    }
    if let Some(parent) = base.place.parent
        && deletes_its_children(view, parent)?
    {
        return Ok(Hold::turn(Waits::Node(parent)));
    }
    if base.content.is_none()
        && let Some(step) = survivor_within(view, member, base)?
    {
        return Ok(step);
    }
    let through = view.known_through();
    let stays = member.shallow || !view.options().delete_on_cloud;
    Ok(Step::Push(if stays { Push::Release { through: Some(through) } } else { Push::Delete { through } }))
}

/// Whether a folder is itself gone at the source and takes what is in it along.
fn deletes_its_children<V: TreeView>(view: &V, folder: NodeId) -> Result<bool, V::Error> {
    Ok(view.member(folder)?.is_some_and(|folder| {
        matches!(folder.source, Source::Absent) && matches!(folder.target, Target::Present(_)) && folder.base.is_some() && !folder.shallow
    }))
}

/// Looks beneath a folder that is about to be deleted in the cloud. Something that changed there survives, so the folder is made again at
/// the source to hold it. Something that still moves out of it is waited for, also where it moves into another set.
fn survivor_within<V: TreeView>(view: &V, member: &Member, base: &NodeState) -> Result<Option<Step>, V::Error> {
    if let Some(guest) = view.target_guest(member.node)? {
        return Ok(Some(Hold::turn(Waits::Node(guest))));
    }
    let mut stack = view.target_children(member.node)?;
    while let Some(node) = stack.pop() {
        let Some(child) = view.member(node)? else { continue };
        if moved_here(&child) {
            return create_at_source(view, member, &again(base)).map(Some);
        }
        if matches!(child.source, Source::Present(_) | Source::Unknown) || child.activity != Activity::Idle {
            return names::wait_or_step_aside(view, names::Side::Target, member.node, node).map(Some);
        }
        let Target::Present(target) = &child.target else { continue };
        if child.base.as_ref() != Some(&target.state) {
            return create_at_source(view, member, &again(base)).map(Some);
        }
        if member.shallow {
            return Ok(Some(Hold::turn(Waits::Node(node))));
        }
        if target.state.kind == Kind::Folder {
            if let Some(guest) = view.target_guest(node)? {
                return Ok(Some(Hold::turn(Waits::Node(guest))));
            }
            stack.extend(view.target_children(node)?);
        }
    }
    Ok(None)
}

/// Whether the cloud moved a node that is still at the source into the folder that it is in.
fn moved_here(child: &Member) -> bool {
    let parent = |state: &NodeState| state.place.parent;
    match (&child.source, &child.target) {
        (Source::Present(_), Target::Present(target)) => child.base.as_ref().map(parent) != Some(parent(&target.state)),
        _ => false,
    }
}

fn again(base: &NodeState) -> NodeState {
    NodeState { place: Place { parent: base.place.parent, name: base.place.name.clone() }, ..base.clone() }
}

//! Nodes that are on both sides: merging content, place and properties.

use super::{Apply, Hold, Step, Waits, existence, names};
use crate::engine::{Member, Source, SourceNode, TreeView};
use crate::model::{ContentRef, NodeState, Place, Properties, Property, PropertyChange, Push, TargetNode, Value};

/// What a three-way comparison of one facet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Equal on both sides; base may be behind.
    Equal,
    /// Take the source's.
    Push,
    /// Take the target's.
    Apply,
    /// Take the target's, and remember that the source had changed too.
    Conflict,
}

fn compare<T: PartialEq + ?Sized>(base: Option<&T>, source: &T, target: &T, source_is_locked: bool) -> Verdict {
    let source_changed = base != Some(source);
    match (source_changed, base != Some(target)) {
        _ if source == target => Verdict::Equal,
        (true, false) if !source_is_locked => Verdict::Push,
        (true, _) => Verdict::Conflict,
        (false, _) => Verdict::Apply,
    }
}

/// Whether a person changed it at the source since base. What is not known counts as unchanged.
#[must_use]
pub fn source_changed(base: &NodeState, source: &SourceNode) -> bool {
    source.state.content != base.content
        || source.state.place != base.place
        || (source.properties_known && source.state.properties != base.properties)
}

/// Merges the facets of a node that is on both sides.
pub(super) fn merge<V: TreeView>(view: &V, member: &Member, source: &SourceNode, target: &TargetNode) -> Result<Step, V::Error> {
    let merged = Merge::new(view, member, source, target)?;
    if let Some(step) = merged.apply(view, member, source)? {
        return Ok(step);
    }
    if let Some(step) = merged.push(view, member, source, target)? {
        return Ok(step);
    }
    if member.base.as_ref() == Some(&target.state) {
        return Ok(Step::Rest);
    }
    Ok(Step::Record(target.state.clone()))
}

struct Merge {
    content: Verdict,
    place: Verdict,
    /// For a place to apply: folder and name merged apart.
    merged_place: Place,
    apply: Vec<(Property, Option<Value>)>,
    push: Vec<Property>,
}

impl Merge {
    fn new<V: TreeView>(view: &V, member: &Member, source: &SourceNode, target: &TargetNode) -> Result<Self, V::Error> {
        let (base, from, to) = (member.base.as_ref(), &source.state, &target.state);
        let locked = view.options().lock_source;
        let mut merge = Self {
            content: compare(base.map(|base| &base.content), &from.content, &to.content, locked),
            place: compare(base.map(|base| &base.place), &from.place, &to.place, target_decides(view, member)?),
            merged_place: merged_place(view, member, &from.place, &to.place)?,
            apply: Vec::new(),
            push: Vec::new(),
        };
        merge.properties(base.map(|base| &base.properties), source, &to.properties, locked);
        Ok(merge)
    }

    fn properties(&mut self, base: Option<&Properties>, source: &SourceNode, target: &Properties, locked: bool) {
        for property in Property::ALL {
            let was = base.map(|base| base.get(property));
            let here = if source.properties_known { source.state.properties.get(property) } else { None };
            let there = target.get(property);
            if !source.properties_known {
                // Written back as the target has it: nothing that was synced is lost by an editor's save.
                if there.is_some() {
                    self.apply.push((property, there.cloned()));
                }
                continue;
            }
            // Without a base, what only one side has is taken from it: absent is no statement there.
            let was = match (was, here, there) {
                (None, _, None) | (None, None, _) => Some(None),
                (was, ..) => was,
            };
            match compare(was.as_ref(), &here, &there, locked) {
                Verdict::Equal => {}
                Verdict::Push => self.push.push(property),
                Verdict::Apply | Verdict::Conflict => self.apply.push((property, there.cloned())),
            }
        }
    }

    fn apply<V: TreeView>(&self, view: &V, member: &Member, source: &SourceNode) -> Result<Option<Step>, V::Error> {
        let target = member.target_node().map(|target| &target.state);
        let takes = |verdict| matches!(verdict, Verdict::Apply | Verdict::Conflict);
        let content = target.and_then(|target| target.content).filter(|_| takes(self.content));
        let moves = member.aside || (takes(self.place) && self.merged_place != source.state.place);
        let place = moves.then(|| self.merged_place.clone());
        let mut wait = None;
        let place = match place {
            Some(place) => match place_at_source(view, member, &place)? {
                Ok(place) => Some(place),
                Err(step) => {
                    wait = Some(step);
                    None
                }
            },
            None => None,
        };
        // A new content is a new item at the source: put in place and moved in one step, it would be nobody's until that was written down.
        let content = content.filter(|_| place.is_none());
        if content.is_none() && place.is_none() && self.apply.is_empty() {
            return Ok(wait);
        }
        let conflict = content.is_some() && self.content == Verdict::Conflict;
        Ok(Some(Step::Apply(Apply::Update { content, place, properties: self.apply.clone(), conflict })))
    }

    fn push<V: TreeView>(&self, view: &V, member: &Member, source: &SourceNode, target: &TargetNode) -> Result<Option<Step>, V::Error> {
        let content: Option<(ContentRef, _)> =
            source.state.content.filter(|_| self.content == Verdict::Push).map(|content| (content, target.revisions.content));
        let properties: Vec<_> = self.push.iter().map(|property| property_change(*property, source, target)).collect();
        let mut place = Some(source.state.place.clone()).filter(|_| self.place == Verdict::Push);
        // A move that loses half of itself to the target's is settled at the source first, then its other half is pushed.
        if self.place == Verdict::Conflict && self.merged_place == source.state.place {
            place = Some(self.merged_place.clone());
        }
        let mut wait = None;
        let place = match place {
            Some(place) => match place_at_target(view, member, &place)? {
                Ok(place) => Some((place, target.revisions.place)),
                Err(step) => {
                    wait = Some(step);
                    None
                }
            },
            None => None,
        };
        if content.is_none() && place.is_none() && properties.is_empty() {
            return Ok(wait);
        }
        Ok(Some(match names::away(view, member)? {
            // Only its move into this set can be asked for in this set.
            Some(away) if place.is_none() => wait.unwrap_or_else(|| Hold::turn(Waits::Node(away))),
            _ => Step::Push(Push::Update { content, place, properties }),
        }))
    }
}

fn property_change(property: Property, source: &SourceNode, target: &TargetNode) -> PropertyChange {
    PropertyChange { property, value: source.state.properties.get(property).cloned(), base: target.revisions.property(property) }
}

/// Whether the target decides alone where a node is, and that it is: because the source is locked, or because the folder that it was moved
/// into here was moved into it in the cloud.
pub(super) fn target_decides<V: TreeView>(view: &V, member: &Member) -> Result<bool, V::Error> {
    if !view.options().lock_source {
        return is_moved_into_itself(view, member);
    }
    // What has just come from another set may be added to a set that is locked, and has its place there until this one is told.
    match (member.base.as_ref().and_then(|base| base.place.parent), member.target_node().and_then(|target| target.state.place.parent)) {
        (Some(base), Some(target)) if base == target => Ok(view.member(target)?.is_some()),
        _ => Ok(true),
    }
}

/// Whether the move here is lost: the folder that it goes into lies beneath the node there, and was moved there by the cloud, or does not get
/// out because the moves here that would take it out are lost themselves. Each looks only at what lies deeper, so this ends.
fn is_moved_into_itself<V: TreeView>(view: &V, member: &Member) -> Result<bool, V::Error> {
    let parent = |state: &NodeState| state.place.parent;
    let moved_there = |step: &Member| step.target_node().map(|target| parent(&target.state)) != step.base.as_ref().map(parent);
    let moved_here = |folder| member.base.as_ref().is_none_or(|base| parent(base) != Some(folder));
    match member.source_node().and_then(|source| parent(&source.state)) {
        Some(folder) if moved_here(folder) && !moved_there(member) => {
            let Some(path) = names::path_to(view, folder, member.node, names::Side::Target)? else { return Ok(false) };
            let mut is_lost = false;
            for step in &path {
                let here = step.source_node().map(|source| parent(&source.state));
                let there = step.target_node().map(|target| parent(&target.state));
                if here != there {
                    is_lost = moved_there(step) || (here.is_some() && is_moved_into_itself(view, step)?);
                    if !is_lost {
                        break;
                    }
                }
            }
            Ok(is_lost)
        }
        _ => Ok(false),
    }
}

/// The place that both sides are to have: folder and name merged apart; where both sides changed the same one, the target's.
pub(super) fn merged_place<V: TreeView>(view: &V, member: &Member, source: &Place, target: &Place) -> Result<Place, V::Error> {
    // A name of our own is none that anybody chose.
    let theirs = if names::is_aside(member.node, &target.name) { &source.name } else { &target.name };
    let base = member.base.as_ref().map(|base| &base.place);
    Ok(match base {
        Some(base) if !target_decides(view, member)? => Place {
            parent: if target.parent == base.parent { source.parent } else { target.parent },
            name: if target.name == base.name { source.name.clone() } else { theirs.clone() },
        },
        _ => Place { parent: target.parent, name: theirs.clone() },
    })
}

/// The place to move to at the source now, or the step that waits for it.
fn place_at_source<V: TreeView>(view: &V, member: &Member, place: &Place) -> Result<Result<Place, Step>, V::Error> {
    if let Some(parent) = place.parent {
        let folder = view.member(parent)?;
        if !folder.is_some_and(|folder| matches!(folder.source, Source::Present(_))) {
            return Ok(Err(names::wait_or_step_aside(view, names::Side::Source, member.node, parent)?));
        }
        if let Some(path) = names::path_to(view, parent, member.node, names::Side::Source)? {
            return Ok(Err(names::wait_for_exit(view, names::Side::Source, member.node, &path)?));
        }
    }
    names::free_place(view, names::Side::Source, member.node, place)
}

/// The place to push now, or the step that waits for it.
fn place_at_target<V: TreeView>(view: &V, member: &Member, place: &Place) -> Result<Result<Place, Step>, V::Error> {
    match existence::target_folder_missing(view, place.parent)? {
        Some(Step::Hold(Hold { reason: None, waits: Waits::Node(other), .. })) => {
            return Ok(Err(names::wait_or_step_aside(view, names::Side::Target, member.node, other)?));
        }
        Some(wait) => return Ok(Err(wait)),
        None => {}
    }
    if let Some(parent) = place.parent
        && let Some(path) = names::path_to(view, parent, member.node, names::Side::Target)?
    {
        return Ok(Err(names::wait_for_exit(view, names::Side::Target, member.node, &path)?));
    }
    names::free_place(view, names::Side::Target, member.node, place)
}

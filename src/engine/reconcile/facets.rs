//! Nodes that are on both sides: merging content, place and properties.

use super::{Apply, Hold, Step, existence, names};
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
pub(super) fn source_changed(base: &NodeState, source: &SourceNode) -> bool {
    source.state.content != base.content
        || source.state.place != base.place
        || (source.properties_known && source.state.properties != base.properties)
}

/// Merges the facets of a node that is on both sides.
pub(super) fn merge<V: TreeView>(view: &V, member: &Member, source: &SourceNode, target: &TargetNode) -> Result<Step, V::Error> {
    let merged = Merge::new(member.base.as_ref(), source, target, view.options().lock_source, place_is_locked(view, member)?);
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
    fn new(base: Option<&NodeState>, source: &SourceNode, target: &TargetNode, locked: bool, place_locked: bool) -> Self {
        let (from, to) = (&source.state, &target.state);
        let mut merge = Self {
            content: compare(base.map(|base| &base.content), &from.content, &to.content, locked),
            place: compare(base.map(|base| &base.place), &from.place, &to.place, place_locked),
            merged_place: merge_places(base.map(|base| &base.place), &from.place, &to.place, place_locked),
            apply: Vec::new(),
            push: Vec::new(),
        };
        merge.properties(base.map(|base| &base.properties), source, &to.properties, locked);
        merge
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
        if content.is_none() && place.is_none() && self.apply.is_empty() {
            return Ok(wait);
        }
        let conflict = self.content == Verdict::Conflict;
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
        Ok(Some(Step::Push(Push::Update { content, place, properties })))
    }
}

fn property_change(property: Property, source: &SourceNode, target: &TargetNode) -> PropertyChange {
    PropertyChange { property, value: source.state.properties.get(property).cloned(), base: target.revisions.property(property) }
}

/// Whether the target decides alone where a node is, and that it is. Not of what has just come from another set: it may be added to a set that
/// is locked, and until it is, its place at the target is one that this set does not know.
pub(super) fn place_is_locked<V: TreeView>(view: &V, member: &Member) -> Result<bool, V::Error> {
    let parents = [member.base.as_ref(), member.target_node().map(|target| &target.state)].map(|state| state?.place.parent);
    Ok(match parents {
        _ if !view.options().lock_source => false,
        [Some(base), Some(target)] if base == target => view.member(target)?.is_some(),
        _ => true,
    })
}

/// Merges folder and name apart; where both sides changed the same one, or the source is locked, the target's.
pub(super) fn merge_places(base: Option<&Place>, source: &Place, target: &Place, locked: bool) -> Place {
    let Some(base) = base.filter(|_| !locked) else { return target.clone() };
    Place {
        parent: if target.parent == base.parent { source.parent } else { target.parent },
        name: if target.name == base.name { source.name.clone() } else { target.name.clone() },
    }
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
    match (existence::target_folder_missing(view, place.parent)?, place.parent) {
        (Some(Step::Hold(Hold { reason: None, .. })), Some(parent)) => {
            return Ok(Err(names::wait_or_step_aside(view, names::Side::Target, member.node, parent)?));
        }
        (Some(wait), _) => return Ok(Err(wait)),
        (None, _) => {}
    }
    if let Some(parent) = place.parent
        && let Some(path) = names::path_to(view, parent, member.node, names::Side::Target)?
    {
        return Ok(Err(into_itself(view, member, &path)?));
    }
    names::free_place(view, names::Side::Target, member.node, place)
}

/// The folder to move into lies, at the target, beneath the node itself. If the cloud moved it there, the cloud's move wins and this one is
/// taken back; else the folder is on its way out and is waited for.
fn into_itself<V: TreeView>(view: &V, member: &Member, path: &[Member]) -> Result<Step, V::Error> {
    let moved_there = |step: &Member| {
        let parent = |state: &NodeState| state.place.parent;
        step.target_node().map(|target| parent(&target.state)) != step.base.as_ref().map(parent)
    };
    match member.target_node() {
        Some(target) if path.iter().any(moved_there) => Ok(match place_at_source(view, member, &target.state.place)? {
            Ok(place) => Step::Apply(Apply::Update { content: None, place: Some(place), properties: Vec::new(), conflict: true }),
            Err(wait) => wait,
        }),
        _ => names::wait_for_exit(view, names::Side::Target, member.node, path),
    }
}

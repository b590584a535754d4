//! What people do, on either side.

use super::agent::Gap;
use super::cloud::Edit;
use super::cloud::NEXT_DOOR;
use super::{Key, World, facts, item, name_of};
use crate::engine::Target;
use crate::model::{
    ContentRef, Departure, Kind, Name, NodeId, NodeState, Place, Properties, Property, PropertyChange, Reason, Sequence, Value,
};

/// Where somebody does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Side {
    Source,
    Target,
}

/// Somebody does something while the `round`-th batch is on its way; in round 0 before anything is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Deed {
    pub(in super::super) round: u8,
    pub(in super::super) side: Side,
    pub(in super::super) act: Act,
}

/// What can be done. Numbers choose among what is there; what is impossible does nothing. In the beginning a number means the same node on
/// both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Act {
    Make {
        folder: u8,
        name: u8,
        kind: Kind,
        content: u8,
    },
    Edit(u8, u8),
    /// At the source: by writing a new file over the old one, which has no properties.
    Save(u8, u8),
    Describe(u8, bool, Option<u8>),
    Rename(u8, u8),
    Move(u8, u8),
    MoveAs(u8, u8, u8),
    Delete(u8),
    /// Each takes the other's place.
    Swap(u8, u8),
    /// Each takes the place of the next.
    Rotate(u8, u8, u8),
    /// The first takes the place of the second, which is deleted by that.
    MoveOver(u8, u8),
    /// It is deleted, and another one made in its place.
    Again(u8),
    /// A folder and the folder that holds it change roles.
    Invert(u8),
    /// A file becomes a folder of the same name, or the other way round.
    Retype(u8),
    /// In the cloud: out of the synced folder.
    MoveOut(u8),
    /// In the cloud: out of the trash, or in again from where it was moved.
    ComeBack(u8, u8),
    /// At the source: it cannot be read any more, or its new name is not allowed, or it cannot be told what it is; or all is well again.
    Trouble(u8, u8),
    /// At the source: something comes out of another set.
    Arrive {
        folder: u8,
        name: u8,
        kind: Kind,
    },
    /// Source or target cannot be seen completely for a while.
    Gap(bool),
    /// A person asks to sync now: what was deleted in the cloud is pushed as new.
    Request,
}

impl Act {
    /// The same act with one of its numbers less.
    pub(in super::super) fn smaller(self) -> Vec<Self> {
        let less = |number: u8| 0..number;
        match self {
            Self::Make { folder, name, kind, content } => {
                let folders = less(folder).map(|folder| Self::Make { folder, name, kind, content });
                let names = less(name).map(|name| Self::Make { folder, name, kind, content });
                let contents = less(content).map(|content| Self::Make { folder, name, kind, content });
                folders.chain(names).chain(contents).collect()
            }
            Self::Arrive { folder, name, kind } => {
                let folders = less(folder).map(|folder| Self::Arrive { folder, name, kind });
                folders.chain(less(name).map(|name| Self::Arrive { folder, name, kind })).collect()
            }
            Self::MoveAs(a, b, c) => three(a, b, c).into_iter().map(|(a, b, c)| Self::MoveAs(a, b, c)).collect(),
            Self::Rotate(a, b, c) => three(a, b, c).into_iter().map(|(a, b, c)| Self::Rotate(a, b, c)).collect(),
            Self::Edit(a, b) => two(a, b, Self::Edit),
            Self::Save(a, b) => two(a, b, Self::Save),
            Self::Rename(a, b) => two(a, b, Self::Rename),
            Self::Move(a, b) => two(a, b, Self::Move),
            Self::Swap(a, b) => two(a, b, Self::Swap),
            Self::MoveOver(a, b) => two(a, b, Self::MoveOver),
            Self::ComeBack(a, b) => two(a, b, Self::ComeBack),
            Self::Trouble(a, b) => two(a, b, Self::Trouble),
            Self::Describe(a, which, value) => less(a).map(|a| Self::Describe(a, which, value)).collect(),
            Self::Delete(a) => less(a).map(Self::Delete).collect(),
            Self::Invert(a) => less(a).map(Self::Invert).collect(),
            Self::Retype(a) => less(a).map(Self::Retype).collect(),
            Self::Again(a) => less(a).map(Self::Again).collect(),
            Self::MoveOut(a) => less(a).map(Self::MoveOut).collect(),
            Self::Request | Self::Gap(_) => Vec::new(),
        }
    }
}

fn two(one: u8, other: u8, act: fn(u8, u8) -> Act) -> Vec<Act> {
    three(one, other, 0).into_iter().map(|(one, other, _)| act(one, other)).collect()
}

fn three(one: u8, other: u8, third: u8) -> Vec<(u8, u8, u8)> {
    let ones = (0..one).map(|less| (less, other, third));
    let others = (0..other).map(|less| (one, less, third));
    ones.chain(others).chain((0..third).map(|less| (one, other, less))).collect()
}

impl World {
    pub(in super::super) fn act(&mut self, deed: &Deed) {
        // Impossible things do not happen, that is all.
        let _happened = match (deed.act, deed.side) {
            (Act::Request, _) => self.request(),
            (Act::Gap(at_source), _) => {
                self.agent.unsettle(Some(if at_source { Gap::Source } else { Gap::Target }));
                None
            }
            (act, Side::Source) => self.act_at_source(act),
            (act, Side::Target) => self.act_at_target(act),
        };
    }

    fn content(&mut self, number: u8) -> ContentRef {
        if number < 3 { facts::content(u64::from(number) + 1) } else { self.fresh_content() }
    }

    fn key(&self, number: u8) -> Option<Key> {
        let keys: Vec<_> = self.disk.items.keys().collect();
        keys.get(usize::from(number) % keys.len().max(1)).map(|key| **key)
    }

    fn folder_key(&self, number: u8) -> Option<Key> {
        let folders: Vec<_> = self.disk.items.iter().filter(|(_, item)| item.kind == Kind::Folder).map(|(key, _)| *key).collect();
        folders.get(usize::from(number) % folders.len().max(1)).copied()
    }

    fn act_at_source(&mut self, act: Act) -> Option<()> {
        match act {
            Act::Make { folder, name, kind, content } => {
                let folder = self.folder_key(folder)?;
                self.make_at_source(folder, name_of(name), kind, content)
            }
            Act::Edit(number, content) | Act::Save(number, content) => {
                let (key, content) = (self.key(number)?, self.content(content));
                let item = self.disk.items.get_mut(&key).filter(|item| item.kind == Kind::Document)?;
                item.content = Some(content);
                if matches!(act, Act::Save(..)) {
                    (item.properties, item.properties_known) = (Properties::default(), false);
                }
                Some(())
            }
            Act::Describe(number, which, value) => {
                let key = self.key(number)?;
                let item = self.disk.items.get_mut(&key).filter(|item| item.properties_known)?;
                let (property, value) = described(which, value);
                item.properties.set(property, value).ok()
            }
            Act::Rename(number, name) => {
                let key = self.key(number)?;
                self.disk.rename(key, self.disk.items[&key].parent, &name_of(name)).ok()
            }
            Act::Move(number, folder) => {
                let (key, folder) = (self.key(number)?, self.folder_key(folder)?);
                let item = self.disk.items.get(&key).filter(|item| item.parent.is_some())?;
                self.disk.rename(key, Some(folder), &item.name.clone()).ok()
            }
            Act::MoveAs(number, folder, name) => {
                let (key, folder) = (self.key(number)?, self.folder_key(folder)?);
                self.disk.items.get(&key).filter(|item| item.parent.is_some())?;
                self.disk.rename(key, Some(folder), &name_of(name)).ok()
            }
            Act::Delete(number) => {
                let key = self.key(number)?;
                self.disk.remove_tree(key);
                Some(())
            }
            Act::Swap(one, other) => self.rotate_at_source(&[one, other]),
            Act::Rotate(one, other, third) => self.rotate_at_source(&[one, other, third]),
            Act::MoveOver(number, other) => {
                let (key, over) = (self.key(number)?, self.key(other)?);
                let (item, replaced) = (self.disk.items[&key].clone(), self.disk.items[&over].clone());
                if key == over || item.kind != replaced.kind || item.parent.is_none() || !replaced.has_its_name() {
                    return None;
                }
                // As the system does it: a folder is moved only over an empty one.
                self.disk.items.get(&over).filter(|_| !self.disk.is_beneath(replaced.parent, key))?;
                self.disk.remove(over).ok()?;
                self.disk.rename(key, replaced.parent, &replaced.name).ok()
            }
            Act::Again(number) => {
                let key = self.key(number)?;
                let (item, folder) = (self.disk.items[&key].clone(), self.disk.items[&key].parent?);
                self.disk.remove_tree(key);
                self.make_at_source(folder, item.name, item.kind, number)
            }
            Act::Invert(number) => {
                let child = self.key(number).filter(|key| self.disk.items[key].kind == Kind::Folder)?;
                let parent = self.disk.items[&child].parent?;
                let above = self.disk.items[&parent].parent?;
                self.disk.rename(child, Some(above), &self.disk.items[&child].name.clone()).ok()?;
                self.disk.rename(parent, Some(child), &self.disk.items[&parent].name.clone()).ok()
            }
            Act::Retype(number) => {
                let key = self.key(number)?;
                let (item, folder) = (self.disk.items[&key].clone(), self.disk.items[&key].parent?);
                self.disk.remove_tree(key);
                self.make_at_source(folder, item.name, other_kind(item.kind), number)
            }
            Act::Trouble(number, which) => {
                let key = self.key(number)?;
                let item = self.disk.items[&key].clone();
                if item.problem.is_some() {
                    return self.disk.rename(key, item.parent, &item.name).ok();
                }
                let problems = [Reason::SourceAccessDenied, Reason::NameNotAllowed, Reason::SourceUnknown];
                self.disk.items.get_mut(&key)?.problem = Some(problems[usize::from(which) % problems.len()]);
                Some(())
            }
            Act::Arrive { folder, name, kind } => self.arrive(folder, name_of(name), kind),
            Act::MoveOut(_) | Act::ComeBack(..) | Act::Request | Act::Gap(_) => None,
        }
    }

    fn make_at_source(&mut self, folder: Key, name: Name, kind: Kind, content: u8) -> Option<()> {
        let content = (kind == Kind::Document).then(|| self.content(content));
        let state = NodeState { kind, place: Place { parent: None, name }, content, properties: Properties::default() };
        self.disk.make(item(Some(folder), &state)).ok().map(drop)
    }

    fn rotate_at_source(&mut self, numbers: &[u8]) -> Option<()> {
        let keys: Vec<_> = numbers.iter().map(|number| self.key(*number)).collect::<Option<_>>()?;
        let items: Vec<_> = keys.iter().map(|key| self.disk.items[key].clone()).collect();
        let within = |key: &Key| keys.iter().any(|other| self.disk.is_beneath(self.disk.items[key].parent, *other));
        let is_twice = (1..keys.len()).any(|at| keys[..at].contains(&keys[at]));
        if is_twice || keys.iter().any(within) || items.iter().any(|item| !item.has_its_name()) {
            return None;
        }
        for (at, key) in keys.iter().enumerate() {
            let (moved, next) = (self.disk.items.get_mut(key)?, &items[(at + 1) % items.len()]);
            (moved.parent, moved.name) = (next.parent, next.name.clone());
        }
        Some(())
    }

    /// A node that is in step elsewhere is moved into a folder here.
    fn arrive(&mut self, folder: u8, name: Name, kind: Kind) -> Option<()> {
        let folder = self.folder_key(folder)?;
        let content = (kind == Kind::Document).then(|| self.fresh_content());
        let place = Place { parent: Some(NEXT_DOOR), name };
        let state = NodeState { kind, place, content, properties: Properties::default() };
        let key = self.disk.make(item(Some(folder), &state)).ok()?;
        let node = self.mint();
        let target = self.cloud.put_next_door(node, state.clone());
        let place = Place { parent: self.agent.by_key(folder), name: state.place.name.clone() };
        self.agent.change(node, |row| {
            row.key = Some(key);
            row.member.source = facts::here(&NodeState { place, ..state.clone() });
            row.member.target = Target::Present(target);
            row.member.base = Some(state);
        });
        Some(())
    }

    /// Members, in the order in which they were made.
    fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.cloud.docs.keys().copied().filter(|node| self.cloud.is_member(*node)).collect();
        nodes.sort_by_key(|node| node.as_bytes().last_chunk::<8>().copied());
        nodes
    }

    fn node(&self, number: u8) -> Option<NodeId> {
        let nodes = self.nodes();
        nodes.get(usize::from(number) % nodes.len().max(1)).copied()
    }

    fn folder(&self, number: u8) -> Option<NodeId> {
        let folders: Vec<_> = self.nodes().into_iter().filter(|node| self.cloud.docs[node].state.kind == Kind::Folder).collect();
        folders.get(usize::from(number) % folders.len().max(1)).copied()
    }

    fn act_at_target(&mut self, act: Act) -> Option<()> {
        match act {
            Act::Make { folder, name, kind, content } => {
                let parent = self.folder(folder)?;
                self.make_at_target(parent, name_of(name), kind, content)
            }
            Act::Edit(number, content) | Act::Save(number, content) => {
                let (node, content) = (self.node(number)?, self.content(content));
                if self.cloud.docs[&node].state.kind == Kind::Folder {
                    return None;
                }
                self.cloud.edit(node, Edit { content: Some(content), ..Edit::default() }, false).ok()
            }
            Act::Describe(number, which, value) => {
                let (property, value) = described(which, value);
                let change = PropertyChange { property, value, base: Sequence::ZERO };
                self.cloud.edit(self.node(number)?, Edit { properties: vec![change], ..Edit::default() }, false).ok()
            }
            Act::Rename(number, name) => {
                let node = self.node(number)?;
                self.put(node, Place { parent: self.cloud.docs[&node].state.place.parent, name: name_of(name) })
            }
            Act::Move(number, folder) => {
                let (node, folder) = (self.inner(number)?, self.folder(folder)?);
                self.put(node, Place { parent: Some(folder), name: self.cloud.docs[&node].state.place.name.clone() })
            }
            Act::MoveAs(number, folder, name) => {
                let (node, folder) = (self.inner(number)?, self.folder(folder)?);
                self.put(node, Place { parent: Some(folder), name: name_of(name) })
            }
            Act::Delete(number) if self.cloud.options.delete_on_cloud => {
                self.cloud.leave(self.node(number)?, Departure::Deleted, false);
                Some(())
            }
            Act::MoveOver(number, other) if self.cloud.options.delete_on_cloud => {
                let (node, over) = (self.inner(number)?, self.inner(other)?);
                let place = self.cloud.docs[&over].state.place.clone();
                if node == over || self.cloud.is_beneath(place.parent, node) || self.cloud.is_beneath(Some(node), over) {
                    return None;
                }
                self.cloud.leave(over, Departure::Deleted, false);
                self.put(node, place)
            }
            Act::Again(number) if self.cloud.options.delete_on_cloud => {
                let node = self.inner(number)?;
                let state = self.cloud.docs[&node].state.clone();
                self.cloud.leave(node, Departure::Deleted, false);
                self.make_at_target(state.place.parent?, state.place.name, state.kind, number)
            }
            Act::MoveOut(number) if self.cloud.options.delete_on_cloud => {
                self.cloud.leave(self.inner(number)?, Departure::MovedOut, false);
                Some(())
            }
            Act::Swap(one, other) => self.rotate_at_target(&[one, other]),
            Act::Rotate(one, other, third) => self.rotate_at_target(&[one, other, third]),
            Act::Invert(number) => {
                let child = self.node(number).filter(|node| self.cloud.docs[node].state.kind == Kind::Folder)?;
                let parent = self.cloud.docs[&child].state.place.parent?;
                let above = self.cloud.docs[&parent].state.place.parent?;
                let name = |world: &Self, node| world.cloud.docs[&node].state.place.name.clone();
                self.put(child, Place { parent: Some(above), name: name(self, child) })?;
                self.put(parent, Place { parent: Some(child), name: name(self, parent) })
            }
            Act::Retype(number) if self.cloud.options.delete_on_cloud => {
                let node = self.inner(number)?;
                let state = self.cloud.docs[&node].state.clone();
                self.cloud.leave(node, Departure::Deleted, false);
                self.make_at_target(state.place.parent?, state.place.name, other_kind(state.kind), number)
            }
            Act::ComeBack(number, name) => {
                let away = |doc: &super::cloud::Doc| doc.trashed || doc.outside;
                let away: Vec<_> = self.cloud.docs.iter().filter(|(_, doc)| away(doc)).map(|(node, _)| *node).collect();
                let node = *away.get(usize::from(number) % away.len().max(1))?;
                let name = if name % 2 == 0 { self.cloud.docs[&node].state.place.name.clone() } else { name_of(name) };
                self.cloud.come_back(node, &name).ok()
            }
            _ => None,
        }
    }

    /// A node that is not the folder of the set itself.
    fn inner(&self, number: u8) -> Option<NodeId> {
        self.node(number).filter(|node| self.cloud.docs[node].state.place.parent.is_some())
    }

    fn put(&mut self, node: NodeId, place: Place) -> Option<()> {
        if is_ours(&place.name) && self.cloud.docs[&node].state.place.name != place.name {
            return None;
        }
        self.cloud.edit(node, Edit { place: Some(place), ..Edit::default() }, false).ok()
    }

    fn make_at_target(&mut self, parent: NodeId, name: Name, kind: Kind, content: u8) -> Option<()> {
        if is_ours(&name) {
            return None;
        }
        let content = (kind == Kind::Document).then(|| self.content(content));
        let state = NodeState { kind, place: Place { parent: Some(parent), name }, content, properties: Properties::default() };
        let node = self.mint();
        self.cloud.create(node, &state, false).ok()
    }

    fn rotate_at_target(&mut self, numbers: &[u8]) -> Option<()> {
        let nodes: Vec<_> = numbers.iter().map(|number| self.inner(*number)).collect::<Option<_>>()?;
        let places: Vec<_> = nodes.iter().map(|node| self.cloud.docs[node].state.place.clone()).collect();
        let within = |place: &Place| nodes.iter().any(|other| self.cloud.is_beneath(place.parent, *other));
        let is_twice = (1..nodes.len()).any(|at| nodes[..at].contains(&nodes[at]));
        if is_twice || places.iter().any(within) {
            return None;
        }
        let last = nodes.len() - 1;
        self.put(nodes[last], Place { parent: places[last].parent, name: facts::name("swapping") })?;
        for at in (0..last).rev() {
            self.put(nodes[at], places[at + 1].clone())?;
        }
        self.put(nodes[last], places[0].clone())
    }

    fn request(&mut self) -> Option<()> {
        let gone =
            |row: &&super::agent::Row| row.member.source_node().is_some() && matches!(row.member.target, crate::engine::Target::Absent(_));
        let gone: Vec<_> = self.agent.rows.values().filter(gone).map(|row| row.member.node).collect();
        for node in gone {
            if self.agent.rows[&node].member.activity == crate::engine::Activity::Idle {
                self.agent.pass_absence_on(node);
                let anew = self.mint();
                self.agent.adopt(node, anew);
            }
        }
        Some(())
    }
}

/// Whether a name is one that the agent gives for a moment: nobody else would.
pub(super) fn is_ours(name: &Name) -> bool {
    name.as_str().contains(".moving")
}

const fn other_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Document => Kind::Folder,
        Kind::Folder => Kind::Document,
    }
}

fn described(which: bool, value: Option<u8>) -> (Property, Option<Value>) {
    let property = if which { Property::Author } else { Property::Software };
    (property, value.map(|value| Value::Text(value.to_string())))
}

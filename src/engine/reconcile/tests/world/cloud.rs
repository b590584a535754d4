//! The target: a library with a journal, and the refusals of the coordinator.

use std::collections::{BTreeMap, BTreeSet};

use super::folds_to;
use crate::model::{
    Change, ContentRef, Departure, FoldedName, Kind, Name, NodeId, NodeState, Place, PropertyChange, Push, Reason, Refusal, Revisions,
    Sequence, SetOptions, TargetNode,
};

/// A folder of another set.
pub(in super::super) const NEXT_DOOR: NodeId = NodeId::from_uuid(uuid::Uuid::from_u128(u128::MAX));

/// A node of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Doc {
    pub(in super::super) state: NodeState,
    pub(in super::super) revisions: Revisions,
    pub(in super::super) versions: BTreeSet<[u8; 32]>,
    pub(in super::super) trashed: bool,
    /// Taken out of the set where it is.
    pub(in super::super) released: bool,
    /// Moved to where the set does not reach; `state.place` is where it was.
    pub(in super::super) outside: bool,
}

/// One line of the journal, for this set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub(in super::super) sequence: Sequence,
    pub(in super::super) by_agent: bool,
    pub(in super::super) change: Change,
}

/// The library, and what happened in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Cloud {
    pub(in super::super) docs: BTreeMap<NodeId, Doc>,
    pub(in super::super) journal: Vec<Entry>,
    pub(in super::super) head: Sequence,
    pub(in super::super) options: SetOptions,
}

/// What a person or the agent changes of a node at once.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Edit {
    pub(in super::super) content: Option<ContentRef>,
    pub(in super::super) place: Option<Place>,
    pub(in super::super) properties: Vec<PropertyChange>,
}

impl Cloud {
    /// Whether a node is a member: it and all above are in the tree and were not taken out.
    pub(in super::super) fn is_member(&self, node: NodeId) -> bool {
        let mut at = Some(node);
        while let Some(node) = at {
            match self.docs.get(&node) {
                Some(doc) if !doc.trashed && !doc.released && !doc.outside => at = doc.state.place.parent,
                _ => return false,
            }
        }
        true
    }

    pub(in super::super) fn children(&self, folder: NodeId) -> impl Iterator<Item = NodeId> {
        let within = move |(_, doc): &(&NodeId, &Doc)| doc.state.place.parent == Some(folder) && !doc.trashed && !doc.outside;
        self.docs.iter().filter(within).map(|(node, _)| *node)
    }

    /// A node and all that is in it, folders first.
    pub(in super::super) fn subtree(&self, node: NodeId) -> Vec<NodeId> {
        let (mut found, mut at) = (vec![node], 0);
        while let Some(node) = found.get(at).copied() {
            found.extend(self.children(node));
            at += 1;
        }
        found
    }

    pub(in super::super) fn is_beneath(&self, mut at: Option<NodeId>, above: NodeId) -> bool {
        while let Some(node) = at {
            if node == above {
                return true;
            }
            at = self.docs.get(&node).and_then(|doc| doc.state.place.parent);
        }
        false
    }

    pub(in super::super) fn holder(&self, parent: Option<NodeId>, name: &FoldedName, own: NodeId) -> Option<NodeId> {
        let holds = |doc: &Doc| doc.state.place.parent == parent && !doc.trashed && !doc.outside && folds_to(&doc.state.place.name, name);
        self.docs.iter().find(|(node, doc)| **node != own && holds(doc)).map(|(node, _)| *node)
    }

    pub(in super::super) fn target(&self, node: NodeId) -> TargetNode {
        let doc = &self.docs[&node];
        TargetNode { node, state: doc.state.clone(), revisions: doc.revisions.clone() }
    }

    /// Whether a node is a member of another set, whose content may move into this one.
    fn is_next_door(&self, node: NodeId) -> bool {
        self.docs.get(&node).is_some_and(|doc| doc.state.place.parent == Some(NEXT_DOOR) && !doc.trashed)
    }

    /// Puts a node into another set: nothing is told of it here.
    pub(in super::super) fn put_next_door(&mut self, node: NodeId, state: NodeState) -> TargetNode {
        self.head = self.head.next();
        let revisions = Revisions::all_at(self.head, &state.properties);
        let versions = state.content.iter().map(|content| *content.root.as_bytes()).collect();
        self.docs.insert(node, Doc { state, revisions, versions, trashed: false, released: false, outside: false });
        self.target(node)
    }

    fn check_place(&self, node: NodeId, place: &Place) -> Result<(), Refusal> {
        if self.is_beneath(place.parent, node) {
            return Err(Refusal::Stale);
        }
        match self.holder(place.parent, &place.name.folded(), node) {
            Some(holder) => Err(Refusal::NameTaken { holder: self.is_member(holder).then_some(holder) }),
            None => Ok(()),
        }
    }

    fn check_folder(&self, parent: Option<NodeId>) -> Result<(), Refusal> {
        let Some(parent) = parent else { return Ok(()) };
        if self.is_member(parent) && self.docs[&parent].state.kind == Kind::Folder { Ok(()) } else { Err(Refusal::Missing) }
    }

    fn write(&mut self, by_agent: bool, change: Change) {
        self.journal.push(Entry { sequence: self.head, by_agent, change });
    }

    pub(in super::super) fn create(&mut self, node: NodeId, state: &NodeState, by_agent: bool) -> Result<(), Refusal> {
        self.check_folder(state.place.parent)?;
        if self.docs.contains_key(&node) {
            return Err(Refusal::Because(Reason::Internal, String::new()));
        }
        self.check_place(node, &state.place)?;
        self.head = self.head.next();
        let revisions = Revisions::all_at(self.head, &state.properties);
        let versions = state.content.iter().map(|content| *content.root.as_bytes()).collect();
        let doc = Doc { state: state.clone(), revisions, versions, trashed: false, released: false, outside: false };
        self.docs.insert(node, doc);
        let node = self.target(node);
        self.write(by_agent, Change::Entered { node, lists: false });
        Ok(())
    }

    pub(in super::super) fn edit(&mut self, node: NodeId, edit: Edit, by_agent: bool) -> Result<(), Refusal> {
        if let Some(place) = &edit.place {
            self.check_folder(place.parent)?;
            self.check_place(node, place)?;
        }
        self.head = self.head.next();
        let head = self.head;
        let doc = self.docs.get_mut(&node).ok_or(Refusal::Missing)?;
        if let Some(content) = edit.content {
            doc.state.content = Some(content);
            doc.versions.insert(*content.root.as_bytes());
            doc.revisions.content = head;
        }
        if let Some(place) = edit.place {
            doc.state.place = place;
            doc.revisions.place = head;
        }
        for change in edit.properties {
            doc.state.properties.set(change.property, change.value).map_err(|_| Refusal::Stale)?;
            doc.revisions.properties.insert(change.property, head);
        }
        let node = self.target(node);
        self.write(by_agent, Change::Present(node));
        Ok(())
    }

    /// Takes a node, with what is in it, out of the set.
    pub(in super::super) fn leave(&mut self, node: NodeId, departure: Departure, by_agent: bool) {
        self.head = self.head.next();
        if let Some(doc) = self.docs.get_mut(&node) {
            match departure {
                Departure::Deleted => doc.trashed = true,
                Departure::MovedOut => doc.outside = true,
                Departure::Released => doc.released = true,
            }
        }
        self.write(by_agent, Change::Left { node, departure });
    }

    /// Takes a node out of the trash, or moves it in again; refused if its place is taken or gone.
    pub(in super::super) fn come_back(&mut self, node: NodeId, name: &Name) -> Result<(), Refusal> {
        let doc = self.docs.get(&node).ok_or(Refusal::Missing)?;
        let place = Place { parent: doc.state.place.parent, name: name.clone() };
        self.check_folder(place.parent)?;
        self.check_place(node, &place)?;
        self.head = self.head.next();
        let head = self.head;
        let doc = self.docs.get_mut(&node).ok_or(Refusal::Missing)?;
        (doc.trashed, doc.outside, doc.released) = (false, false, false);
        doc.revisions.existence = head;
        if doc.state.place != place {
            doc.revisions.place = head;
        }
        doc.state.place = place;
        let node = self.target(node);
        self.write(false, Change::Entered { node, lists: true });
        Ok(())
    }

    /// Does what the agent asks for, or refuses.
    pub(in super::super) fn operate(&mut self, node: NodeId, push: &Push) -> Result<(), Refusal> {
        match push {
            Push::Create(state) => self.create(node, state, true),
            Push::Update { content, place, properties } => {
                let current = self.docs.get(&node).filter(|_| self.is_member(node) || self.is_next_door(node)).ok_or(Refusal::Missing)?;
                let is_current = content.is_none_or(|(_, base)| base == current.revisions.content)
                    && place.as_ref().is_none_or(|(_, base)| *base == current.revisions.place)
                    && properties.iter().all(|change| change.base == current.revisions.property(change.property));
                if !is_current {
                    return Err(Refusal::Stale);
                }
                let edit = Edit {
                    content: content.map(|(content, _)| content),
                    place: place.as_ref().map(|(place, _)| place.clone()),
                    properties: properties.clone(),
                };
                self.edit(node, edit, true)
            }
            Push::Delete { through } => self.delete(node, *through),
            Push::Release { through } if self.is_member(node) || self.is_next_door(node) => {
                let newest = |node: &NodeId| self.docs[node].revisions.newest();
                let is_newer = |through| self.subtree(node).iter().filter(|node| self.is_member(**node)).any(|node| newest(node) > through);
                if through.is_some_and(is_newer) {
                    return Err(Refusal::Stale);
                }
                self.leave(node, Departure::Released, true);
                Ok(())
            }
            Push::Release { .. } => Err(Refusal::Missing),
            Push::Pair { .. } => panic!("the planner never pairs"),
        }
    }

    fn delete(&mut self, node: NodeId, through: Sequence) -> Result<(), Refusal> {
        if self.is_next_door(node) {
            self.leave(node, Departure::Deleted, true);
            return Ok(());
        }
        if !self.is_member(node) {
            return Err(Refusal::Missing);
        }
        assert!(self.options.delete_on_cloud, "a delete where deletes are forbidden");
        let all = self.subtree(node);
        if all.iter().any(|node| self.docs[node].revisions.newest() > through) {
            return Err(Refusal::Stale);
        }
        if !all.iter().all(|node| self.is_member(*node)) {
            return Err(Refusal::NotEmpty);
        }
        self.leave(node, Departure::Deleted, true);
        Ok(())
    }
}

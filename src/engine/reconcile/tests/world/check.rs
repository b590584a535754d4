//! What holds whenever nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, World};
use crate::engine::reconcile::{Step, Waits};
use crate::engine::{Activity, Target};
use crate::model::{ContentRef, Name, NodeId, NodeState, Place, Properties, Reason};

impl World {
    /// Checks a world at rest.
    pub(in super::super) fn check(&self) {
        for row in self.agent.rows.values() {
            let node = row.member.node;
            assert_eq!(row.member.activity, Activity::Idle, "a step never ended: {row:#?}");
            assert!(self.agent.dirty.is_empty(), "something is dirty at rest");
            if !self.is_explained(node) {
                let here = row.key.map(|key| self.state_on_disk(key));
                let there = self.cloud.is_member(node).then(|| self.cloud.docs[&node].state.clone());
                assert_eq!(here, there, "the sides differ and nobody says why: {row:#?}");
                assert!(!row.member.aside, "it still stands aside: {row:#?}");
                assert_eq!(row.member.base, there, "base is not what both sides are: {row:#?}");
                assert!(there.is_some(), "nothing is left of it, and it is not forgotten: {row:#?}");
            }
            self.check_reason(node);
        }
        self.check_all_planned();
        for key in self.disk.items.keys() {
            assert!(self.agent.by_key(*key).is_some(), "nobody knows {:#?}", self.disk.items[key]);
        }
        for (node, doc) in &self.cloud.docs {
            if self.cloud.is_member(*node) {
                assert!(self.agent.rows.contains_key(node), "nobody knows {doc:#?}");
                let is_ours = super::people::is_ours(&doc.state.place.name);
                assert!(!is_ours || self.is_explained(*node), "it has a name of our own: {doc:#?}");
            }
        }
    }

    /// Whether a member's state says why its sides differ, or it waits for one that does.
    pub(in super::super) fn is_explained(&self, node: NodeId) -> bool {
        let (mut at, mut seen) = (node, BTreeSet::new());
        while seen.insert(at) {
            match self.agent.rows.get(&at) {
                Some(row) if row.reason.is_some() => return true,
                Some(row) => match row.waits {
                    Some(Waits::Node(next)) => at = next,
                    _ => return false,
                },
                None => return false,
            }
        }
        false
    }

    /// Whether what a member's state says is so.
    fn check_reason(&self, node: NodeId) {
        let row = &self.agent.rows[&node];
        let (here, there) = (row.key.is_some(), self.cloud.is_member(node));
        let is_so = match row.reason {
            None => true,
            Some(Reason::NameClash) => match &row.waits {
                Some(Waits::Name(parent, name)) => self.is_held(node, *parent, name),
                Some(Waits::Node(holder)) => self.agent.rows.contains_key(holder),
                _ => false,
            },
            Some(Reason::DeletedOnCloud | Reason::TargetNoLongerExists) => here && !there,
            Some(Reason::TargetFolderMissing) => here,
            Some(reason @ (Reason::SourceAccessDenied | Reason::NameNotAllowed | Reason::SourceUnknown)) => {
                row.key.is_some_and(|key| self.disk.items[&key].problem == Some(reason))
            }
            Some(_) => false,
        };
        assert!(is_so, "what it says is not so: {row:#?}");
    }

    fn is_held(&self, node: NodeId, parent: Option<NodeId>, name: &crate::model::FoldedName) -> bool {
        let on_disk = self.agent.rows.values().filter(|row| row.member.node != node).any(|row| {
            row.member.source_node().is_some_and(|source| source.state.place.parent == parent && source.state.place.name.folded() == *name)
        });
        on_disk || self.cloud.holder(parent, name, node).is_some()
    }

    pub(in super::super) fn state_on_disk(&self, key: Key) -> NodeState {
        let item = &self.disk.items[&key];
        let parent = item.parent.and_then(|folder| self.agent.by_key(folder));
        NodeState {
            kind: item.kind,
            place: Place { parent, name: item.name.clone() },
            content: item.content,
            properties: item.properties.clone(),
        }
    }

    /// Checks that planning everything finds nothing that planning from the dirty nodes left undone, unless it was refused before.
    fn check_all_planned(&self) {
        for row in self.agent.rows.values().filter(|row| !row.retry) {
            match self.next_step(row.member.node) {
                Some(Step::Rest) => assert_eq!(row.waits, None, "a hold is over, and nobody noticed: {row:#?}"),
                // It may say for whom it waits, although another one has the name as well by now.
                Some(Step::Hold(hold)) if hold.reason == Some(Reason::NameClash) && self.is_explained(row.member.node) => {}
                Some(Step::Hold(hold)) => {
                    assert_eq!((&row.waits, row.reason), (&Some(hold.waits), hold.reason), "a hold changed, and nobody noticed: {row:#?}");
                }
                Some(Step::Forget) if self.agent.something_in(row.member.node).is_some() => {}
                step => panic!("left undone: {step:#?} for {row:#?}"),
            }
        }
    }

    /// Whether something of an earlier state is another item now, at its place.
    pub(in super::super) fn has_replaced_any_of(&self, earlier: &Self) -> bool {
        let key = |world: &Self, node| world.agent.rows.get(node).and_then(|row| row.key);
        earlier.agent.rows.keys().any(|node| key(self, node).is_some_and(|now| key(earlier, node).is_some_and(|then| then != now)))
    }

    /// Whether the moves of both sides together would put something into itself.
    pub(in super::super) fn has_a_ring(&self) -> bool {
        let parent = |node: &NodeId| {
            let member = &self.agent.rows.get(node)?.member;
            let (base, there) = (member.base.as_ref(), member.target_node().map(|target| target.state.place.parent));
            let here = member.source_node().map(|source| source.state.place.parent);
            if there != base.map(|base| base.place.parent) { there.or(here) } else { here.or(there) }.flatten()
        };
        self.agent.rows.keys().any(|node| {
            let (mut at, mut steps) = (parent(node), 0);
            while let Some(above) = at.filter(|_| steps <= self.agent.rows.len()) {
                (at, steps) = (parent(&above), steps + 1);
            }
            at.is_some()
        })
    }

    /// What people see of the disk.
    pub(in super::super) fn shape(&self) -> Vec<(Key, Option<Key>, Name, Option<ContentRef>, bool)> {
        self.disk.items.iter().map(|(key, item)| (*key, item.parent, item.name.clone(), item.content, item.aside)).collect()
    }

    /// All items by their paths.
    pub(in super::super) fn paths(&self) -> BTreeMap<Vec<&Name>, (Option<ContentRef>, &Properties)> {
        let items = self.disk.items.values().map(|item| {
            let (mut path, mut at) = (vec![&item.name], item.parent);
            while let Some(folder) = at.map(|key| &self.disk.items[&key]) {
                path.push(&folder.name);
                at = folder.parent;
            }
            (path, (item.content, &item.properties))
        });
        items.collect()
    }

    pub(in super::super) fn reasons(&self) -> BTreeSet<&'static str> {
        self.agent.rows.values().filter_map(|row| row.reason).map(Reason::code).collect()
    }

    /// A person takes away the cause of each clash, by renaming who holds the name, or else who wants it, in the cloud if the source is locked;
    /// returns whether there was any.
    pub(in super::super) fn free_names(&mut self, attempt: usize) -> bool {
        let clashing: Vec<_> = self.agent.rows.values().filter(|row| row.reason == Some(Reason::NameClash)).cloned().collect();
        for (number, row) in clashing.iter().enumerate() {
            let fresh = super::facts::name(&format!("free {attempt} {number}"));
            let renamed = match &row.waits {
                // What the cloud renamed as well is not freed by that: the next time it is tried the other way round.
                Some(Waits::Node(holder)) if attempt.is_multiple_of(2) => &self.agent.rows[holder].clone(),
                _ => row,
            };
            if let Some(item) = renamed.key.and_then(|key| self.disk.items.get_mut(&key)) {
                item.problem = None;
            }
            let is_theirs = self.cloud.options.lock_source && self.cloud.is_member(renamed.member.node);
            match (renamed.key.filter(|_| !is_theirs), &renamed.member.target) {
                (Some(key), _) => {
                    let parent = self.disk.items[&key].parent;
                    self.disk.rename(key, parent, &fresh).unwrap();
                }
                (None, Target::Present(target)) => {
                    let place = Place { parent: target.state.place.parent, name: fresh };
                    self.cloud.edit(target.node, super::cloud::Edit { place: Some(place), ..Default::default() }, false).unwrap();
                }
                (None, _) => panic!("a clash of nothing: {row:#?}"),
            }
        }
        !clashing.is_empty()
    }
}

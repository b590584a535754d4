//! How the agent comes to know: looking at the disk, reading the journal.

use super::{Key, World};
use crate::engine::{Activity, Member, Source, SourceNode, Target};
use crate::model::{Change, NodeId, NodeState, Place, Push};

impl World {
    /// Looks at the whole disk.
    pub(in super::super) fn look(&mut self) {
        for key in self.disk.downwards() {
            match self.agent.by_key(key) {
                Some(node) => self.see(node, key),
                // What appears where a member is being made may be that member.
                None if self.is_being_made(key) || self.is_in_the_unknown(key) => {}
                None => {
                    let node = self.recognise(key);
                    self.see(node, key);
                }
            }
        }
        let gone: Vec<_> = (self.agent.rows.values())
            .filter(|row| row.member.activity != Activity::Applying && row.key.is_some_and(|key| !self.disk.items.contains_key(&key)))
            .map(|row| row.member.node)
            .collect();
        for node in gone {
            self.agent.change(node, |row| {
                row.key = None;
                row.member.source = Source::Absent;
                row.member.aside = false;
            });
        }
    }

    /// Whether the folder of an item is not known yet, because something is under way where that one is.
    fn is_in_the_unknown(&self, key: Key) -> bool {
        self.disk.items[&key].parent.is_some() && self.place(key).parent.is_none()
    }

    fn is_being_made(&self, key: Key) -> bool {
        let place = self.place(key);
        let wants = |member: &Member| member.target_node().is_some_and(|target| target.state.place == place);
        self.agent.rows.values().any(|row| row.member.activity == Activity::Applying && wants(&row.member))
    }

    /// Which member an item is that was never seen: the one of its kind at that place whose own item is gone, or a new one.
    fn recognise(&mut self, key: Key) -> NodeId {
        let item = &self.disk.items[&key];
        let place = self.place(key);
        let replaces = self.agent.rows.values().find(|row| {
            let was_there = row.member.source_node().is_some_and(|source| source.state.place == place && source.state.kind == item.kind);
            let is_free = !row.member.aside && row.member.activity != Activity::Applying;
            was_there && is_free && row.key.is_some_and(|key| !self.disk.items.contains_key(&key))
        });
        match replaces.map(|row| row.member.node) {
            Some(node) => {
                if let Some(item) = self.disk.items.get_mut(&key).filter(|item| item.properties.is_empty()) {
                    item.properties_known = false;
                }
                node
            }
            None => self.mint(),
        }
    }

    fn place(&self, key: Key) -> Place {
        let item = &self.disk.items[&key];
        Place { parent: item.parent.and_then(|folder| self.agent.by_key(folder)), name: item.name.clone() }
    }

    fn see(&mut self, node: NodeId, key: Key) {
        if self.is_seen(node, key) {
            return;
        }
        let (place, item) = (self.place(key), self.disk.items[&key].clone());
        let state = NodeState { kind: item.kind, place, content: item.content, properties: item.properties };
        let problem = item.problem.map(|reason| (reason, String::new()));
        let is_busy = self.agent.rows.get(&node).is_some_and(|row| row.member.activity == Activity::Applying);
        if is_busy || self.is_in_the_unknown(key) {
            return;
        }
        self.agent.change(node, |row| {
            row.key = Some(key);
            row.member.aside = item.aside;
            row.member.source = Source::Present(SourceNode { state, properties_known: item.properties_known, problem });
        });
    }

    /// Whether an item is just as it was seen before.
    fn is_seen(&self, node: NodeId, key: Key) -> bool {
        let item = &self.disk.items[&key];
        let Some((row, source)) = self.agent.rows.get(&node).and_then(|row| row.member.source_node().map(|source| (row, source))) else {
            return false;
        };
        let parent = item.parent.and_then(|folder| self.agent.by_key(folder));
        let problem = source.problem.as_ref().map(|(reason, _)| *reason);
        (row.key, row.member.aside, source.properties_known, problem) == (Some(key), item.aside, item.properties_known, item.problem)
            && (source.state.place.parent, &source.state.place.name) == (parent, &item.name)
            && (source.state.content, &source.state.properties) == (item.content, &item.properties)
    }

    /// Reads the journal to its end.
    pub(in super::super) fn deliver(&mut self) {
        while let Some(entry) = self.cloud.journal.get(self.read).cloned() {
            self.read += 1;
            self.agent.through = entry.sequence;
            let node = entry.change.node();
            let target = match &entry.change {
                Change::Present(node) | Change::Entered { node, .. } => Target::Present(node.clone()),
                Change::Left { departure, .. } => Target::Absent(*departure),
            };
            let known = self.agent.rows.contains_key(&node);
            if known || matches!(target, Target::Present(_)) {
                self.agent.change(node, |row| row.member.target = target);
            }
            if matches!(entry.change, Change::Entered { lists: true, .. }) {
                self.list(node);
            }
        }
    }

    /// Takes in what is in a folder that entered the set. A listing is newer than the journal so far; what the journal says of it later is the
    /// same again.
    fn list(&mut self, folder: NodeId) {
        for node in self.cloud.subtree(folder).into_iter().skip(1).filter(|node| self.cloud.is_member(*node)).collect::<Vec<_>>() {
            let target = self.cloud.target(node);
            self.agent.change(node, |row| row.member.target = Target::Present(target));
        }
    }

    /// Takes in that a push was done: base becomes what was pushed, and the target what the journal says.
    pub(super) fn pushed(&mut self, node: NodeId, push: &Push) {
        self.agent.change(node, |row| {
            row.member.activity = Activity::Idle;
            let base = &mut row.member.base;
            match push {
                Push::Create(state) => *base = Some(state.clone()),
                Push::Update { content, place, properties } => {
                    let Some(base) = base else { return };
                    if let Some((content, _)) = content {
                        base.content = Some(*content);
                    }
                    if let Some((place, _)) = place {
                        base.place = place.clone();
                    }
                    for change in properties {
                        base.properties.set(change.property, change.value.clone()).unwrap();
                    }
                }
                Push::Delete { .. } | Push::Release { .. } | Push::Pair { .. } => {}
            }
        });
        self.agent.dirty.insert(node);
    }
}

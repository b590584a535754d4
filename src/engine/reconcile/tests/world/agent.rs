//! The agent's trees, and who has to be planned again when they change: as the agent's stored members do it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::disk::Key;
use super::folds_to;
use crate::engine::reconcile::Waits;
use crate::engine::{Member, Source, Target, TreeView, Unsettled};
use crate::model::{FoldedName, Kind, NodeId, Place, Reason, Sequence, SetOptions};

/// A member, with what the agent keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Row {
    pub(in super::super) member: Member,
    /// The item of the disk that it is.
    pub(in super::super) key: Option<Key>,
    pub(in super::super) waits: Option<Waits>,
    pub(in super::super) reason: Option<Reason>,
    /// It failed, and is tried again after a while.
    pub(in super::super) retry: bool,
}

impl Row {
    pub(in super::super) const fn new(node: NodeId) -> Self {
        Self { member: Member::new(node), key: None, waits: None, reason: None, retry: false }
    }

    fn source_place(&self) -> Option<&Place> {
        self.member.source_node().filter(|_| !self.member.aside).map(|source| &source.state.place)
    }

    fn target_place(&self) -> Option<&Place> {
        self.member.target_node().map(|target| &target.state.place)
    }
}

/// All members of a set, and which are to be planned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Agent {
    pub(in super::super) rows: BTreeMap<NodeId, Row>,
    pub(in super::super) dirty: BTreeSet<NodeId>,
    pub(in super::super) options: SetOptions,
    pub(in super::super) through: Sequence,
    pub(in super::super) unsettled: Option<Gap>,
}

/// [`Unsettled`], comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Gap {
    Source,
    Target,
}

impl Agent {
    pub(in super::super) fn of(members: impl IntoIterator<Item = Member>, options: SetOptions) -> Self {
        let rows = members.into_iter().map(|member| (member.node, Row { member: member.clone(), ..Row::new(member.node) })).collect();
        Self { rows, options, through: Sequence::new(7), ..Self::default() }
    }

    pub(in super::super) fn by_key(&self, key: Key) -> Option<NodeId> {
        self.rows.values().find(|row| row.key == Some(key)).map(|row| row.member.node)
    }

    /// Changes a member, makes it if there is none, and marks as dirty whoever that concerns.
    pub(in super::super) fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Row)) {
        let before = self.rows.remove(&node);
        let mut after = before.clone().unwrap_or_else(|| Row::new(node));
        change(&mut after);
        self.replace(node, before, Some(after));
    }

    pub(in super::super) fn save(&mut self, node: NodeId, after: Option<Row>) {
        let before = self.rows.remove(&node);
        self.replace(node, before, after);
    }

    fn replace(&mut self, node: NodeId, before: Option<Row>, after: Option<Row>) {
        if before == after {
            self.rows.extend(after.map(|row| (node, row)));
            return;
        }
        for places in [Row::source_place, Row::target_place] {
            let (old, new) = (before.as_ref().and_then(places), after.as_ref().and_then(places));
            if old != new {
                for place in old.into_iter().chain(new) {
                    self.wake(&Waits::Name(place.parent, place.name.folded()));
                }
            }
        }
        if before.as_ref().map(|row| &row.member) != after.as_ref().map(|row| &row.member) {
            self.dirty.insert(node);
            self.wake(&Waits::Node(node));
            self.wake_children(node, before.as_ref(), after.as_ref());
        } else if before.as_ref().map(standing) != after.as_ref().map(standing) {
            self.wake(&Waits::Node(node));
        }
        self.wake_left_folders(before.as_ref(), after.as_ref());
        self.wake_above(before.as_ref(), after.as_ref());
        match after {
            Some(row) => drop(self.rows.insert(node, row)),
            None => {
                self.dirty.remove(&node);
            }
        }
    }

    fn wake(&mut self, waits: &Waits) {
        let woken = self.rows.values().filter(|row| row.waits.as_ref() == Some(waits)).map(|row| row.member.node);
        self.dirty.extend(woken);
    }

    /// Nothing can be planned for a while, or again.
    pub(in super::super) fn unsettle(&mut self, gap: Option<Gap>) {
        if self.unsettled != gap {
            self.unsettled = gap;
            self.wake(&Waits::Set);
        }
    }

    fn wake_children(&mut self, node: NodeId, before: Option<&Row>, after: Option<&Row>) {
        let is_folder = after.or(before).is_some_and(|row| is_folder(&row.member));
        let seen = |row: Option<&Row>| {
            let member = row.map(|row| &row.member);
            let target = member.map(|member| std::mem::discriminant(&member.target));
            (member.is_some_and(|member| member.source_node().is_some()), target, member.is_some_and(|member| member.shallow))
        };
        if is_folder && seen(before) != seen(after) {
            let children = self.children(node, Row::source_place).chain(self.children(node, Row::target_place));
            let children: Vec<_> = children.collect();
            self.dirty.extend(children);
        }
    }

    /// A folder that is gone is removed, or forgotten, only after what was in it has left.
    fn wake_left_folders(&mut self, before: Option<&Row>, after: Option<&Row>) {
        let left = folders(before).into_iter().zip(folders(after)).filter(|(left, now)| left != now);
        self.dirty.extend(left.filter_map(|(left, _)| left).filter(|folder| self.rows.contains_key(folder)));
    }

    /// What a folder waits for can be decided by what moves deep beneath it.
    fn wake_above(&mut self, before: Option<&Row>, after: Option<&Row>) {
        let ([_, was, base], [_, is, base_is]) = (folders(before), folders(after));
        let left = |before: Option<NodeId>, after| before.is_some() && before != after;
        if !left(was, is) && !left(base, base_is) {
            return;
        }
        for mut at in [was, is.filter(|_| is != was)] {
            for _ in 0..self.rows.len() {
                let Some(above) = at.and_then(|folder| self.rows.get(&folder)) else { break };
                self.dirty.extend(above.waits.as_ref().map(|_| above.member.node));
                at = above.target_place().and_then(|place| place.parent);
            }
        }
    }

    fn children(&self, parent: NodeId, place: fn(&Row) -> Option<&Place>) -> impl Iterator<Item = NodeId> {
        let is_child = move |row: &&Row| place(row).is_some_and(|place| place.parent == Some(parent));
        self.rows.values().filter(is_child).map(|row| row.member.node)
    }

    /// Something that is still in a folder that is gone.
    pub(in super::super) fn something_in(&self, node: NodeId) -> Option<NodeId> {
        self.children(node, Row::source_place).chain(self.children(node, Row::target_place)).next()
    }

    /// Takes over what a folder that left the set took along: the child left as well.
    pub(in super::super) fn inherit_absence(&mut self, node: NodeId) {
        let parent = self.rows.get(&node).and_then(Row::target_place).and_then(|place| place.parent);
        let folder = parent.and_then(|parent| self.rows.get(&parent));
        if let Some(Target::Absent(departure)) = folder.map(|folder| folder.member.target.clone()) {
            self.change(node, |row| row.member.target = Target::Absent(departure));
        }
    }

    /// Writes down for what is in a folder that left the set that it left as well.
    pub(in super::super) fn pass_absence_on(&mut self, folder: NodeId) {
        for child in self.children(folder, Row::target_place).collect::<Vec<_>>() {
            self.inherit_absence(child);
        }
    }

    /// Gives the source side of a member to the node that the target has in its place.
    pub(in super::super) fn adopt(&mut self, ours: NodeId, theirs: NodeId) {
        let Some(mine) = self.rows.get(&ours).cloned() else { return };
        let mut row = self.rows.get(&theirs).cloned().unwrap_or_else(|| Row::new(theirs));
        row.member.source = mine.member.source.clone();
        row.key = mine.key;
        self.save(ours, None);
        self.save(theirs, Some(row));
        let children: Vec<_> = self.children(ours, Row::source_place).collect();
        for child in children {
            self.change(child, |row| {
                if let Source::Present(source) = &mut row.member.source {
                    source.state.place.parent = Some(theirs);
                }
            });
        }
    }
}

/// What a member waits for, and why.
fn standing(row: &Row) -> (&Option<Waits>, Option<Reason>) {
    (&row.waits, row.reason)
}

/// The folder that a member is in, in each of the three trees.
fn folders(row: Option<&Row>) -> [Option<NodeId>; 3] {
    let base = row.and_then(|row| row.member.base.as_ref()).map(|base| &base.place);
    [row.and_then(Row::source_place), row.and_then(Row::target_place), base].map(|place| place.and_then(|place| place.parent))
}

fn is_folder(member: &Member) -> bool {
    let source = member.source_node().map(|source| source.state.kind);
    let target = member.target_node().map(|target| target.state.kind);
    [source, target, member.base.as_ref().map(|base| base.kind)].contains(&Some(Kind::Folder))
}

impl TreeView for Agent {
    type Error = Infallible;

    fn member(&self, node: NodeId) -> Result<Option<Member>, Infallible> {
        Ok(self.rows.get(&node).map(|row| row.member.clone()))
    }

    fn source_holders(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Vec<NodeId>, Infallible> {
        let holds = |row: &&Row| row.source_place().is_some_and(|place| place.parent == parent && folds_to(&place.name, name));
        let mut holders: Vec<_> = self.rows.values().filter(holds).collect();
        holders.sort_by_key(|row| (row.source_place().map(|place| place.name.clone()), row.member.node));
        Ok(holders.into_iter().map(|row| row.member.node).collect())
    }

    fn target_holder(&self, parent: Option<NodeId>, name: &FoldedName) -> Result<Option<NodeId>, Infallible> {
        let holds = |row: &&Row| row.target_place().is_some_and(|place| place.parent == parent && folds_to(&place.name, name));
        Ok(self.rows.values().find(holds).map(|row| row.member.node))
    }

    fn has_source_children(&self, parent: NodeId) -> Result<bool, Infallible> {
        Ok(self.children(parent, Row::source_place).next().is_some())
    }

    fn target_children(&self, parent: NodeId) -> Result<Vec<NodeId>, Infallible> {
        Ok(self.children(parent, Row::target_place).collect())
    }

    /// There is only one set.
    fn target_guest(&self, _parent: NodeId) -> Result<Option<NodeId>, Infallible> {
        Ok(None)
    }

    fn options(&self) -> SetOptions {
        self.options
    }

    fn known_through(&self) -> Sequence {
        self.through
    }

    fn unsettled(&self) -> Option<Unsettled> {
        self.unsettled.map(|gap| match gap {
            Gap::Source => Unsettled::Source,
            Gap::Target => Unsettled::Target,
        })
    }
}

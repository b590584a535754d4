//! A small world for the planner: a disk, a library, and an agent that sees both only by looking and by reading the journal.
//!
//! What the agent does with a step, and what it then believes, follows the agent itself: its runs of the planner, what comes of pushes and of
//! orders, how the journal is taken in. Disk and library refuse what the real ones refuse.

mod agent;
mod check;
mod cloud;
mod disk;
mod looks;
mod people;
mod run;

use std::collections::BTreeSet;

pub(super) use agent::{Agent, Gap};
pub(super) use cloud::Cloud;
pub(super) use disk::{Disk, Item, Key};
pub(super) use people::{Act, Deed, Side};

use super::facts;
use crate::model::{ContentRef, FoldedName, Kind, Name, NodeId, NodeState, SetOptions};

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    pub(super) disk: Disk,
    pub(super) cloud: Cloud,
    pub(super) agent: Agent,
    /// How much of the journal the agent has read.
    pub(super) read: usize,
    /// Contents in the agent's version store.
    pub(super) kept: BTreeSet<[u8; 32]>,
    /// Contents that are kept because both sides had changed them.
    pub(super) conflicts: BTreeSet<[u8; 32]>,
    minted: u128,
    contents: u64,
    /// Decides which of two new ids is the lesser.
    ids: Chance,
    /// Decides about everything that can happen in any order.
    pub(super) order: Chance,
    /// Whether at first only a part of what is to be done happens in a round.
    pub(super) is_slow: bool,
    /// Whether everything is planned in each round, instead of what is dirty.
    pub(super) plans_all: bool,
}

/// Numbers that look random, and are the same for the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance(pub(super) u64);

/// A node of the state in which both sides agree at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed {
    /// Which of the folders so far holds it.
    pub(super) folder: u8,
    pub(super) name: u8,
    pub(super) kind: Kind,
}

/// Names that people use. Some fold to the same: by case, or by how an accent is written.
const NAMES: [&str; 7] = ["a", "b", "c", "A", "d", "\u{e9}", "e\u{301}"];

/// Whether a name folds to another one. What is plain is compared without folding it, which takes longer than all the rest.
fn folds_to(name: &Name, folded: &FoldedName) -> bool {
    let text = folded.as_str();
    if name.as_str().is_ascii() { name.as_str().eq_ignore_ascii_case(text) } else { !text.is_ascii() && name.folded() == *folded }
}

pub(super) fn name_of(number: u8) -> Name {
    facts::name(NAMES[usize::from(number) % NAMES.len()])
}

impl World {
    /// A set of one folder, in step.
    pub(super) fn in_step(seeds: &[Seed], options: SetOptions, ids: u64, order: u64) -> Self {
        let agent = Agent { options, ..Agent::default() };
        let cloud = Cloud { options, ..Cloud::default() };
        let mut world = Self {
            disk: Disk::default(),
            cloud,
            agent,
            read: 0,
            kept: BTreeSet::new(),
            conflicts: BTreeSet::new(),
            minted: 0,
            contents: 100,
            ids: Chance(ids),
            order: Chance(order),
            is_slow: false,
            plans_all: false,
        };
        let mut folders = vec![world.both(None, None, &facts::folder(None, "root"))];
        for seed in seeds {
            let (key, parent) = folders[usize::from(seed.folder) % folders.len()];
            let name = name_of(seed.name);
            if world.cloud.holder(Some(parent), &name.folded(), facts::id(0)).is_some() {
                continue;
            }
            let content = (seed.kind == Kind::Document).then(|| world.fresh_content());
            let state = NodeState { kind: seed.kind, content, ..facts::folder(Some(parent), name.as_str()) };
            let made = world.both(Some(key), Some(parent), &state);
            if seed.kind == Kind::Folder {
                folders.push(made);
            }
        }
        world.agent.dirty.clear();
        world
    }

    fn both(&mut self, folder: Option<Key>, parent: Option<NodeId>, state: &NodeState) -> (Key, NodeId) {
        let node = self.mint();
        let state = NodeState { place: crate::model::Place { parent, ..state.place.clone() }, ..state.clone() };
        let key = self.disk.make(item(folder, &state)).unwrap();
        self.cloud.create(node, &state, false).unwrap();
        self.deliver();
        self.agent.change(node, |row| {
            row.key = Some(key);
            row.member.source = facts::here(&state);
            row.member.base = Some(state.clone());
        });
        (key, node)
    }

    /// The agent loses all it knew: everything is seen anew on both sides.
    pub(super) fn forget_everything(&mut self) {
        let nodes: Vec<_> = self.agent.rows.keys().copied().collect();
        self.agent.rows.clear();
        self.agent.unsettle(Some(Gap::Source));
        for node in nodes.into_iter().filter(|node| self.cloud.is_member(*node)) {
            let target = self.cloud.target(node);
            self.agent.change(node, |row| row.member.target = crate::engine::Target::Present(target));
        }
    }

    /// Every content of the disk: the only place from which any can vanish, for nothing else forgets.
    fn on_disk(&self) -> Vec<[u8; 32]> {
        self.disk.items.values().filter_map(|item| item.content).map(|content| *content.root.as_bytes()).collect()
    }

    /// Whether a person can still get at a content.
    fn is_reachable(&self, content: &[u8; 32]) -> bool {
        self.kept.contains(content)
            || self.on_disk().contains(content)
            || self.cloud.docs.values().any(|doc| doc.versions.contains(content))
    }

    /// Ids grow, but not in the order of names: who has the least is up to chance.
    fn mint(&mut self) -> NodeId {
        self.minted += 1;
        facts::id((u128::from(self.ids.draw() % 64) << 64) + self.minted)
    }

    fn fresh_content(&mut self) -> ContentRef {
        self.contents += 1;
        facts::content(self.contents)
    }
}

impl Chance {
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            let other = self.below(at + 1);
            things.swap(at, other);
        }
    }
}

fn item(parent: Option<Key>, state: &NodeState) -> Item {
    Item {
        parent,
        name: state.place.name.clone(),
        kind: state.kind,
        content: state.content,
        properties: state.properties.clone(),
        properties_known: true,
        aside: false,
        problem: None,
    }
}

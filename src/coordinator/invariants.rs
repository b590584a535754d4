//! Random changes by people and by agents, and what holds after them whatever they were.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::journal::Entry;
use super::library::{Child, Lineage, Marker, Node, Parent, Trail, Trash, Version};
use super::networks::Network;
use super::sets::{Definition, DirectMember};
use super::testing::{FOLDER, KEEP, World, content, document_state, folder_state, name};
use crate::model::{Change, Cursor, Kind, NodeId, Operation, Outcome, Place, Push, Refusal, Sequence, SetOptions, SetShape, TargetNode};
use crate::store::testing::Faults;
use crate::store::{ReadExt as _, Store};

/// One random step. The numbers pick nodes, folders, names and sets out of what there is, so that most steps make sense.
#[derive(Debug, Clone)]
enum Step {
    Mkdir { folder: usize, name: usize },
    Write { folder: usize, name: usize, bytes: usize },
    Move { node: usize, folder: usize, name: usize },
    Copy { node: usize, folder: usize, name: usize },
    Remove { node: usize },
    Restore { node: usize, folder: Option<usize> },
    Create { set: usize, parent: Option<usize>, name: usize, folder: bool },
    Edit { set: usize, node: usize, bytes: usize },
    Place { set: usize, node: usize, parent: usize, name: usize },
    Delete { set: usize, node: usize },
    Release { set: usize, node: usize },
    Pair { set: usize, node: usize },
    Unsync { set: usize, node: Option<usize> },
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..40usize;
    let names = 0..6usize;
    let sets = 0..4usize;
    prop_oneof![
        2 => (n.clone(), names.clone()).prop_map(|(folder, name)| Step::Mkdir { folder, name }),
        2 => (n.clone(), names.clone(), n.clone()).prop_map(|(folder, name, bytes)| Step::Write { folder, name, bytes }),
        4 => (n.clone(), n.clone(), names.clone()).prop_map(|(node, folder, name)| Step::Move { node, folder, name }),
        1 => (n.clone(), n.clone(), names.clone()).prop_map(|(node, folder, name)| Step::Copy { node, folder, name }),
        2 => n.clone().prop_map(|node| Step::Remove { node }),
        2 => (n.clone(), proptest::option::of(n.clone())).prop_map(|(node, folder)| Step::Restore { node, folder }),
        5 => (sets.clone(), proptest::option::weighted(0.7, n.clone()), names.clone(), any::<bool>())
            .prop_map(|(set, parent, name, folder)| Step::Create { set, parent, name, folder }),
        2 => (sets.clone(), n.clone(), n.clone()).prop_map(|(set, node, bytes)| Step::Edit { set, node, bytes }),
        3 => (sets.clone(), n.clone(), n.clone(), names).prop_map(|(set, node, parent, name)| Step::Place { set, node, parent, name }),
        1 => (sets.clone(), n.clone()).prop_map(|(set, node)| Step::Delete { set, node }),
        1 => (sets.clone(), n.clone()).prop_map(|(set, node)| Step::Release { set, node }),
        2 => (sets.clone(), n.clone()).prop_map(|(set, node)| Step::Pair { set, node }),
        1 => (sets, proptest::option::weighted(0.97, n)).prop_map(|(set, node)| Step::Unsync { set, node }),
    ]
}

struct Play {
    world: World,
    sets: Vec<Definition>,
    done: Vec<(Operation, Outcome)>,
}

impl Play {
    fn new(faults: Faults) -> Self {
        let world = World::on(&Store::memory(), faults);
        let sets = vec![
            world.set("site/A", FOLDER, SetOptions::default()),
            world.set("site/A", FOLDER, KEEP),
            world.set("site/A/deep/er", SetShape::Folder { subfolders: false }, SetOptions::default()),
            world.set("site/B", SetShape::Documents, SetOptions::default()),
        ];
        let mut play = Self { world, sets, done: Vec::new() };
        play.furnish();
        play
    }

    /// Picks a node, by its id: any, or only a folder.
    fn pick(&self, number: usize, folders: bool) -> NodeId {
        let nodes = all::<Node>(&self.world);
        let wanted: Vec<_> = nodes.iter().filter(|(_, node)| !folders || node.kind == Kind::Folder).collect();
        wanted[number % wanted.len()].0.1
    }

    /// Picks a node for an operation: a member of the set, or now and then any.
    fn pick_of(&self, set: usize, number: usize, folders: bool) -> NodeId {
        let set = &self.sets[set];
        let in_force = self.world.read(|read| Ok(Definition::in_force(read, set.set.id)?)).is_some();
        let mut members = if in_force { self.world.members(set, None) } else { Vec::new() };
        members.retain(|member| !folders || member.state.kind == Kind::Folder);
        match members.len() {
            count if count > 0 && !number.is_multiple_of(5) => members[number / 5 % count].node,
            _ => self.pick(number, folders),
        }
    }

    /// Makes what the sets begin with, so that there is something to change.
    fn furnish(&mut self) {
        for set in 0..2 {
            let top = self.world.node_id();
            self.operate(set, top, Push::Create(folder_state(None, ["top", "kept"][set])));
            let inner = self.world.node_id();
            self.operate(set, inner, Push::Create(folder_state(Some(top), "a")));
            self.operate(set, self.world.node_id(), Push::Create(document_state(Some(inner), "b", "1")));
        }
        self.operate(2, self.world.node_id(), Push::Create(folder_state(None, "flat")));
        self.operate(3, self.world.node_id(), Push::Create(document_state(None, "c", "1")));
    }

    fn at(&self, node: NodeId) -> String {
        let lineage = self.world.node(node);
        let site = if lineage.site == self.world.site { "site" } else { "other" };
        format!("{site}/{}", lineage.path_in_library())
    }

    fn operate(&mut self, set: usize, node: NodeId, push: Push) {
        let operation = self.world.operation(&self.sets[set], node, push);
        let outcome = self.world.apply(&operation);
        self.done.push((operation, outcome));
    }

    fn play(&mut self, step: &Step) {
        let text = |number: usize| ["a", "b", "c", "d", "e", "f"][number];
        let admin = self.world.admin();
        match *step {
            Step::Mkdir { folder, name } => drop(admin.mkdir(&self.at(self.pick(folder, true)), text(name))),
            Step::Write { folder, name, bytes } => {
                drop(admin.write(&self.at(self.pick(folder, true)), text(name), &"x".repeat(bytes)));
            }
            Step::Move { node, folder, name } => {
                drop(admin.mv(&self.at(self.pick(node, false)), &self.at(self.pick(folder, true)), text(name)));
            }
            Step::Copy { node, folder, name } => {
                drop(admin.cp(&self.at(self.pick(node, false)), &self.at(self.pick(folder, true)), text(name)));
            }
            Step::Remove { node } => drop(admin.rm(&self.at(self.pick(node, false)))),
            Step::Restore { node, folder } => {
                let trash = all::<Trash>(&self.world);
                if let Some(((_, _, _, node), ())) = trash.get(node % trash.len().max(1)) {
                    let folder = folder.map(|folder| self.at(self.pick(folder, true)));
                    drop(admin.restore(*node, folder.as_deref()));
                }
            }
            Step::Create { set, parent, name, folder } => {
                let parent = parent.map(|parent| self.pick_of(set, parent, true));
                let state = if folder { folder_state(parent, text(name)) } else { document_state(parent, text(name), text(name)) };
                self.operate(set, self.world.node_id(), Push::Create(state));
            }
            Step::Edit { set, node, bytes } => {
                let node = self.pick_of(set, node, false);
                let base = self.world.node(node).node.revisions.content;
                let push = Push::Update { content: Some((content(&"y".repeat(bytes)), base)), place: None, properties: Vec::new() };
                self.operate(set, node, push);
            }
            Step::Place { set, node, parent, name: to } => {
                let (node, parent) = (self.pick_of(set, node, false), self.pick_of(set, parent, true));
                let lineage = self.world.node(node);
                let parent = (!lineage.node.is_direct_member()).then_some(parent);
                let place = Some((Place { parent, name: name(text(to)) }, lineage.node.revisions.place));
                self.operate(set, node, Push::Update { content: None, place, properties: Vec::new() });
            }
            Step::Delete { set, node } => {
                self.operate(set, self.pick_of(set, node, false), Push::Delete { through: self.world.head().sequence });
            }
            Step::Release { set, node } => self.operate(set, self.pick_of(set, node, false), Push::Release { through: None }),
            Step::Pair { set, node } => {
                let node = self.pick(node, false);
                self.operate(set, node, Push::Pair { content: self.world.node(node).node.content });
            }
            Step::Unsync { set, node } => {
                let node = node.map(|node| self.pick_of(set, node, false));
                drop(admin.unsync(&self.sets[set], node, false));
            }
        }
    }

    fn check(&self) {
        let world = &self.world;
        let nodes: BTreeMap<NodeId, Node> = all::<Node>(world).into_iter().map(|((_, id), node)| (id, node)).collect();
        check_indexes(world, &nodes);
        check_trail(world, &nodes);
        let versions: u64 = all::<Version>(world).iter().map(|(_, version)| version.content.size_bytes).sum();
        let network = &all::<Network>(world)[0].1;
        assert_eq!(network.used_bytes, versions, "used bytes");
        let sequences: Vec<_> = all::<Entry>(world).into_iter().map(|((_, sequence), _)| sequence.get()).collect();
        assert_eq!(sequences, (1..=network.head.get()).collect::<Vec<_>>(), "the journal is dense");
        for set in &self.sets {
            if let Some(set) = world.read(|read| Ok(Definition::in_force(read, set.set.id)?)) {
                let listed = world.members(&set, None).into_iter().map(|member| (member.node, member)).collect::<BTreeMap<_, _>>();
                assert_eq!(replay(world, &set), listed, "the journal of {:?} from the beginning gives its members", set.set.id);
            }
        }
    }

    /// Sends every operation again: those that were done, and those whose refusal is kept, change nothing.
    fn check_repeating(&self) {
        let rows = self.world.rows();
        for (operation, outcome) in &self.done {
            if matches!(outcome, Outcome::Done(_) | Outcome::Refused(Refusal::NameTaken { .. } | Refusal::NotEmpty)) {
                let again = self.world.apply(operation);
                assert!(again == *outcome || again == Outcome::Refused(Refusal::Missing), "{again:?} after {outcome:?}");
            }
        }
        assert_eq!(self.world.rows(), rows, "repeating changes nothing");
    }
}

fn all<R: crate::store::Record>(world: &World) -> Vec<(R::Key, R::Value)> {
    world.read(|read| Ok(read.scan::<R>(&(), None, usize::MAX)?))
}

fn check_indexes(world: &World, nodes: &BTreeMap<NodeId, Node>) {
    let mut children = BTreeMap::new();
    let (mut trash, mut direct) = (BTreeSet::new(), BTreeSet::new());
    for (id, node) in nodes {
        assert!(world.read(|read| Ok(Lineage::read(read, world.network, *id)?)).is_some(), "no circle above {id}");
        match (node.trashed, node.parent) {
            (Some(_), _) => assert!(trash.insert(*id)),
            (None, Parent::Folder(folder)) => {
                let other = children.insert((world.network, folder, node.name.folded()), *id);
                assert_eq!(other, None, "two nodes of one name");
            }
            (None, Parent::Site(_)) => {}
        }
        if let Some(Marker::DirectMember { set, .. }) = node.marker {
            direct.insert((set, *id));
        }
        assert_eq!(node.content.is_some(), node.kind == Kind::Document);
    }
    assert_eq!(all::<Child>(world).into_iter().collect::<BTreeMap<_, _>>(), children, "names");
    assert_eq!(all::<Trash>(world).into_iter().map(|((_, _, _, id), ())| id).collect::<BTreeSet<_>>(), trash, "trash");
    assert_eq!(all::<DirectMember>(world).into_iter().map(|(key, ())| key).collect::<BTreeSet<_>>(), direct, "direct members");
}

fn check_trail(world: &World, nodes: &BTreeMap<NodeId, Node>) {
    let mut edges = BTreeSet::new();
    for (id, _) in nodes.iter().filter(|(_, node)| node.is_direct_member()) {
        edges.extend(world.node(*id).steps().map(|(above, below)| (world.network, above, below)));
    }
    assert_eq!(all::<Trail>(world).into_iter().map(|(key, ())| key).collect::<BTreeSet<_>>(), edges, "the trail");
}

/// Follows the journal of a set from its beginning, as an agent does: what is listed may be newer than the entry that says to list it,
/// so a state never goes back, and an entry that says that a node left is void for one that has entered again since.
fn replay(world: &World, set: &Definition) -> BTreeMap<NodeId, TargetNode> {
    let mut known: BTreeMap<NodeId, TargetNode> = BTreeMap::new();
    let learn = |known: &mut BTreeMap<NodeId, TargetNode>, node: TargetNode| {
        if known.get(&node.node).is_none_or(|held| held.revisions.newest() <= node.revisions.newest()) {
            known.insert(node.node, node);
        }
    };
    let list = |known: &mut BTreeMap<NodeId, TargetNode>, node: NodeId| {
        world.members(set, Some(node)).into_iter().for_each(|member| learn(known, member));
    };
    for entry in world.told(set, Cursor { sequence: Sequence::ZERO, ..world.head() }) {
        match entry.change {
            Change::Present(node) => {
                // It was not listed where it lay when its folder entered, as it has been moved since.
                let unknown = (!known.contains_key(&node.node) && node.state.kind == Kind::Folder).then_some(node.node);
                learn(&mut known, node);
                if let Some(folder) = unknown {
                    list(&mut known, folder);
                }
            }
            Change::Entered { node, lists } => {
                let id = node.node;
                learn(&mut known, node);
                if lists {
                    list(&mut known, id);
                }
            }
            Change::Left { node, .. } => {
                let is_back = known.get(&node).is_some_and(|held| held.revisions.existence > entry.sequence);
                let mut gone = if is_back { Vec::new() } else { vec![node] };
                while let Some(top) = gone.pop() {
                    known.remove(&top);
                    gone.extend(known.values().filter(|held| held.state.place.parent == Some(top)).map(|held| held.node));
                }
            }
        }
    }
    // What hangs on a folder that never became known has left with something above that folder.
    let hangs_on_nothing = |node: &TargetNode| node.state.place.parent.is_some_and(|parent| !known.contains_key(&parent));
    let mut orphans: Vec<NodeId> = known.values().filter(|node| hangs_on_nothing(node)).map(|node| node.node).collect();
    while let Some(orphan) = orphans.pop() {
        known.remove(&orphan);
        orphans.extend(known.values().filter(|held| held.state.place.parent == Some(orphan)).map(|held| held.node));
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_library_the_journal_and_the_members_agree(steps in proptest::collection::vec(step(), 1..60)) {
        let mut play = Play::new(Faults { repeated: 50, ..Faults::default() });
        for step in &steps {
            play.play(step);
        }
        play.check();
        play.check_repeating();
    }
}

#[test]
fn a_long_play_agrees_after_every_step() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    use proptest::strategy::ValueTree as _;
    let steps = proptest::collection::vec(step(), 250).new_tree(&mut runner).unwrap().current();
    let mut play = Play::new(Faults::default());
    for step in &steps {
        play.play(step);
        play.check();
    }
    let done = play.done.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))).count();
    assert!(done > 20, "the play does something: {done} of {} operations", play.done.len());
}

//! Scenes: what some runs have more of, because it comes about too seldom by itself, and what then goes wrong is bad.
//!
//! Runs with numbers from [`SINCE`] on have one each, in turn, beside all that other runs have. Those below are as they were when some of them
//! found something.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::FutureExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use skybridge::model::{Kind, NodeId};
use skybridge::wire::pb;
use tokio::time::timeout;

use super::{Done, PATIENCE, Sim};
use crate::disk::CallKind;
use crate::net::Host;
use crate::world::Seed;
use crate::world::agent::LIBRARY;
use crate::world::cloud::{Plan, content};
use crate::world::events::Event;
use crate::world::ledger::Side;
use crate::world::source::AtSource;

const SINCE: u64 = 10_000;
/// How often a scene is played in a run.
const TURNS: u64 = 10;

/// How often once more when all rests.
const TURNS_AGAIN: u64 = 3;

/// What a run has more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// Reports of changes come late, or are lost, while people move what is changed in the cloud.
    LateReports,
    /// Folders are made and filled while the agent looks at them.
    NewFolders,
    /// Both sides change the same document, and the agent ends while it deals with that.
    Quarrels,
    /// The library cannot be read for a while.
    Unreadable,
    /// Documents are written again and again with the same length and, as far as the clock can tell, at the same time.
    SameTimes,
    /// The power goes soon after something came from the cloud.
    PowerLosses,
    /// Something new gets the inode number of what was just deleted.
    UsedNumbers,
    /// What an agent sent arrives after it has connected anew.
    Stranded,
    /// The coordinator is made as it was when it was backed up.
    Backup,
    /// Documents that were described in the cloud are saved by programs that know nothing of that.
    Properties,
    /// Folders come into a set and are changed at once.
    Arrivals,
    /// Somebody writes to what the agent is just putting in place.
    Placings,
    /// Both sides take the same name, and one gives it up.
    Names,
}

const SCENES: [Scene; 13] = [
    Scene::LateReports,
    Scene::NewFolders,
    Scene::Quarrels,
    Scene::Unreadable,
    Scene::SameTimes,
    Scene::PowerLosses,
    Scene::UsedNumbers,
    Scene::Stranded,
    Scene::Backup,
    Scene::Properties,
    Scene::Arrivals,
    Scene::Placings,
    Scene::Names,
];

/// Something that somebody has thought of doing.
#[derive(Debug, Clone)]
pub(in crate::world) enum Deed {
    Write {
        agent: usize,
        path: PathBuf,
        length: usize,
        way: u8,
    },
    /// Changes nothing but that it is reported.
    Touch {
        agent: usize,
        path: PathBuf,
    },
    Rename {
        agent: usize,
        from: PathBuf,
        to: PathBuf,
    },
    /// Changes a document in the cloud, wherever it is then.
    Change {
        node: NodeId,
        length: usize,
    },
    /// Makes a document in a folder there.
    Make {
        folder: NodeId,
        name: String,
        length: usize,
    },
    Describe {
        node: NodeId,
    },
    /// Does there what names no node.
    InCloud(Plan),
    /// Renames what has a name in a folder.
    GiveUp {
        folder: NodeId,
        name: String,
        to: String,
    },
}

/// A document that is in a set and equal on both sides.
struct Synced {
    path: PathBuf,
    node: NodeId,
    /// What it is in, in the cloud.
    folder: NodeId,
}

impl Scene {
    pub(super) fn of(seed: Seed) -> Option<Self> {
        let number = seed.workload.checked_sub(SINCE)?;
        // As many of each.
        usize::try_from(number % SCENES.len() as u64).ok().map(|index| SCENES[index])
    }

    /// When it is played, within a time.
    pub(super) fn turns(self, seed: Seed, within: Duration) -> Vec<(Duration, Event)> {
        let mut chance = StdRng::seed_from_u64(seed.workload ^ 0x005c_e4e5);
        let at = |turn: u64, chance: &mut StdRng| within.mul_f64((turn as f64 + chance.random::<f64>()) / TURNS as f64);
        (0..TURNS).map(|turn| (at(turn, &mut chance), Event::Turn(turn))).collect()
    }
}

fn millis(chance: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(chance.random_range(range))
}

impl Sim {
    /// Plays the scene of this run once.
    pub(super) fn turn(&mut self, turn: u64) {
        let Some(scene) = Scene::of(self.seed) else { return };
        let mut chance = StdRng::seed_from_u64(self.seed.workload ^ (turn + 1).wrapping_mul(0xa24b_aed4_963e_e407));
        let agent = chance.random_range(0..self.agents.len());
        let synced = self.synced(agent);
        let some: Vec<&Synced> = synced.choose_multiple(&mut chance, 4).collect();
        match scene {
            Scene::LateReports => self.late_reports(agent, &some, turn, &mut chance),
            Scene::NewFolders => self.new_folders(agent, &some, turn, &mut chance),
            Scene::Quarrels => self.quarrels(agent, &some, turn, &mut chance),
            Scene::Unreadable => self.unreadable(agent, &some, turn, &mut chance),
            Scene::SameTimes => self.same_times(agent, &some, &mut chance),
            Scene::PowerLosses => self.power_losses(agent, &some, turn, &mut chance),
            Scene::UsedNumbers => self.used_numbers(agent, &some, turn, &mut chance),
            Scene::Stranded => self.stranded(agent, &some, turn, &mut chance),
            Scene::Backup if turn == 2 => self.happen(Event::BackUp),
            Scene::Backup if turn == 6 => self.happen(Event::Restore),
            Scene::Backup => {}
            Scene::Properties => self.properties(agent, &some, &mut chance),
            Scene::Arrivals => self.arrivals(agent, &some, turn, &mut chance),
            Scene::Placings => self.placings(agent, &some, turn, &mut chance),
            Scene::Names => self.names(agent, &some, turn, &mut chance),
        }
    }

    /// Documents of an agent, in folders at the top of its library, that the cloud has too.
    fn synced(&self, agent: usize) -> Vec<Synced> {
        let Some(library) = self.library() else { return Vec::new() };
        let documents = self.at_source(agent, |source| source.documents());
        let is_inner = |path: &Path| path.strip_prefix(LIBRARY).is_ok_and(|inner| inner.components().count() > 1);
        let found = documents.into_iter().filter(|(path, _)| is_inner(path)).filter_map(|(path, root)| {
            let live = library.live.iter().find(|live| content(live) == Some(root))?;
            let folder = live.path.rsplit_once('/')?.0;
            let folder = library.live.iter().find(|live| live.path == folder)?.id;
            Some(Synced { path, node: live.id, folder })
        });
        found.collect()
    }

    fn at_source<T>(&self, agent: usize, act: impl FnOnce(&mut AtSource<'_>) -> T) -> T {
        act(&mut AtSource::new(agent, &self.agents[agent].machine, &self.trace, &mut self.ledger.borrow_mut()))
    }

    /// Lets somebody do something within a time.
    fn within(&mut self, within: Duration, deed: Deed) {
        self.plan(within, Event::Do(deed));
    }

    /// Lets somebody do something before one of the agent's next calls.
    fn meanwhile(&self, calls: u64, after: Option<CallKind>, agent: usize, act: impl FnOnce(&mut AtSource<'_>) + 'static) {
        let (machine, trace, ledger) = (self.agents[agent].machine.clone(), self.trace.clone(), std::rc::Rc::clone(&self.ledger));
        let at = machine.clone();
        let act = move || act(&mut AtSource::new(agent, &machine, &trace, &mut ledger.borrow_mut()));
        match after {
            Some(kind) => at.meanwhile_after(kind, calls, act),
            None => at.meanwhile(calls, act),
        }
    }

    /// A folder beneath the same one at the top of the library.
    fn beside(&self, agent: usize, path: &Path, chance: &mut StdRng) -> PathBuf {
        let top: PathBuf = path.iter().take(Path::new(LIBRARY).iter().count() + 1).collect();
        let folders: Vec<_> =
            self.at_source(agent, |source| source.folders()).into_iter().filter(|folder| folder.starts_with(&top)).collect();
        folders.choose(chance).cloned().unwrap_or(top)
    }

    fn late_reports(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        let seconds = chance.random_range(2..12);
        self.happen(Event::HoldWatches { agent, seconds });
        if chance.random() {
            self.plan(Duration::from_millis(seconds * 1_000 - 50), Event::OverflowWatches { agent });
        }
        for (index, synced) in some.iter().enumerate() {
            let to = self.beside(agent, &synced.path, chance).join(format!("late {turn} {index}"));
            self.within(millis(chance, 50..1_000), Deed::Rename { agent, from: synced.path.clone(), to });
            self.within(millis(chance, 50..2_000), Deed::Change { node: synced.node, length: 200 });
            let path = self.beside(agent, &synced.path, chance).join(format!("new {turn} {index}"));
            self.within(millis(chance, 50..1_900), Deed::Write { agent, path, length: 100, way: chance.random_range(0..3) });
        }
    }

    fn new_folders(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        for (index, synced) in some.iter().enumerate() {
            let folder = self.beside(agent, &synced.path, chance).join(format!("made {turn} {index}"));
            self.at_source(agent, |source| source.make_folder_at(&folder));
            for document in 0..chance.random_range(2..6) {
                let after = chance.random_ratio(1, 2).then_some(CallKind::List);
                let (path, inner) = (folder.join(format!("doc {document}")), folder.join(format!("inner {document}")));
                self.meanwhile(chance.random_range(0..12), after, agent, move |source| source.write_so(&path, 100, 1));
                self.meanwhile(chance.random_range(1..60), None, agent, move |source| {
                    source.make_folder_at(&inner);
                    source.write_so(&inner.join("deep"), 100, 1);
                });
            }
        }
    }

    fn quarrels(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        if turn == 0 && chance.random() {
            self.happen(Event::Slow { agent, delay: millis(chance, 50..400), bytes_per_second: 50_000 });
        }
        for synced in some {
            let path = synced.path.clone();
            self.within(millis(chance, 0..400), Deed::Write { agent, path, length: 300, way: chance.random_range(0..3) });
            self.within(millis(chance, 0..400), Deed::Change { node: synced.node, length: 200 });
        }
        if chance.random_ratio(2, 3) {
            self.happen(Event::CrashAfterRename { agent, effect: chance.random_range(1..16) });
        }
    }

    fn unreadable(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        let (share, seconds) = ([50, 500, 1_000].choose(chance).copied().unwrap_or(1_000), chance.random_range(2..12));
        self.happen(Event::FailLooks { agent, share, seconds });
        for (index, synced) in some.iter().enumerate() {
            let path = synced.path.with_file_name(format!("unread {turn} {index}"));
            self.within(millis(chance, 10..1_500), Deed::Write { agent, path, length: 100, way: 1 });
            self.within(millis(chance, 10..1_500), Deed::Touch { agent, path: synced.path.clone() });
            if chance.random_ratio(1, 4) {
                self.within(millis(chance, 10..1_500), Deed::Change { node: synced.node, length: 200 });
            }
        }
    }

    fn same_times(&mut self, agent: usize, some: &[&Synced], chance: &mut StdRng) {
        for synced in some {
            let length = chance.random_range(100..3_000);
            let mut calls = chance.random_range(1..30);
            for _ in 0..5 {
                let path = synced.path.clone();
                self.meanwhile(calls, None, agent, move |source| source.write_so(&path, length, 1));
                calls += chance.random_range(1..10);
            }
            let path = synced.path.clone();
            self.within(millis(chance, 0..10), Deed::Write { agent, path, length, way: 1 });
        }
    }

    fn power_losses(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        for (index, synced) in some.iter().enumerate() {
            let (name, length) = (format!("power {turn} {index}"), chance.random_range(100..20_000));
            self.within(millis(chance, 0..1_500), Deed::Make { folder: synced.folder, name, length });
            self.within(millis(chance, 0..1_500), Deed::Change { node: synced.node, length });
        }
        self.plan(millis(chance, 200..3_000), Event::LosePower { host: Host::Agent(agent), seed: chance.random() });
    }

    fn used_numbers(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        for (index, synced) in some.iter().enumerate() {
            let path = self.beside(agent, &synced.path, chance).join(format!("number {turn} {index}"));
            self.at_source(agent, |source| {
                source.remove(&synced.path);
                source.write_so(&path, 150, 1);
            });
        }
    }

    fn stranded(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        if turn == 0 {
            self.happen(Event::Slow { agent, delay: millis(chance, 100..400), bytes_per_second: 10_000 });
        }
        for synced in some {
            let at = millis(chance, 0..200);
            let write = |length| Deed::Write { agent, path: synced.path.clone(), length, way: 1 };
            self.within(at, write(chance.random_range(100..4_000)));
            self.within(at + millis(chance, 800..2_500), write(chance.random_range(10_000..40_000)));
        }
        let cut = millis(chance, 300..1_200);
        self.plan(cut, Event::Strand { agent });
        // Before it connects anew, when only the answers are lost, or after that.
        let late = if chance.random() { 0..500 } else { 1_000..10_000 };
        self.plan(cut + millis(chance, late), Event::LetThrough);
    }

    fn properties(&mut self, agent: usize, some: &[&Synced], chance: &mut StdRng) {
        for synced in some {
            self.within(millis(chance, 0..500), Deed::Describe { node: synced.node });
            let path = synced.path.clone();
            self.within(millis(chance, 1_000..8_000), Deed::Write { agent, path, length: 250, way: 0 });
        }
    }

    fn arrivals(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        if turn == 0 {
            self.happen(Event::Slow { agent, delay: millis(chance, 100..400), bytes_per_second: 20_000 });
        }
        let Some(into) = some.first().and_then(|synced| self.path_in_cloud(synced.folder)) else { return };
        let (site, name) = (into.split('/').take(2).collect::<Vec<_>>().join("/"), format!("arriving {turn}"));
        let (from, to) = (format!("{site}/{name}"), format!("{into}/{name}"));
        let write = |sim: &Self, parent: &str, document: usize| {
            let bytes = sim.ledger.borrow_mut().compose(Side::Cloud, 200);
            Plan::Write { parent: parent.to_owned(), name: format!("doc {document}"), bytes, over: None }
        };
        self.within(Duration::ZERO, Deed::InCloud(Plan::MakeFolder { parent: site, name: name.clone() }));
        for document in 0..4 {
            let plan = write(self, &from, document);
            self.within(Duration::from_millis(500), Deed::InCloud(plan));
        }
        self.within(Duration::from_secs(2), Deed::InCloud(Plan::Move { from, to: into, name }));
        for _ in 0..16 {
            let plan = write(self, &to, chance.random_range(0..4));
            self.within(millis(chance, 2_050..4_500), Deed::InCloud(plan));
        }
    }

    fn path_in_cloud(&self, node: NodeId) -> Option<String> {
        self.library()?.live.into_iter().find(|live| live.id == node).map(|live| live.path)
    }

    fn placings(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        for (index, synced) in some.iter().enumerate() {
            self.within(millis(chance, 0..1_000), Deed::Change { node: synced.node, length: 200 });
            let (path, what, to) = (synced.path.clone(), chance.random_range(0..4), format!("placed {turn} {index}"));
            self.meanwhile(chance.random_range(0..50), Some(CallKind::Rename), agent, move |source| match what {
                0 => source.rename_to(&path, &path.with_file_name(to)),
                1 => source.write_so(&path, 120, 0),
                _ => source.write_so(&path, 120, 1),
            });
        }
    }

    fn names(&mut self, agent: usize, some: &[&Synced], turn: u64, chance: &mut StdRng) {
        for (index, synced) in some.iter().enumerate() {
            let name = format!("name {turn} {index}");
            let path = synced.path.with_file_name(&name);
            self.within(millis(chance, 0..400), Deed::Write { agent, path, length: 100, way: 1 });
            self.within(millis(chance, 0..400), Deed::Make { folder: synced.folder, name: name.clone(), length: 100 });
            let to = format!("given up {turn} {index}");
            self.within(millis(chance, 3_000..9_000), Deed::GiveUp { folder: synced.folder, name, to });
        }
    }

    /// Whether the scene is played again once all rests: where agents must notice by themselves what was done.
    pub(in crate::world) fn plays_again(&self) -> bool {
        use Scene::{Arrivals, LateReports, Names, NewFolders, Placings, SameTimes, Unreadable};
        Scene::of(self.seed)
            .is_some_and(|scene| [LateReports, NewFolders, Unreadable, SameTimes, Arrivals, Placings, Names].contains(&scene))
    }

    /// Plays the scene a few times more.
    pub(in crate::world) async fn play_again(&mut self) {
        for turn in TURNS..TURNS + TURNS_AGAIN {
            self.turn(turn);
            self.go_on(false).await;
        }
    }

    /// Somebody does what was thought of.
    pub(super) fn act_out(&mut self, deed: Deed) {
        match deed {
            Deed::Write { agent, path, length, way } => self.at_source(agent, |source| source.write_so(&path, length, way)),
            Deed::Touch { agent, path } => self.at_source(agent, |source| source.touch_mode(&path)),
            Deed::Rename { agent, from, to } => self.at_source(agent, |source| source.rename_to(&from, &to)),
            deed => {
                if let Some(plan) = self.plan_in_cloud(&deed) {
                    self.under_way.push(timeout(PATIENCE, self.in_cloud().act(plan)).map(|_| Done::Acted).boxed_local());
                }
            }
        }
    }

    fn plan_in_cloud(&self, deed: &Deed) -> Option<Plan> {
        let library = self.library()?;
        let find = |node: NodeId| library.live.iter().find(|live| live.id == node);
        let compose = |length| self.ledger.borrow_mut().compose(Side::Cloud, length);
        match deed {
            Deed::Write { .. } | Deed::Rename { .. } | Deed::Touch { .. } => None,
            Deed::Change { node, length } => {
                let live = find(*node).filter(|live| live.node.kind == Kind::Document)?;
                let (parent, name) = live.path.rsplit_once('/')?;
                Some(Plan::Write { parent: parent.to_owned(), name: name.to_owned(), bytes: compose(*length), over: content(live) })
            }
            Deed::Make { folder, name, length } => {
                let parent = find(*folder)?.path.clone();
                Some(Plan::Write { parent, name: name.clone(), bytes: compose(*length), over: None })
            }
            Deed::Describe { node } => {
                let text = pb::property_value::Kind::Text(format!("Scene {}", self.queued));
                let value = Some(pb::PropertyValue { kind: Some(text) });
                let property = pb::PropertyEntry { property: "cm:author".to_owned(), value, revision: 0 };
                let live = find(*node)?;
                let cloud = self.in_cloud();
                cloud.touch(&library, &live.path);
                Some(cloud.describe(live, property))
            }
            Deed::InCloud(plan) => Some(plan.clone()),
            Deed::GiveUp { folder, name, to } => {
                let folder = &find(*folder)?.path;
                let from = format!("{folder}/{name}");
                self.in_cloud().touch(&library, &from);
                library.live.iter().any(|live| live.path == from).then(|| Plan::Move { from, to: folder.clone(), name: to.clone() })
            }
        }
    }

    /// Makes the coordinator as it was when it was backed up.
    pub(super) fn restore(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.bury(Host::Coordinator, None);
        self.coordinator.machine.disk.restore(&backup);
        self.coordinator.life = Some(self.schedule.random_range(2..u64::MAX));
        self.ledger.borrow_mut().restored_cloud();
    }
}

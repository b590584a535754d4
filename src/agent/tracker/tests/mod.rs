//! The tracker over a scripted repository.

mod edge;
mod fake;
mod moves;
mod properties;
mod sets;
mod unknown;

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::fake::{Fake, key};
use super::oddities;
use super::scene::Known;
use super::{Look, LookQueue, Scope, Tracker, settled};
use crate::agent::AtWork;
use crate::agent::context::Context;
use crate::agent::repository::{Item, RepoKey, Repository as _, Resolved, SiteName};
use crate::agent::state::members::{at_source, load, load_set, update};
use crate::agent::state::{Definition, LocalSet, LocalSets, MemberRow, SourceRow};
use crate::depot::packs::memory::MemoryDirectory;
use crate::depot::packs::{PACK_BYTES_MAX, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::engine::{Activity, Source, SourceNode, Target};
use crate::model::{
    Kind, Name, NodeId, NodeState, PairingId, Place, Properties, Reason, Revisions, SetId, SetOptions, SetShape, TargetNode,
};
use crate::store::{Store, StoreError, WriteExt as _};
use crate::sys::{RealWorld, World as _};

const SUBFOLDERS: SetShape = SetShape::Folder { subfolders: true };

/// After so many the tracker is going in a circle.
const ROUNDS_MAX: usize = 1_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn set(number: u128) -> SetId {
    SetId::from_uuid(Uuid::from_u128(number))
}

/// A tracker, its repository and its store.
struct Bench {
    fake: Arc<Fake>,
    context: Context,
    tracker: Tracker,
}

impl Bench {
    fn new() -> Self {
        let fake = Arc::new(Fake::new());
        let store = Store::memory();
        let context = Context {
            depot: depot(&store),
            store,
            repository: fake.clone(),
            world: Arc::new(RealWorld),
            config: Arc::default(),
            planner: Arc::default(),
            looks: LookQueue::default(),
            at_work: AtWork::default(),
        };
        Self { tracker: Tracker::new(context.clone()), fake, context }
    }

    /// A bench with a folder `top` that is synced by set 1.
    async fn with_folder() -> Self {
        let mut bench = Self::new();
        bench.at().folder("top");
        bench.make_set(1, "acme", SUBFOLDERS, &["top"]).await;
        bench
    }

    fn at(&self) -> MutexGuard<'_, fake::State> {
        self.fake.state()
    }

    async fn make_set(&mut self, number: u128, network: &str, shape: SetShape, paths: &[&str]) {
        let definition = Definition {
            id: set(number),
            network: network.to_owned(),
            owner: String::new(),
            shape,
            options: SetOptions::default(),
            name: name("set"),
        };
        let local = LocalSet {
            definition,
            target_path: String::new(),
            site: SiteName("site".to_owned()),
            creator_uid: 0,
            create_millis: 0,
            cursor: None,
            source_complete: false,
            target_complete: true,
            brake_target: Default::default(),
            brake_source: Default::default(),
            braked: None,
            ending: false,
            counts: BTreeMap::new(),
        };
        self.context.store.transact(move |tx| tx.put::<LocalSets>(&set(number), &local)).await.unwrap();
        for path in paths {
            let resolved = self.fake.resolve(path.as_ref()).unwrap();
            let ids = (NodeId::from_uuid(RealWorld.mint()), PairingId::from_uuid(RealWorld.mint()));
            self.context.store.transact(move |tx| update(tx, set(number), ids.0, |_| Some(selected(ids, &resolved)))).await.unwrap();
        }
        self.context.looks.look(set(number), Look::Set);
        self.settle().await;
    }

    /// Lets the tracker do all that it would do now, and whatever that leads to within moments.
    async fn settle(&mut self) {
        let cancel = CancellationToken::new();
        for _ in 0..ROUNDS_MAX {
            self.tracker.work(&cancel).await;
            let blocked = self.tracker.later.values().any(|later| later.blocks.is_some());
            if self.tracker.missing.is_empty() && !blocked {
                return;
            }
            tokio::time::sleep_until(self.tracker.next_time()).await;
        }
        panic!("it is never done");
    }

    /// Tells the tracker that names in folders were touched, as the repository's reports would.
    async fn touch(&mut self, paths: &[&str]) {
        for path in paths {
            let (folder, last) = path.rsplit_once('/').map_or((key(1), *path), |(folder, last)| (self.key(folder), last));
            self.context.looks.look(set(1), Look::Name(folder, name(last)));
        }
        self.settle().await;
    }

    async fn rescan(&mut self) {
        self.context.looks.everything();
        self.settle().await;
    }

    fn key(&self, path: &str) -> RepoKey {
        key(self.at().find(path).unwrap())
    }

    /// Returns the member that the trees have at a path of a set, below its direct member.
    fn member(&self, number: u128, path: &str) -> Option<MemberRow> {
        self.context
            .store
            .read(|read| {
                let mut found: Option<MemberRow> = None;
                for part in path.split('/') {
                    let parent = found.as_ref().map(|row| row.member.node);
                    let mut next = None;
                    for node in at_source(read, set(number), parent)? {
                        let row = load(read, set(number), node)?.unwrap();
                        if row.member.source_node().unwrap().state.place.name.as_str() == part {
                            next = Some(row);
                        }
                    }
                    match next {
                        Some(row) => found = Some(row),
                        None => return Ok::<_, StoreError>(None),
                    }
                }
                Ok(found)
            })
            .unwrap()
    }

    fn node(&self, path: &str) -> NodeId {
        self.member(1, path).unwrap_or_else(|| panic!("no member at {path}")).member.node
    }

    fn row(&self, number: u128, node: NodeId) -> Option<MemberRow> {
        self.context.store.read(|read| load(read, set(number), node)).unwrap()
    }

    fn is_absent(&self, node: NodeId) -> bool {
        self.row(1, node).is_some_and(|row| row.member.source == Source::Absent && row.source.is_none())
    }

    fn problem(&self, path: &str) -> Option<Reason> {
        self.member(1, path).unwrap().member.source_node().unwrap().problem.as_ref().map(|(reason, _)| *reason)
    }

    fn is_complete(&self) -> bool {
        self.context.store.read(|read| load_set(read, set(1))).unwrap().unwrap().source_complete
    }

    fn oddities(&self) -> Vec<(String, Reason)> {
        let items = self.context.store.read(|read| oddities::list(read, set(1), None, 100)).unwrap();
        items.into_iter().map(|item| (String::from_utf8_lossy(&item.name).into_owned(), item.oddity.reason)).collect()
    }

    /// What the planner says of a member in set 1, while an operation of it is under way.
    async fn set_activity(&self, node: NodeId, activity: Activity) {
        let change = self.context.store.transact(move |tx| {
            update(tx, set(1), node, |row| {
                row.map(|mut row| {
                    row.member.activity = activity;
                    row
                })
            })
        });
        change.await.unwrap();
    }

    /// Both sides agree on a member as it is.
    async fn agree(&self, path: &str) {
        let node = self.node(path);
        let agreed = move |row: Option<MemberRow>| {
            let mut row = row?;
            let state = row.member.source_node()?.state.clone();
            row.member.target = Target::Present(TargetNode { node, state: state.clone(), revisions: Revisions::default() });
            row.member.base = Some(state);
            Some(row)
        };
        self.context.store.transact(move |tx| update(tx, set(1), node, agreed)).await.unwrap();
    }

    fn observed(&self) -> Vec<String> {
        std::mem::take(&mut self.at().observed)
    }

    fn known(&self, path: &str) -> Known {
        Known::of(set(1), &self.member(1, path).unwrap()).unwrap()
    }
}

/// The row of a direct member that a person selected and that was not looked at yet.
fn selected((node, pairing): (NodeId, PairingId), resolved: &Resolved) -> MemberRow {
    let entry = &resolved.entry;
    let kind = if entry.item == Item::Folder { Kind::Folder } else { Kind::Document };
    let place = Place { parent: None, name: entry.name.allowed().unwrap().clone() };
    let mut row = MemberRow::new(node, pairing);
    row.member.source = Source::Present(SourceNode {
        state: NodeState { kind, place, content: None, properties: Properties::default() },
        properties_known: false,
        problem: Some((Reason::SourceUnknown, String::new())),
    });
    row.source = Some(SourceRow {
        key: entry.key.clone(),
        folder: resolved.folders.last().unwrap().clone(),
        aside: None,
        stamp: entry.stamp,
        custom_type: None,
        notes: Vec::new(),
        left_library: false,
        obsolete: Properties::default(),
        protected: false,
    });
    row
}

fn depot(store: &Store) -> Depot {
    let packs = PackLog::open_inline(MemoryDirectory::default(), PACK_BYTES_MAX).unwrap();
    Depot::new(store.clone(), packs, DepotOptions::default())
}

#[tokio::test(start_paused = true)]
async fn s_b01_a_first_scan_takes_in_the_whole_tree() {
    let mut bench = Bench::new();
    bench.at().folder("top");
    bench.at().folder("top/sub");
    bench.at().write("top/a.txt", "a");
    bench.at().write("top/sub/b.txt", "b");
    bench.at().write("beside.txt", "not synced");
    bench.make_set(1, "acme", SUBFOLDERS, &["top"]).await;
    let member = bench.member(1, "top/sub/b.txt").unwrap();
    assert_eq!(member.member.source_node().unwrap().state.content.unwrap().size_bytes, 1);
    assert_eq!(bench.node("top"), bench.member(1, "top/a.txt").unwrap().member.source_node().unwrap().state.place.parent.unwrap());
    assert!(bench.problem("top").is_none() && bench.is_complete());
    assert!(bench.member(1, "beside.txt").is_none());
    assert_eq!(bench.observed(), ["a.txt", "b.txt"]);
    assert_eq!(bench.at().watched.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn s_b02_a_change_is_read_and_a_rescan_without_changes_reads_nothing() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a.txt", "a");
    bench.touch(&["top/a.txt"]).await;
    let node = bench.node("top/a.txt");
    bench.at().write("top/a.txt", "longer");
    bench.touch(&["top/a.txt"]).await;
    assert_eq!(bench.known("top/a.txt").content.unwrap().size_bytes, 6);
    assert_eq!(bench.node("top/a.txt"), node);
    bench.observed();
    bench.rescan().await;
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s_a02_a_set_without_subfolders_takes_documents_only() {
    let mut bench = Bench::new();
    bench.at().folder("top");
    bench.at().folder("top/sub");
    bench.at().write("top/sub/b.txt", "b");
    bench.at().write("top/a.txt", "a");
    bench.make_set(1, "acme", SetShape::Folder { subfolders: false }, &["top"]).await;
    assert!(bench.member(1, "top/a.txt").is_some() && bench.member(1, "top/sub").is_none());
    assert_eq!(bench.at().watched.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn edge_f10_after_an_overflow_everything_is_looked_at() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a.txt", "a");
    bench.context.looks.hints(vec![crate::agent::repository::Hint::Overflow]);
    bench.settle().await;
    assert!(bench.member(1, "top/a.txt").is_some());
}

#[tokio::test(start_paused = true)]
async fn s_c07_edge_z08_a_large_folder_is_written_in_batches() {
    let mut bench = Bench::with_folder().await;
    for number in 0..1_200 {
        bench.at().write(&format!("top/{number}"), "x");
    }
    bench.rescan().await;
    assert_eq!(bench.context.store.read(|read| at_source(read, set(1), Some(bench.node("top")))).unwrap().len(), 1_200);
}

#[tokio::test]
async fn those_who_wait_are_told_when_all_was_looked_at() {
    let bench = Bench::with_folder().await;
    let Bench { tracker, context, fake } = bench;
    let tasks = crate::task::Tasks::new();
    let running = tasks.spawn("tracker", tracker.run(tasks.cancel().clone()));
    fake.state().write("top/a.txt", "a");
    context.looks.look(set(1), Look::Set);
    assert!(settled(&context).await);
    assert!(!fake.state().observed.is_empty());
    tasks.cancel().cancel();
    running.join().await.unwrap();
    assert!(!settled(&context).await);
}

#[tokio::test(start_paused = true)]
async fn members_of_one_folder_are_looked_at_together() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().write("top/b", "b");
    bench.rescan().await;
    for path in ["top/a", "top/b"] {
        bench.context.looks.look(set(1), Look::Member(bench.node(path)));
    }
    bench.context.looks.look(set(1), Look::Name(bench.key("top"), name("b")));
    bench.tracker.gather().await;
    let [wanted] = &bench.tracker.stack[..] else { panic!("{:?}", bench.tracker.stack) };
    assert_eq!(wanted.scope, Scope::Names([name("a"), name("b")].into()));
}

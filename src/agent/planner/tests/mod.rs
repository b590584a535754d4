//! What is written down about members, and what is planned of it, over a store in memory and a repository in a directory.

mod braking;
mod crossing;
mod ending;
mod knowing;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::agent::AtWork;
use crate::agent::repository::filesystem::{Config, FilesystemRepository};
use crate::agent::repository::{At, SiteName};
use crate::agent::state::{Definition, InFlight, LocalSet, MemberRow, Pushed};
use crate::agent::tracker::{LookQueue, oddities};
use crate::depot::packs::memory::MemoryDirectory;
use crate::depot::packs::{PACK_BYTES_MAX, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::engine::{Source, SourceNode, Target};
use crate::model::{
    Change, Cursor, Departure, Epoch, JournalEntry, Kind, Outcome, PairingId, Place, Properties, Push, Refusal, Revisions, Sequence,
    SetOptions, SetShape, TargetNode,
};
use crate::store::{Store, Transaction, WriteExt as _};
use crate::sys::{LinuxFiles, RealWorld};

fn set() -> SetId {
    SetId::from_uuid(Uuid::from_u128(1))
}

fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn state(kind: Kind, parent: Option<NodeId>, text: &str) -> NodeState {
    NodeState { kind, place: Place { parent, name: name(text) }, content: None, properties: Properties::default() }
}

fn at(node: NodeId, state: NodeState, sequence: u64) -> TargetNode {
    TargetNode { node, state, revisions: Revisions::all_at(Sequence::new(sequence), &Properties::default()) }
}

fn entry(sequence: u64, change: Change) -> JournalEntry {
    JournalEntry { sequence: Sequence::new(sequence), op: None, change }
}

fn left(sequence: u64, node: NodeId, departure: Departure) -> JournalEntry {
    entry(sequence, Change::Left { node, departure })
}

/// An agent of one set that is known completely, without tracker, session and applier.
pub(in crate::agent) struct Bench {
    dir: TempDir,
    pub(in crate::agent) context: Context,
    outlets: Outlets,
    pushes: mpsc::UnboundedReceiver<OpId>,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Bench {
    pub(in crate::agent) async fn new(shape: SetShape) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir_all(dir.path().join("Sites/swsdp/documentLibrary")).unwrap();
        let config = Config {
            repository: Uuid::from_u128(1),
            root: Some(dir.path().to_path_buf()),
            mapped: BTreeMap::new(),
            known: BTreeSet::new(),
            default_locale: "en_US".to_owned(),
            owner: None,
            quiet: Duration::from_secs(2),
        };
        let store = Store::memory();
        let packs = PackLog::open_inline(MemoryDirectory::default(), PACK_BYTES_MAX).unwrap();
        let context = Context {
            depot: Depot::new(store.clone(), packs, DepotOptions::default()),
            store,
            repository: Arc::new(FilesystemRepository::open(Arc::new(LinuxFiles), None, config).unwrap()),
            world: Arc::new(RealWorld),
            config: Arc::default(),
            planner: Arc::default(),
            looks: LookQueue::default(),
            at_work: AtWork::default(),
        };
        let (sender, pushes) = mpsc::unbounded_channel();
        let (to_applier, orders) = mpsc::unbounded_channel();
        let outlets = Outlets { pushes: sender, orders: to_applier, under_way: UnderWay::default() };
        let bench = Self { dir, context, outlets, pushes, orders };
        let local = local(shape);
        bench.change(move |tx| tx.put::<LocalSets>(&set(), &local)).await;
        bench
    }

    async fn change<T: Send + 'static>(&self, body: impl FnMut(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static) -> T {
        committed(self.context.store.transact(body).await).unwrap()
    }

    pub(in crate::agent) fn row(&self, node: NodeId) -> Option<MemberRow> {
        self.context.store.read(|read| members::load(read, set(), node)).unwrap()
    }

    fn rows(&self) -> Vec<NodeId> {
        let rows = self.context.store.read(|read| read.scan::<crate::agent::state::Members>(&(set(),), None, 100)).unwrap();
        rows.into_iter().map(|((_, node), _)| node).collect()
    }

    fn in_flight(&self) -> Vec<Pushed> {
        let rows = self.context.store.read(|read| read.scan::<InFlight>(&(), None, 100)).unwrap();
        rows.into_iter().map(|(_, pushed)| pushed).collect()
    }

    /// Makes a file, or of a folder's state a directory, and a member of it that is equal on both sides and, if a document, read-only.
    async fn synced(&self, node: NodeId, state: NodeState, sequence: u64) {
        let path = self.path(state.place.name.as_str());
        match state.kind {
            Kind::Document => std::fs::write(&path, "").unwrap(),
            Kind::Folder => std::fs::create_dir(&path).unwrap(),
        }
        let repository = &self.context.repository;
        let resolved = repository.resolve(&path).unwrap();
        let (folder, key, stamp) = (resolved.folders.last().unwrap().clone(), resolved.entry.key, resolved.entry.stamp);
        let place = At { folder: folder.clone(), name: state.place.name.clone(), key: key.clone() };
        let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(100)));
        let (stamp, protection) = match state.kind {
            Kind::Document => {
                let original = repository.protection(&place).unwrap();
                (repository.protect(&place, &stamp).unwrap().stamp, Some(original))
            }
            Kind::Folder => (stamp, None),
        };
        row.protection = protection;
        row.source = Some(SourceRow {
            key,
            folder,
            aside: None,
            stamp,
            custom_type: None,
            notes: Vec::new(),
            left_library: false,
            obsolete: Properties::default(),
            protected: true,
        });
        row.member.source = Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None });
        row.member.target = Target::Present(at(node, state.clone(), sequence));
        row.member.base = Some(state);
        self.change(move |tx| members::save(tx, set(), None, Some(&row))).await;
    }

    /// Makes a document in the library, and a member of it that is equal on both sides; returns where it is.
    pub(in crate::agent) async fn document(&self, node: NodeId, text: &str, bytes: &str) -> At {
        self.synced(node, state(Kind::Document, None, text), 1).await;
        std::fs::set_permissions(self.path(text), std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(self.path(text), bytes).unwrap();
        let resolved = self.context.repository.resolve(&self.path(text)).unwrap();
        At { folder: resolved.folders.last().unwrap().clone(), name: name(text), key: resolved.entry.key }
    }

    async fn edit(&self, node: NodeId, edit: impl Fn(&mut MemberRow) + Send + 'static) {
        self.change(move |tx| {
            members::update(tx, set(), node, |row| {
                row.map(|mut row| {
                    edit(&mut row);
                    row
                })
            })
        })
        .await;
    }

    pub(in crate::agent) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("Sites/swsdp/documentLibrary").join(name)
    }

    /// Whether somebody may write to the file.
    fn is_writable(&self, name: &str) -> bool {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o200 != 0
    }

    async fn take(&self, entries: Vec<JournalEntry>) {
        let to = Cursor { epoch: Epoch::new(1), sequence: entries.last().unwrap().sequence };
        self.change(move |tx| journal::take(tx, set(), &entries, to, &RealWorld)).await;
    }

    async fn answer(&self, op: OpId, outcome: Outcome) {
        self.change(move |tx| outcome::record(tx, op, &outcome, &RealWorld)).await;
    }

    /// Plans until nothing is dirty; returns the operations that leave.
    async fn plan(&mut self) -> Vec<OpId> {
        while plan_all(&self.context, &self.outlets).await.unwrap() > 0 {}
        std::iter::from_fn(|| self.pushes.try_recv().ok()).collect()
    }
}

fn local(shape: SetShape) -> LocalSet {
    let definition = Definition {
        id: set(),
        network: "acme".to_owned(),
        owner: String::new(),
        shape,
        options: SetOptions { lock_source: true, ..SetOptions::default() },
        name: name("set"),
    };
    LocalSet {
        definition,
        target_path: String::new(),
        site: SiteName("swsdp".to_owned()),
        creator_uid: 0,
        create_millis: 0,
        cursor: None,
        source_complete: true,
        target_complete: true,
        brake_target: Default::default(),
        brake_source: Default::default(),
        braked: None,
        ending: false,
        counts: BTreeMap::new(),
    }
}

//! A network with two sites, people and a store that runs every transaction twice, for tests of the coordinator's domain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::executor::block_on;
use uuid::Uuid;

use super::failure::Failure;
use super::library::{self, Actor, Gate, Lineage, NodeRef, View, WriteTarget};
use super::networks::{self, Limits, NetworkMember, NewSite};
use super::operations::{Caller, apply_operation};
use super::sets::{self, Definition, NewSet};
use crate::model::{
    AccountId, AgentId, Change, ContentRef, Cursor, Departure, Epoch, Fault, Hash, JournalEntry, Kind, Name, NetworkId, NodeId, NodeState,
    OpId, Operation, Outcome, PairingId, Place, Properties, Push, Reason, Refusal, Role, Sequence, SetId, SetOptions, SetShape, SiteId,
    TargetNode, Timestamp,
};
use crate::store::testing::{Faults, faulty};
use crate::store::{Read, Store, StoreError, TransactError, Transaction};

/// What a test says about content and accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestGate {
    /// Contents that are not stored.
    pub(crate) missing: BTreeSet<[u8; 32]>,
    /// Accounts that were ended.
    pub(crate) ended: BTreeSet<AccountId>,
}

impl Gate for TestGate {
    fn refer(&self, _: &mut Transaction<'_>, _: NetworkId, content: &ContentRef) -> Result<bool, StoreError> {
        Ok(!self.missing.contains(content.root.as_bytes()))
    }

    fn refer_again(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError> {
        self.refer(tx, network, content)
    }

    fn is_active(&self, _: &dyn Read, account: AccountId) -> Result<bool, StoreError> {
        Ok(!self.ended.contains(&account))
    }
}

/// A coordinator's domain with somebody in it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) gate: TestGate,
    pub(crate) network: NetworkId,
    /// The document library `acme/site`.
    pub(crate) library: NodeId,
    pub(crate) site: SiteId,
    /// A collaborator, who is made a manager of the site; owns the sets.
    pub(crate) owner: AccountId,
    /// The administrator.
    pub(crate) admin: AccountId,
    pub(crate) agent: AgentId,
    pub(crate) now: Timestamp,
    ids: Arc<AtomicU64>,
}

pub(crate) const fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn path(text: &str) -> NodeRef {
    NodeRef::Path(format!("acme/{text}"))
}

/// A content that is told apart by its text.
pub(crate) fn content(text: &str) -> ContentRef {
    ContentRef { root: Hash::from_bytes(*blake3::hash(text.as_bytes()).as_bytes()), size_bytes: text.len() as u64, height: 0 }
}

pub(crate) fn folder_state(parent: Option<NodeId>, text: &str) -> NodeState {
    NodeState { kind: Kind::Folder, place: Place { parent, name: name(text) }, content: None, properties: Properties::default() }
}

pub(crate) fn document_state(parent: Option<NodeId>, text: &str, bytes: &str) -> NodeState {
    NodeState { kind: Kind::Document, content: Some(content(bytes)), ..folder_state(parent, text) }
}

pub(crate) const FOLDER: SetShape = SetShape::Folder { subfolders: true };
pub(crate) const KEEP: SetOptions = SetOptions { lock_source: false, delete_on_cloud: false, delete_source: false };

impl World {
    pub(crate) fn new() -> Self {
        Self::on(&Store::memory(), Faults { repeated: 100, ..Faults::default() })
    }

    pub(crate) fn on(store: &Store, faults: Faults) -> Self {
        let ids = Arc::new(AtomicU64::new(1000));
        let uuid = |n: u128| Uuid::from_u128(n);
        let mut world = Self {
            store: faulty(store, Faults::default(), 1),
            gate: TestGate::default(),
            network: NetworkId::from_uuid(uuid(1)),
            library: NodeId::from_uuid(uuid(2)),
            site: SiteId::from_uuid(uuid(3)),
            owner: AccountId::from_uuid(uuid(4)),
            admin: AccountId::from_uuid(uuid(5)),
            agent: AgentId::from_uuid(uuid(6)),
            now: time(1_000),
            ids,
        };
        let (network, admin, owner, site, library, other) =
            (world.network, world.admin, world.owner, world.site, world.library, SiteId::from_uuid(uuid(7)));
        let other_library = NodeId::from_uuid(uuid(8));
        world
            .change(move |tx| {
                networks::create(tx, network, "acme", Epoch::new(9), time(1))?;
                networks::set_member(tx, network, admin, Some(NetworkMember { administrator: true }))?;
                networks::set_member(tx, network, owner, Some(NetworkMember { administrator: false }))?;
                let new = |id, library, name: &str| NewSite { id, library, name: name.to_owned(), title: String::new() };
                networks::create_site(tx, network, &new(site, library, "site"), admin, time(1))?;
                networks::create_site(tx, network, &new(other, other_library, "other"), admin, time(1))?;
                networks::set_role(tx, network, site, owner, Some(Role::Manager))?;
                networks::set_role(tx, network, other, owner, Some(Role::Manager))
            })
            .unwrap();
        world.store = faulty(store, faults, 7);
        world
    }

    /// Runs a change in one transaction, which the store runs twice.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        block_on(self.store.transact(body)).map_err(|error: TransactError<Failure>| error.into())
    }

    pub(crate) fn read<T>(&self, body: impl FnOnce(&dyn Read) -> Result<T, Failure>) -> T {
        self.store.read(|snapshot| body(snapshot)).unwrap()
    }

    fn number(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn node_id(&self) -> NodeId {
        NodeId::from_uuid(self.number())
    }

    fn mint(&self) -> impl FnMut() -> NodeId + Send + 'static {
        let ids = Arc::clone(&self.ids);
        move || NodeId::from_uuid(Uuid::from_u128(u128::from(ids.fetch_add(1, Ordering::Relaxed))))
    }

    /// The people's calls, by the administrator unless said otherwise.
    pub(crate) fn by(&self, account: AccountId) -> Person<'_> {
        Person { world: self, account }
    }

    pub(crate) fn admin(&self) -> Person<'_> {
        self.by(self.admin)
    }

    pub(crate) fn set_role(&self, role: Option<Role>) {
        let (network, site, owner) = (self.network, self.site, self.owner);
        self.change(move |tx| networks::set_role(tx, network, site, owner, role)).unwrap();
    }

    pub(crate) fn limit(&self, limits: Limits) {
        let network = self.network;
        self.change(move |tx| networks::update(tx, network, limits)).unwrap();
    }

    /// Makes a set of the owner whose target is a folder in the library, which is made if it is missing.
    pub(crate) fn set(&self, target: &str, shape: SetShape, options: SetOptions) -> Definition {
        self.try_set(target, shape, options).unwrap()
    }

    pub(crate) fn try_set(&self, target: &str, shape: SetShape, options: SetOptions) -> Result<Definition, Fault> {
        let new = NewSet {
            id: SetId::from_uuid(self.number()),
            agent: self.agent,
            target_path: format!("acme/{target}"),
            create_folder: true,
            shape,
            options,
            name: name("set"),
            source_path: "/srv".to_owned(),
        };
        let (gate, actor, mut mint) = (self.gate.clone(), Actor::person(self.owner, self.now), self.mint());
        self.change(move |tx| sets::create(tx, &gate, actor, &new, &mut mint))
    }

    /// Makes a set of one folder, and the folder. Returns both.
    pub(crate) fn folder_set(&self, target: &str, folder: &str, options: SetOptions) -> (Definition, NodeId) {
        let definition = self.set(target, FOLDER, options);
        let node = self.node_id();
        assert!(matches!(self.push(&definition, node, Push::Create(folder_state(None, folder))), Outcome::Done(_)));
        (definition, node)
    }

    pub(crate) fn operation(&self, definition: &Definition, node: NodeId, push: Push) -> Operation {
        let (op, pairing) = (OpId::from_uuid(self.number()), PairingId::from_uuid(self.number()));
        Operation { op, set: definition.set.id, node, pairing, push }
    }

    pub(crate) fn apply(&self, operation: &Operation) -> Outcome {
        let (gate, agent, now, operation) = (self.gate.clone(), self.agent, self.now, operation.clone());
        self.change(move |tx| apply_operation(tx, &Caller { agent, now, gate: &gate }, &operation)).unwrap()
    }

    /// Applies a new operation twice, and expects one answer and no second effect.
    pub(crate) fn push(&self, definition: &Definition, node: NodeId, push: Push) -> Outcome {
        let operation = self.operation(definition, node, push);
        let outcome = self.apply(&operation);
        let rows = self.rows();
        assert_eq!(self.apply(&operation), outcome, "repeating {operation:?}");
        assert!(self.rows() == rows, "a repetition changed something: {operation:?}");
        outcome
    }

    pub(crate) fn done(&self, definition: &Definition, node: NodeId, push: Push) -> Sequence {
        match self.push(definition, node, push) {
            Outcome::Done(sequence) => sequence,
            Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    pub(crate) fn refused(&self, definition: &Definition, node: NodeId, push: Push) -> Refusal {
        match self.push(definition, node, push) {
            Outcome::Refused(refusal) => refusal,
            Outcome::Done(sequence) => panic!("done at {sequence}"),
        }
    }

    pub(crate) fn create(&self, definition: &Definition, state: NodeState) -> NodeId {
        let node = self.node_id();
        self.done(definition, node, Push::Create(state));
        node
    }

    /// The operation that renames or moves a node as it is now.
    pub(crate) fn placing(&self, node: NodeId, parent: Option<NodeId>, to: &str) -> Push {
        let base = self.node(node).node.revisions.place;
        Push::Update { content: None, place: Some((Place { parent, name: name(to) }, base)), properties: Vec::new() }
    }

    /// The operation that changes a document's content as it is now.
    pub(crate) fn writing(&self, node: NodeId, bytes: &str) -> Push {
        let base = self.node(node).node.revisions.content;
        Push::Update { content: Some((content(bytes), base)), place: None, properties: Vec::new() }
    }

    pub(crate) fn node(&self, node: NodeId) -> Lineage {
        self.read(|read| Ok(Lineage::read(read, self.network, node)?)).unwrap()
    }

    pub(crate) fn set_of(&self, node: NodeId) -> Option<SetId> {
        let lineage = self.node(node);
        self.read(|read| Ok(lineage.membership(read)?.map(|membership| membership.set)))
    }

    pub(crate) fn head(&self) -> Cursor {
        self.read(|read| super::journal::head(read, self.network))
    }

    /// What a set was told after a sequence.
    pub(crate) fn told(&self, definition: &Definition, after: Cursor) -> Vec<JournalEntry> {
        let changes = self.read(|read| super::journal::changes(read, definition, after, 10_000)).unwrap();
        assert!(!changes.more);
        assert_eq!(changes.covered_to, self.head());
        changes.entries
    }

    /// What a set was told after a sequence, in short.
    pub(crate) fn told_briefly(&self, definition: &Definition, after: Cursor) -> Vec<(NodeId, Told)> {
        let brief = |entry: JournalEntry| {
            let told = match &entry.change {
                Change::Present(_) => Told::Present,
                Change::Entered { lists, .. } => Told::Entered { lists: *lists },
                Change::Left { departure, .. } => Told::Left(*departure),
            };
            (entry.change.node(), told)
        };
        self.told(definition, after).into_iter().map(brief).collect()
    }

    /// Lists the members of a set in small pages.
    pub(crate) fn members(&self, definition: &Definition, beneath: Option<NodeId>) -> Vec<TargetNode> {
        let (mut members, mut from) = (Vec::new(), None);
        loop {
            let page = self.read(|read| sets::list_members(read, definition, beneath, from.take(), 3));
            assert!(page.members.len() <= 3);
            members.extend(page.members);
            match page.next {
                Some(next) => from = Some(next),
                None => return members,
            }
        }
    }

    /// All rows of the store.
    pub(crate) fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let rows = self.store.read(|snapshot| snapshot.scan_raw(&[], None, usize::MAX, crate::store::Order::Ascending));
        let rows: Result<_, StoreError> = rows;
        rows.unwrap().into_iter().collect()
    }
}

/// A change as a set was told of it, without the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Present,
    Entered { lists: bool },
    Left(Departure),
}

/// Somebody who uses the library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'w> {
    world: &'w World,
    account: AccountId,
}

impl Person<'_> {
    fn change<T: Send + 'static>(
        &self,
        mut body: impl FnMut(&mut Transaction<'_>, &TestGate, Actor) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        let (gate, actor) = (self.world.gate.clone(), Actor::person(self.account, self.world.now));
        self.world.change(move |tx| body(tx, &gate, actor))
    }

    pub(crate) fn get(&self, at: &str) -> Result<View, Fault> {
        let result = self.world.store.read(|read| library::get(read, self.account, &path(at)));
        result.map_err(Fault::from)
    }

    pub(crate) fn id(&self, at: &str) -> NodeId {
        self.get(at).unwrap().id
    }

    pub(crate) fn mkdir(&self, parent: &str, text: &str) -> Result<NodeId, Fault> {
        let (parent, text, mut mint) = (path(parent), name(text), self.world.mint());
        self.change(move |tx, gate, actor| Ok(library::create_folder(tx, gate, actor, &parent, text.clone(), true, &mut mint)?.id))
    }

    pub(crate) fn write(&self, parent: &str, text: &str, bytes: &str) -> Result<View, Fault> {
        let target = WriteTarget::Named { parent: path(parent), name: name(text), create_only: false };
        self.write_to(target, bytes, None)
    }

    pub(crate) fn write_to(&self, target: WriteTarget, bytes: &str, etag: Option<Sequence>) -> Result<View, Fault> {
        let (content, id) = (content(bytes), self.world.node_id());
        self.change(move |tx, gate, actor| library::write_document(tx, gate, actor, &target, content, etag, id))
    }

    pub(crate) fn mv(&self, from: &str, to: &str, text: &str) -> Result<View, Fault> {
        let (from, to, text) = (path(from), path(to), name(text));
        self.change(move |tx, gate, actor| library::move_node(tx, gate, actor, &from, Some(&to), Some(text.clone()), None))
    }

    pub(crate) fn cp(&self, from: &str, to: &str, text: &str) -> Result<View, Fault> {
        let (from, to, text, mut mint) = (path(from), path(to), name(text), self.world.mint());
        self.change(move |tx, gate, actor| library::copy_node(tx, gate, actor, &from, &to, Some(text.clone()), &mut mint))
    }

    pub(crate) fn rm(&self, at: &str) -> Result<(), Fault> {
        let at = path(at);
        self.change(move |tx, _, actor| library::delete_node(tx, actor, &at, None))
    }

    pub(crate) fn restore(&self, node: NodeId, to: Option<&str>) -> Result<View, Fault> {
        let to = to.map(path);
        self.change(move |tx, _, actor| library::restore_node(tx, actor, "acme", node, to.as_ref(), None))
    }

    pub(crate) fn set_property(
        &self,
        at: &str,
        property: crate::model::Property,
        value: Option<crate::model::Value>,
    ) -> Result<View, Fault> {
        let at = path(at);
        self.change(move |tx, gate, actor| library::update_properties(tx, gate, actor, &at, vec![(property, value.clone())], None))
    }

    pub(crate) fn unsync(&self, definition: &Definition, node: Option<NodeId>, remove: bool) -> Result<(), Fault> {
        let (definition, remove) = (definition.clone(), remove.then_some(sets::Removed::Members));
        match node {
            Some(node) => self.change(move |tx, _, actor| sets::unsync_member(tx, actor, &definition, node, remove)),
            None => loop {
                let definition = definition.clone();
                if self.change(move |tx, _, actor| sets::end(tx, actor, &definition, remove))? {
                    return Ok(());
                }
            },
        }
    }
}

/// The reason of a refusal.
pub(crate) fn reason(refusal: &Refusal) -> Option<Reason> {
    match refusal {
        Refusal::Because(reason, _) => Some(*reason),
        _ => None,
    }
}

//! What is said about items on their way to their places.

use super::super::run;
use super::*;
use crate::agent::planner::UnderWay;
use crate::agent::planner::tests::Bench;
use crate::agent::state::MemberRow;
use crate::model::{ContentRef, Hash, NodeId, OpId, PairingId, Properties, Reason, SetId, SetShape};
use crate::store::testing::{Faults, faulty};
use crate::task::Tasks;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// An order to make a folder at the top of the library, for a member that is on record.
async fn order(bench: &Bench) -> Order {
    let context = &bench.context;
    let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
    let op = OpId::from_uuid(Uuid::from_u128(3));
    let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(4)));
    row.operation = Some(op);
    let stored = context.store.transact(move |tx| members::save(tx, set, None, Some(&row)));
    stored.await.unwrap();
    let place = Place { parent: None, name: Name::new("made").unwrap() };
    let state = NodeState { kind: Kind::Folder, place, content: None, properties: Properties::default() };
    let site = context.repository.sites().remove(0);
    Order { last_folder: site.library, ..Order::to_create(set, &site.name, node, op, state, None) }
}

#[tokio::test]
async fn what_is_put_in_place_is_announced_from_before_that_until_it_is_on_record() {
    let bench = Bench::new(SetShape::Documents).await;
    let context = &bench.context;
    let order = order(&bench).await;
    let node = order.node;
    let job = Job { order, blobs: Vec::new(), staged: None, key: None, done: None, failed: None };
    let jobs = step(context, vec![job], stage_all).await.unwrap();
    let key = jobs[0].key.clone().unwrap();
    announce(context, &jobs).await.unwrap();
    assert!(!bench.path("made").exists());
    let is_announced = || context.store.read(|read| placing::is_under_way(read, &key)).unwrap();
    assert!(is_announced());
    let jobs = step(context, jobs, place_all).await.unwrap();
    assert!(bench.path("made").exists() && is_announced());
    finish(context, jobs).await.unwrap();
    assert!(!is_announced());
    assert_eq!(bench.row(node).unwrap().source.unwrap().key, key);
}

/// A cloud that is not there.
fn nobody() -> Channel {
    tonic::transport::Endpoint::from_static("http://in.process").connect_lazy().into()
}

/// Found by the simulation: the member stayed under way, in a process that went on as if nothing had happened.
#[tokio::test]
async fn a_store_that_fails_while_the_end_of_an_order_is_recorded_ends_the_applier() {
    let mut bench = Bench::new(SetShape::Documents).await;
    let order = order(&bench).await;
    bench.context.store = faulty(&bench.context.store, Faults { not_processed: 100, ..Faults::default() }, 1);
    let (orders, ordered) = mpsc::unbounded_channel();
    orders.send(order).unwrap();
    let (tasks, cancel) = (Tasks::new(), CancellationToken::new());
    let ended = run(bench.context.clone(), nobody(), ordered, UnderWay::default(), tasks, cancel).await;
    assert!(matches!(ended, Err(StoreError::Injected)), "{ended:?}");
}

#[tokio::test]
async fn s_b13_what_is_large_or_failed_before_is_not_fetched_for_a_name_that_is_taken() {
    let bench = Bench::new(SetShape::Documents).await;
    std::fs::write(bench.path("made"), "somebody's").unwrap();
    for (height, size_bytes, retried) in [(1, 1 << 30, false), (0, 6, true)] {
        let mut order = Order { retried, ..order(&bench).await };
        let content = ContentRef { root: Hash::from_bytes([1; 32]), size_bytes, height };
        let Apply::Create(state) = &mut order.apply else { unreachable!() };
        (state.kind, state.content) = (Kind::Document, Some(content));
        let ready = content::fetch(&bench.context, nobody(), vec![order]).await;
        assert!(matches!(&ready[0].failed, Some(Ending::Failed(Reason::NameClash, _))), "{:?}", ready[0].failed);
    }
}

#[tokio::test]
async fn edge_w15_the_cloud_makes_nothing_beside_the_folder_of_a_set() {
    let bench = Bench::new(SetShape::Folder { subfolders: true }).await;
    let known = order(&bench).await;
    assert_eq!(Some(new_folder(&*bench.context.repository, &known).unwrap()), known.last_folder, "what was here comes back");
    let foreign = Order { last_folder: None, ..known };
    let nowhere = new_folder(&*bench.context.repository, &foreign).unwrap_err();
    assert!(matches!(ending(&foreign, &nowhere), Ending::Failed(Reason::SourceAccessDenied, _)), "{nowhere}");
}

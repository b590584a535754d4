//! What is said about items on their way to their places.

use super::*;
use crate::agent::planner::tests::Bench;
use crate::agent::state::MemberRow;
use crate::model::{NodeId, OpId, PairingId, Properties, SetId, SetShape};
use uuid::Uuid;

#[tokio::test]
async fn what_is_put_in_place_is_announced_from_before_that_until_it_is_on_record() {
    let bench = Bench::new(SetShape::Documents).await;
    let context = &bench.context;
    let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
    let op = OpId::from_uuid(Uuid::from_u128(3));
    let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(4)));
    row.operation = Some(op);
    let stored = context.store.transact(move |tx| members::save(tx, set, None, Some(&row)));
    stored.await.unwrap();
    let place = Place { parent: None, name: Name::new("made").unwrap() };
    let state = NodeState { kind: Kind::Folder, place, content: None, properties: Properties::default() };
    let order = Order {
        set,
        set_in_cloud: set,
        site: context.repository.sites()[0].name.clone(),
        node,
        op,
        apply: Apply::Create(state.clone()),
        at: None,
        planned_on: None,
        target: Some(state),
        folder: None,
        last_folder: None,
        aside: None,
    };
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

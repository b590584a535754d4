//! How pairings end, and begin anew.

use super::*;
use crate::agent::state::Keys;
use crate::model::Reason;

const FOLDER: SetShape = SetShape::Folder { subfolders: true };

fn document(text: &str) -> NodeState {
    state(Kind::Document, None, text)
}

async fn left_library() -> (Bench, OpId) {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), document("a"), 3).await;
    assert!(bench.plan().await.is_empty());
    assert!(!bench.is_writable("a"));
    bench.edit(node(1), |row| row.source.as_mut().unwrap().left_library = true).await;
    bench.change(|tx| members::mark_dirty(tx, set(), node(1))).await;
    let ops = bench.plan().await;
    let pushed = bench.in_flight().pop().unwrap();
    assert_eq!((&pushed.operation.push, pushed.operation.node), (&Push::Release { through: None }, node(1)));
    assert_eq!(ops, [pushed.operation.op]);
    (bench, ops[0])
}

#[tokio::test]
async fn s_b15_a_direct_member_that_left_its_library_is_released_and_forgotten() {
    let (mut bench, op) = left_library().await;
    assert!(bench.row(node(1)).is_some(), "not before the coordinator knows");
    bench.answer(op, Outcome::Done(Sequence::new(4))).await;
    assert!(bench.plan().await.is_empty());
    assert!(bench.rows().is_empty());
    assert!(bench.is_writable("a") && bench.context.store.read(|read| read.scan::<Keys>(&(), None, 9)).unwrap().is_empty());
    let told = bench.context.store.read(|read| oddities::list(read, set(), None, 9)).unwrap();
    assert_eq!(told.iter().map(|odd| (odd.name.as_slice(), odd.oddity.reason)).collect::<Vec<_>>(), [(&b"a"[..], Reason::UnsupportedType)]);
}

#[tokio::test]
async fn s_b15_a_release_of_what_the_coordinator_has_ended_before_is_enough() {
    let (mut bench, op) = left_library().await;
    bench.answer(op, Outcome::Refused(Refusal::Missing)).await;
    bench.plan().await;
    assert!(bench.rows().is_empty());
}

#[tokio::test]
async fn s_d01_a_document_that_is_unsynced_in_the_cloud_is_forgotten_and_writable_again() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), document("a"), 3).await;
    bench.synced(node(2), document("b"), 3).await;
    bench.take(vec![left(4, node(1), Departure::Released)]).await;
    assert!(bench.plan().await.is_empty());
    assert_eq!(bench.rows(), [node(2)]);
    assert_eq!((bench.is_writable("a"), bench.is_writable("b")), (true, false));
    assert!(bench.context.store.read(|read| oddities::list(read, set(), None, 9)).unwrap().is_empty(), "somebody wanted it so");
}

#[tokio::test]
async fn s_d01_a_folder_that_is_unsynced_in_the_cloud_is_forgotten_with_what_is_in_it() {
    let mut bench = Bench::new(FOLDER).await;
    bench.synced(node(2), state(Kind::Folder, None, "top"), 3).await;
    bench.synced(node(1), state(Kind::Document, Some(node(2)), "a"), 3).await;
    bench.take(vec![left(4, node(2), Departure::Released)]).await;
    bench.plan().await;
    assert!(bench.rows().is_empty());
    assert!(bench.is_writable("a"));
}

#[tokio::test]
async fn s_b16_an_indirect_member_that_is_moved_out_in_the_cloud_stays_known() {
    let mut bench = Bench::new(FOLDER).await;
    bench.synced(node(2), state(Kind::Folder, None, "top"), 3).await;
    bench.synced(node(1), state(Kind::Document, Some(node(2)), "a"), 3).await;
    bench.take(vec![left(4, node(1), Departure::MovedOut)]).await;
    bench.plan().await;
    assert_eq!(bench.row(node(1)).unwrap().status.now.reason, Some(Reason::DeletedOnCloud));
}

#[tokio::test]
async fn a_create_whose_id_is_in_use_goes_on_under_another() {
    let mut bench = Bench::new(FOLDER).await;
    bench.synced(node(2), state(Kind::Folder, None, "top"), 3).await;
    bench.synced(node(1), state(Kind::Document, Some(node(2)), "a"), 3).await;
    for number in [1, 2] {
        bench.edit(node(number), |row| (row.member.target, row.member.base) = (Target::Never, None)).await;
    }
    bench.plan().await;
    let top = bench.in_flight().into_iter().find(|pushed| pushed.member == node(2)).unwrap();
    bench.answer(top.operation.op, Outcome::Refused(Refusal::IdInUse)).await;
    assert!(bench.row(node(2)).is_none());
    bench.plan().await;
    let again = bench.in_flight().into_iter().find(|pushed| pushed.operation.push == top.operation.push).unwrap();
    assert!(again.operation.node != node(2) && again.operation.pairing != top.operation.pairing);
    let child = bench.row(node(1)).unwrap();
    assert_eq!(child.member.source_node().unwrap().state.place.parent, Some(again.operation.node));
}

#[tokio::test]
async fn s_d04_a_direct_member_that_is_pushed_again_ends_its_former_pairing() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), document("a"), 3).await;
    bench.take(vec![left(4, node(1), Departure::Deleted)]).await;
    assert!(bench.plan().await.is_empty());
    let row = bench.row(node(1)).unwrap();
    assert_eq!(row.status.now.reason, Some(Reason::DeletedOnCloud));
    bench.change(move |tx| begin_anew(tx, set(), &row, &RealWorld)).await;
    let ops = bench.plan().await;
    let (released, made): (Vec<_>, Vec<_>) =
        bench.in_flight().into_iter().partition(|pushed| matches!(pushed.operation.push, Push::Release { .. }));
    assert_eq!((released.len(), made.len(), ops.len()), (1, 1, 2), "both leave");
    assert_eq!(released[0].operation.node, node(1));
    assert_ne!(made[0].operation.node, node(1));
    bench.answer(released[0].operation.op, Outcome::Done(Sequence::new(5))).await;
    assert_eq!((bench.plan().await, bench.in_flight().len(), bench.rows()), (vec![], 1, vec![made[0].member]));
}

#[tokio::test]
async fn s_d01_a_set_that_ends_leaves_nothing_to_be_waited_for() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), document("a"), 3).await;
    bench.take(vec![left(4, node(1), Departure::Deleted)]).await;
    let row = bench.row(node(1)).unwrap();
    bench.change(move |tx| begin_anew(tx, set(), &row, &RealWorld)).await;
    bench.plan().await;
    bench.change(|tx| members::mark_dirty(tx, set(), node(1))).await;
    crate::agent::forget::forget_set(&bench.context, set()).await.unwrap();
    let dirty = bench.context.store.read(|read| read.scan::<Dirty>(&(), None, 10)).unwrap();
    assert!(dirty.is_empty() && bench.in_flight().is_empty(), "{dirty:?}, {:?}", bench.in_flight());
}

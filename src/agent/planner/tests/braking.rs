//! Deletes are judged together, before the first of them starts.

use super::*;
use crate::engine::reconcile::Waits;
use crate::model::{MemberState, Reason};
use crate::sys::World as _;

impl Bench {
    /// A set that does not lock its source, of a number of documents that are equal on both sides; the first `deleted` are gone at the source.
    async fn with_deleted(members: u128, deleted: u128) -> Self {
        let bench = Self::new(SetShape::Documents).await;
        bench
            .change(move |tx| {
                members::update_set(tx, set(), |local| local.definition.options = SetOptions::default())?;
                (1..=members).try_for_each(|number| {
                    let mut row = MemberRow::new(node(number), PairingId::from_uuid(Uuid::from_u128(number)));
                    let state = state(Kind::Document, None, &number.to_string());
                    row.member.source = Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None });
                    row.member.target = Target::Present(at(node(number), state.clone(), 1));
                    row.member.base = Some(state);
                    members::save(tx, set(), None, Some(&row))
                })
            })
            .await;
        bench.delete(1, deleted).await;
        bench
    }

    async fn delete(&self, first: u128, last: u128) {
        self.change(move |tx| {
            (first..=last).try_for_each(|number| {
                members::update(tx, set(), node(number), |row| {
                    row.map(|mut row| {
                        row.member.source = Source::Absent;
                        row
                    })
                })
            })
        })
        .await;
    }

    fn braked(&self) -> Option<u64> {
        self.context.store.read(|read| members::load_set(read, set())).unwrap().unwrap().braked.map(|braked| braked.deletes)
    }

    async fn approve(&self) {
        self.change(|tx| {
            members::update_set(tx, set(), |local| {
                local.brake_target.approve(local.braked.unwrap().deletes, RealWorld.now_millis());
                local.braked = None;
            })
        })
        .await;
    }
}

#[tokio::test]
async fn s_d10_a_plan_of_several_batches_is_stopped_before_it_starts_and_approved_once() {
    let mut bench = Bench::with_deleted(2_000, 1_500).await;
    assert!(bench.plan().await.is_empty());
    assert_eq!(bench.braked(), Some(1_500));
    for number in [1, 700, 1_500] {
        let now = bench.row(node(number)).unwrap().status.now;
        assert_eq!((now.state, now.reason), (MemberState::Failed, Some(Reason::BrakeEngaged)));
        assert_eq!(now.detail, "This would delete 1500 of 2000 items.");
    }
    bench.approve().await;
    assert_eq!(bench.plan().await.len(), 1_500);
    assert_eq!(bench.braked(), None);
}

#[tokio::test]
async fn s_d10_a_plan_of_several_batches_that_is_none_too_large_goes_on() {
    let mut bench = Bench::with_deleted(2_000, 900).await;
    assert_eq!(bench.plan().await.len(), 900);
    assert_eq!(bench.braked(), None);
}

#[tokio::test]
async fn s_d10_what_is_deleted_after_the_brake_stopped_is_stopped_too_and_shown() {
    let mut bench = Bench::with_deleted(40, 30).await;
    assert!(bench.plan().await.is_empty());
    bench.delete(31, 33).await;
    assert!(bench.plan().await.is_empty());
    assert_eq!(bench.braked(), Some(33));
    bench.approve().await;
    bench.delete(34, 35).await;
    assert!(bench.plan().await.is_empty(), "more than what was looked at");
    assert_eq!(bench.braked(), Some(35));
}

#[tokio::test]
async fn s_d10_the_brake_lets_go_when_what_was_gone_is_back() {
    let mut bench = Bench::with_deleted(40, 30).await;
    assert!(bench.plan().await.is_empty());
    bench
        .change(|tx| {
            (1..=30).try_for_each(|number| {
                members::update(tx, set(), node(number), |row| {
                    row.map(|mut row| {
                        let state = row.member.base.clone().unwrap();
                        row.member.source = Source::Present(SourceNode { state, properties_known: true, problem: None });
                        row
                    })
                })
            })
        })
        .await;
    assert!(bench.plan().await.is_empty());
    assert_eq!(bench.braked(), None);
}

#[tokio::test]
async fn s_d10_deletes_that_wait_to_be_judged_are_work_that_is_to_be_done() {
    let mut bench = Bench::with_deleted(3, 0).await;
    bench.plan().await;
    let has_work = |bench: &Bench| bench.context.store.read(|read| has_work(read, &members::load_set(read, set())?.unwrap())).unwrap();
    assert!(!has_work(&bench));
    bench.edit(node(1), |row| row.waits = Some(Waits::Brake { at_target: true })).await;
    assert!(has_work(&bench), "though nothing is dirty");
    bench.plan().await;
    assert!(!has_work(&bench) && bench.row(node(1)).unwrap().waits.is_none());
}

//! What is known of the target: it never goes back.

use super::*;
use std::collections::BTreeSet;

use crate::engine::reconcile::Waits;
use crate::model::{ContentRef, Hash, MemberState, Reason};

const FOLDER: SetShape = SetShape::Folder { subfolders: true };

fn folder(parent: Option<u128>, text: &str) -> NodeState {
    state(Kind::Folder, parent.map(node), text)
}

async fn bench() -> Bench {
    let bench = Bench::new(FOLDER).await;
    bench.take(vec![entry(1, Change::Entered { node: at(node(1), folder(None, "top"), 1), lists: false })]).await;
    bench
}

impl Bench {
    async fn list(&self, listed: Vec<TargetNode>) {
        self.change(move |tx| journal::take_listed(tx, set(), &listed, false, &RealWorld)).await;
    }

    fn held(&self, number: u128) -> Target {
        self.row(node(number)).map_or(Target::Never, |row| row.member.target)
    }
}

#[tokio::test]
async fn a_state_never_goes_back_to_an_older_one() {
    let bench = bench().await;
    let newer = at(node(2), folder(Some(1), "new"), 9);
    bench.list(vec![newer.clone()]).await;
    bench.take(vec![entry(5, Change::Present(at(node(2), folder(Some(1), "old"), 5)))]).await;
    assert_eq!(bench.held(2), Target::Present(newer.clone()));
    bench.take(vec![left(6, node(2), Departure::MovedOut)]).await;
    assert_eq!(bench.held(2), Target::Present(newer), "it has entered again since");
    bench.take(vec![left(10, node(2), Departure::MovedOut)]).await;
    assert_eq!(bench.held(2), Target::Absent(Departure::MovedOut));
}

#[tokio::test]
async fn the_outcome_of_a_push_is_not_undone_by_what_came_before_it() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), state(Kind::Document, None, "a"), 3).await;
    bench
        .edit(node(1), |row| {
            if let Target::Present(target) = &mut row.member.target {
                target.revisions.content = Sequence::new(8);
            }
        })
        .await;
    bench.plan().await;
    let before = bench.held(1);
    bench.take(vec![entry(6, Change::Present(at(node(1), state(Kind::Document, None, "renamed"), 6)))]).await;
    assert_eq!(bench.held(1), before);
}

#[tokio::test]
async fn what_hangs_on_a_folder_that_never_became_known_is_dropped_with_what_is_in_it() {
    let bench = bench().await;
    let listed =
        vec![at(node(3), folder(Some(9), "lost"), 2), at(node(2), folder(Some(3), "in lost"), 2), at(node(4), folder(Some(1), "found"), 2)];
    bench.list(listed.clone()).await;
    bench.change(move |tx| journal::drop_orphans(tx, set(), listed.iter().map(|listed| listed.node))).await;
    assert_eq!(bench.rows(), [node(1), node(4)]);
    bench.list(vec![at(node(3), folder(Some(9), "lost"), 2)]).await;
    bench.change(|tx| journal::sweep(tx, set(), None, |_| true).map(drop)).await;
    assert_eq!(bench.rows(), [node(1), node(4)], "at the end of a listing, too");
}

#[tokio::test]
async fn a_folder_of_which_only_a_change_is_told_is_listed() {
    let bench = bench().await;
    let present = |number, sequence| entry(sequence, Change::Present(at(node(number), folder(Some(1), "x"), sequence)));
    let entries = vec![
        present(1, 2),
        present(2, 3),
        present(2, 4),
        left(5, node(2), Departure::MovedOut),
        entry(6, Change::Entered { node: at(node(3), folder(Some(1), "y"), 6), lists: false }),
        present(3, 7),
        entry(8, Change::Entered { node: at(node(4), folder(Some(1), "z"), 8), lists: true }),
    ];
    let folders = bench.context.store.read(|read| journal::unannounced(read, set(), &entries)).unwrap();
    assert_eq!(folders, [node(2), node(4)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_tried_again_although_others_ring_all_the_time() {
    let bench = bench().await;
    let mut refused = MemberRow::new(node(2), PairingId::from_uuid(Uuid::from_u128(100)));
    refused.status.retry_millis = Some(1);
    bench
        .change(move |tx| {
            members::save(tx, set(), None, Some(&refused))?;
            tx.delete::<crate::agent::state::Dirty>(&(set(), node(2)))
        })
        .await;
    let ring = async {
        for _ in 0..50 {
            bench.context.planner.notify_one();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        ended = run(bench.context.clone(), bench.outlets.clone(), CancellationToken::new()) => panic!("the planner ended: {ended:?}"),
        () = ring => {}
    }
    assert_eq!(bench.row(node(2)), None, "nothing is left of it on either side");
}

#[tokio::test]
async fn what_is_due_and_was_forgotten_meanwhile_leaves_nothing_to_plan() {
    let bench = bench().await;
    bench.change(|tx| try_again(tx, set(), node(7))).await;
    let dirty = bench.context.store.read(|read| read.scan::<Dirty>(&(set(),), None, 9)).unwrap();
    assert!(dirty.iter().all(|((_, dirty), ())| *dirty != node(7)));
}

#[tokio::test]
async fn what_the_coordinator_does_not_know_again_and_again_is_listed_anew() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), state(Kind::Document, None, "a"), 3).await;
    bench.change(|tx| members::update_set(tx, set(), |local| local.definition.options.lock_source = false)).await;
    bench
        .edit(node(1), |row| {
            row.source = None;
            row.member.source = Source::Absent;
        })
        .await;
    let mut listings = Vec::new();
    for _ in 0..4 {
        let op = *bench.plan().await.last().unwrap();
        let next = bench.change(move |tx| outcome::record(tx, op, &Outcome::Refused(Refusal::Missing), &RealWorld)).await;
        listings.push(next == outcome::Next::Relist(set()));
        bench.change(|tx| members::mark_dirty(tx, set(), node(1))).await;
    }
    assert_eq!(listings, [false, false, false, true]);
    assert!(bench.plan().await.is_empty(), "nothing is planned before the listing has ended");
    bench.change(|tx| journal::sweep(tx, set(), None, |_| false).map(drop)).await;
    bench.change(|tx| journal::complete(tx, set(), Cursor { epoch: Epoch::new(1), sequence: Sequence::new(9) })).await;
    bench.plan().await;
    assert_eq!(bench.rows(), [], "neither side has it");
}

#[tokio::test]
async fn s_c03_what_waits_for_one_that_stands_still_says_so() {
    let mut bench = Bench::new(FOLDER).await;
    let denied = || Some((Reason::SourceAccessDenied, "The folder cannot be read.".to_owned()));
    bench
        .change(move |tx| {
            for (number, parent, problem) in [(1, None, denied()), (2, Some(1), None), (3, Some(2), None)] {
                let mut row = MemberRow::new(node(number), PairingId::from_uuid(Uuid::from_u128(number)));
                let state = folder(parent, &format!("folder {number}"));
                row.member.source = Source::Present(SourceNode { state, properties_known: true, problem });
                members::save(tx, set(), None, Some(&row))?;
            }
            Ok(())
        })
        .await;
    assert!(bench.plan().await.is_empty());
    for number in [2, 3] {
        let now = bench.row(node(number)).unwrap().status.now;
        assert_eq!((now.state, now.reason), (MemberState::Pending, Some(Reason::SourceAccessDenied)));
        assert_eq!(now.detail, "It waits for \"folder 1\". The folder cannot be read.");
    }
    bench
        .edit(node(1), |row| {
            if let Source::Present(source) = &mut row.member.source {
                source.problem = None;
            }
        })
        .await;
    assert_eq!(bench.plan().await.len(), 3);
}

#[tokio::test]
async fn edge_w15_of_a_tree_that_cannot_be_nothing_is_made_and_the_rest_goes_on() {
    let mut bench = Bench::new(SetShape::Folder { subfolders: true }).await;
    let content = Some(ContentRef { root: Hash::from_bytes([1; 32]), size_bytes: 6, height: 0 });
    let document = |text: &str| NodeState { content, ..state(Kind::Document, Some(node(1)), text) };
    let told = [
        // The folder of the set, and one that is as it should be.
        (1, folder(None, "top")),
        (2, folder(Some(1), "good")),
        // In itself, in each other, in a document, in nothing that is known.
        (3, folder(Some(3), "itself")),
        (4, folder(Some(5), "one")),
        (5, folder(Some(4), "other")),
        (6, document("doc")),
        (7, folder(Some(6), "in a document")),
        (8, folder(Some(99), "nowhere")),
        // A second of the same name, which the repository refuses once the first is there.
        (9, folder(Some(1), "good")),
    ];
    let entries = told
        .into_iter()
        .zip(2..)
        .map(|((number, state), sequence)| entry(sequence, Change::Entered { node: at(node(number), state, sequence), lists: false }));
    bench.synced(node(1), folder(None, "top"), 1).await;
    bench.take(entries.collect()).await;
    // What was a folder is a document, and the other way round.
    bench.take(vec![entry(50, Change::Present(at(node(2), document("good"), 50)))]).await;
    bench.plan().await;
    let made: BTreeSet<_> = std::iter::from_fn(|| bench.orders.try_recv().ok()).map(|order| order.node).collect();
    assert_eq!(made, BTreeSet::from([node(2), node(6), node(9)]), "{:?}", bench.rows());
}

#[tokio::test]
async fn s_d11_a_folder_that_waits_is_planned_again_when_something_deep_in_it_leaves() {
    let mut bench = bench().await;
    let document = at(node(4), state(Kind::Document, Some(node(3)), "d"), 2);
    bench.list(vec![at(node(2), folder(Some(1), "b"), 2), at(node(3), folder(Some(2), "c"), 2), document]).await;
    bench.plan().await;
    bench.edit(node(2), |row| row.waits = Some(Waits::Node(node(9)))).await;
    let dirty = |bench: &Bench| {
        let rows = bench.context.store.read(|read| read.scan::<Dirty>(&(set(),), None, 10)).unwrap();
        rows.into_iter().map(|((_, node), ())| node).collect::<Vec<_>>()
    };
    bench.change(|tx| [2, 3, 4].into_iter().try_for_each(|number| tx.delete::<Dirty>(&(set(), node(number))))).await;
    bench.take(vec![left(5, node(4), Departure::Deleted)]).await;
    assert_eq!(dirty(&bench), [node(2), node(3), node(4)]);
}

#[tokio::test]
async fn edge_k08_what_a_restored_coordinator_forgot_is_pushed_to_it_again() {
    let content =
        |text: &[u8]| Some(ContentRef { root: Hash::from_bytes([text.len() as u8; 32]), size_bytes: text.len() as u64, height: 0 });
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.change(|tx| members::update_set(tx, set(), |local| local.definition.options.lock_source = false)).await;
    for number in [1, 2] {
        bench.synced(node(number), state(Kind::Document, None, &number.to_string()), 3).await;
        bench
            .edit(node(number), move |row| {
                let Source::Present(source) = &mut row.member.source else { panic!("it is here") };
                source.state.content = content(b"new");
                row.member.base = Some(source.state.clone());
                row.member.target = Target::Present(at(node(number), source.state.clone(), 3));
                let Target::Present(target) = &mut row.member.target else { panic!("it is there") };
                target.revisions.content = Sequence::new(9);
            })
            .await;
    }
    assert!(bench.plan().await.is_empty());
    // Of the second, somebody wrote a newer one still, after the backup was restored.
    let older = |number: u128, text: &[u8]| NodeState { content: content(text), ..state(Kind::Document, None, &number.to_string()) };
    let listed = vec![at(node(1), older(1, b"old ones"), 3), at(node(2), older(2, b"newest"), 12)];
    bench.change(move |tx| journal::take_listed(tx, set(), &listed, true, &RealWorld)).await;
    let pushed = bench.plan().await;
    let [Pushed { member, operation }] = &bench.in_flight()[..] else { panic!("{pushed:?}") };
    let Push::Update { content: Some((pushed, base)), place: None, properties } = &operation.push else { panic!("{operation:?}") };
    assert_eq!((*member, Some(*pushed), *base, properties.len()), (node(1), content(b"new"), Sequence::new(3), 0));
    let order = bench.orders.try_recv().unwrap();
    assert!(matches!(&order.apply, Apply::Update { content: taken, conflict: false, .. } if *taken == content(b"newest")), "{order:?}");
}

#[tokio::test]
async fn edge_k08_what_the_source_never_saw_is_not_deleted_because_the_coordinator_was_restored() {
    let content = |length: usize| Some(ContentRef { root: Hash::from_bytes([length as u8; 32]), size_bytes: length as u64, height: 0 });
    let bench = Bench::new(SetShape::Documents).await;
    let edited = move |length| NodeState { content: content(length), ..state(Kind::Document, None, "1") };
    bench.synced(node(1), edited(1), 3).await;
    bench
        .edit(node(1), move |row| {
            // Deleted here, and edited there, twice: the second edit is lost with the backup.
            (row.member.source, row.source) = (Source::Absent, None);
            row.member.target = Target::Present(at(node(1), edited(3), 9));
        })
        .await;
    bench.change(move |tx| journal::take_listed(tx, set(), &[at(node(1), edited(2), 5)], true, &RealWorld)).await;
    let row = bench.row(node(1)).unwrap();
    assert_eq!(row.member.base.unwrap().content, content(1), "the first is still news");
}

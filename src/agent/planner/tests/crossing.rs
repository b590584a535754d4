//! What moves from one set into another: what is known of it is in one of them, and what is asked for is asked for where the cloud has it.

use super::*;
use crate::agent::repository::Stamp;
use crate::engine::Activity;
use crate::engine::reconcile::Waits;
use crate::model::{ContentRef, Hash, Reason};

/// The set that the cloud has things in.
fn other() -> SetId {
    SetId::from_uuid(Uuid::from_u128(2))
}

fn document(parent: u128, text: &str) -> NodeState {
    state(Kind::Document, Some(node(parent)), text)
}

fn edited(document: NodeState) -> NodeState {
    NodeState { content: Some(ContentRef { root: Hash::from_bytes([1; 32]), size_bytes: 6, height: 0 }), ..document }
}

fn source(item: NodeId, folder: Option<NodeId>, stamp: Stamp) -> SourceRow {
    let key = |item: Option<NodeId>| RepoKey::from_bytes(item.as_ref().map_or(&[], |item| &item.as_bytes()[..]));
    SourceRow {
        key: key(Some(item)),
        folder: key(folder),
        aside: None,
        stamp,
        custom_type: None,
        notes: Vec::new(),
        left_library: false,
        obsolete: Properties::default(),
        protected: false,
    }
}

impl Bench {
    /// A second set of the network, whose folder is node 20; that of the first is node 10.
    async fn of_two_sets() -> Self {
        let bench = Self::new(SetShape::Folder { subfolders: true }).await;
        bench
            .change(|tx| {
                let mut first = local(SetShape::Folder { subfolders: true });
                first.definition.options = SetOptions { delete_on_cloud: true, ..SetOptions::default() };
                let mut second = first.clone();
                second.definition.id = other();
                tx.put::<LocalSets>(&set(), &first)?;
                tx.put::<LocalSets>(&other(), &second)
            })
            .await;
        bench.put(set(), 10, None, Some(state(Kind::Folder, None, "ours"))).await;
        bench.put(other(), 20, None, Some(state(Kind::Folder, None, "theirs"))).await;
        bench
            .change(|tx| {
                tx.delete::<Dirty>(&(set(), node(10)))?;
                tx.delete::<Dirty>(&(other(), node(20)))
            })
            .await;
        bench
    }

    /// A member that both sides agreed on as `agreed`, and that is at `here` at the source by now; without that, as agreed.
    async fn put(&self, into: SetId, number: u128, here: Option<NodeState>, agreed: Option<NodeState>) {
        std::fs::write(self.path("any"), "").unwrap();
        let stamp = self.context.repository.resolve(&self.path("any")).unwrap().entry.stamp;
        self.change(move |tx| {
            let mut row = MemberRow::new(node(number), PairingId::from_uuid(Uuid::from_u128(100 + number)));
            row.member.base.clone_from(&agreed);
            row.member.target = agreed.clone().map_or(Target::Never, |agreed| Target::Present(at(node(number), agreed, 1)));
            if let Some(state) = here.as_ref().or(agreed.as_ref()) {
                row.source = Some(source(node(number), state.place.parent, stamp));
                row.member.source = Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None });
            }
            members::save(tx, into, None, Some(&row))
        })
        .await;
    }

    async fn remove(&self, from: SetId, number: u128) {
        self.change(move |tx| {
            members::update(tx, from, node(number), |row| {
                row.map(|mut row| {
                    (row.source, row.member.source) = (None, Source::Absent);
                    row
                })
            })
        })
        .await;
    }

    /// The cloud has it somewhere else by now.
    async fn moved_in_cloud(&self, of: SetId, number: u128, there: NodeState) {
        self.change(move |tx| {
            members::update(tx, of, node(number), |row| {
                row.map(|mut row| {
                    row.member.target = Target::Present(at(node(number), there.clone(), 9));
                    row
                })
            })
        })
        .await;
    }

    async fn tell_other(&self, change: Change) {
        let to = Cursor { epoch: Epoch::new(1), sequence: Sequence::new(9) };
        self.change(move |tx| journal::take(tx, other(), &[entry(9, change.clone())], to, &RealWorld)).await;
    }

    fn sets_of(&self, number: u128) -> Vec<SetId> {
        let has = |of: &SetId| self.context.store.read(|read| members::load(read, *of, node(number))).unwrap().is_some();
        [set(), other()].into_iter().filter(has).collect()
    }
}

#[tokio::test]
async fn s_b17_what_was_moved_here_and_is_deleted_before_the_cloud_followed_is_deleted_where_the_cloud_has_it() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    bench.remove(set(), 30).await;
    bench.plan().await;
    let asked: Vec<_> = bench.in_flight().into_iter().map(|pushed| (pushed.operation.set, pushed.operation.push)).collect();
    assert!(matches!(asked.as_slice(), [(of, Push::Delete { .. })] if *of == other()), "{asked:?}");
    assert_eq!(bench.sets_of(30), [other()]);
}

#[tokio::test]
async fn s_b17_news_of_what_was_moved_to_another_set_here_reach_it_there() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    let newer = at(node(30), document(20, "renamed in the cloud"), 9);
    bench.tell_other(Change::Present(newer.clone())).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(30), [set()]);
    assert_eq!(bench.row(node(30)).unwrap().member.target, Target::Present(newer));
}

#[tokio::test]
async fn s_b17_what_was_moved_to_another_set_here_and_is_deleted_in_the_cloud_is_held_there() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    bench.tell_other(Change::Left { node: node(30), departure: Departure::Deleted }).await;
    bench.plan().await;
    let row = bench.row(node(30)).unwrap();
    assert_eq!((row.member.target, row.status.now.reason), (Target::Absent(Departure::Deleted), Some(Reason::TargetNoLongerExists)));
}

#[tokio::test]
async fn s_b17_content_of_what_the_cloud_has_in_another_set_is_asked_of_that_set() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.put(set(), 41, None, Some(document(40, "within"))).await;
    bench.tell_other(Change::Present(at(node(41), edited(document(40, "within")), 9))).await;
    bench.plan().await;
    let order = bench.orders.try_recv().unwrap();
    assert_eq!((order.set, order.set_in_cloud), (set(), other()));
}

#[tokio::test]
async fn s_b17_what_the_cloud_moves_to_another_set_is_moved_here_too() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, None, Some(document(10, "doc"))).await;
    let moved = Change::Entered { node: at(node(30), document(20, "doc"), 9), lists: false };
    bench.tell_other(moved).await;
    bench.take(vec![left(9, node(30), Departure::MovedOut)]).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(30), [other()]);
    let row = bench.context.store.read(|read| members::load(read, other(), node(30))).unwrap().unwrap();
    assert!(row.source.is_some(), "it takes its item along");
}

#[tokio::test]
async fn s_b17_what_the_cloud_adds_to_a_folder_that_was_moved_to_another_set_here_belongs_to_that_set() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.tell_other(Change::Entered { node: at(node(41), document(40, "new"), 9), lists: false }).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(41), [set()]);
}

#[tokio::test]
async fn s_b17_a_listing_does_not_forget_what_the_cloud_has_in_another_set_still() {
    let bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.put(set(), 41, None, Some(document(40, "within"))).await;
    bench.put(set(), 50, None, Some(document(10, "not listed"))).await;
    bench.change(|tx| journal::sweep(tx, set(), None, |listed| listed == node(10))).await;
    let known = |number| bench.row(node(number)).unwrap().member.target != Target::Never;
    assert_eq!([known(40), known(41), known(50)], [true, true, false]);
}

#[tokio::test]
async fn s_b17_of_what_lies_in_a_folder_that_the_cloud_has_in_another_set_nothing_is_asked_before_that_one_follows() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.put(set(), 41, Some(edited(document(40, "within"))), Some(document(40, "within"))).await;
    bench.put(set(), 42, None, Some(document(40, "deleted"))).await;
    bench.remove(set(), 42).await;
    bench.put(set(), 43, Some(document(40, "new")), None).await;
    let pushed = bench.plan().await;
    let asked = |bench: &Bench| bench.in_flight().iter().map(|pushed| pushed.member).collect::<Vec<_>>();
    assert_eq!(asked(&bench), [node(40)]);
    bench.answer(pushed[0], Outcome::Done(Sequence::new(12))).await;
    bench.plan().await;
    let mut rest = asked(&bench);
    rest.sort_unstable();
    assert_eq!(rest, [node(41), node(42), node(43)]);
}

#[tokio::test]
async fn s_b17_what_both_sides_moved_goes_to_the_set_that_the_cloud_moved_it_into() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 11, None, Some(state(Kind::Folder, Some(node(10)), "folder"))).await;
    bench.put(set(), 30, Some(document(11, "doc")), Some(document(10, "doc"))).await;
    bench.moved_in_cloud(set(), 30, document(20, "doc")).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(30), [other()]);
    let order = bench.orders.try_recv().unwrap();
    let into_its_folder = |place: &Option<Place>| place.as_ref().and_then(|place| place.parent) == Some(node(20));
    assert!(order.set == other() && matches!(&order.apply, Apply::Update { place, .. } if into_its_folder(place)), "{order:?}");
}

#[tokio::test]
async fn s_b16_what_the_cloud_has_in_another_set_has_left_that_one_when_the_sync_of_its_new_folder_ends() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    bench.put(set(), 31, None, Some(document(10, "stays"))).await;
    crate::agent::forget::forget_set(&bench.context, set()).await.unwrap();
    bench.plan().await;
    let asked: Vec<_> = bench.in_flight().into_iter().map(|pushed| (pushed.operation.set, pushed.member, pushed.operation.push)).collect();
    assert!(matches!(asked.as_slice(), [(of, member, Push::Delete { .. })] if (*of, *member) == (other(), node(30))), "{asked:?}");
    assert!(bench.sets_of(31).is_empty());
}

#[tokio::test]
async fn s_b17_what_leaves_the_cloud_with_its_folder_is_known_to_have_left_in_the_set_that_it_was_moved_into() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(other(), 40, None, Some(state(Kind::Folder, Some(node(20)), "folder"))).await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(40, "doc"))).await;
    bench.tell_other(Change::Left { node: node(40), departure: Departure::MovedOut }).await;
    bench.plan().await;
    let row = bench.row(node(30)).unwrap();
    assert_eq!((row.member.target, row.status.now.reason), (Target::Absent(Departure::MovedOut), Some(Reason::DeletedOnCloud)));
}

#[tokio::test]
async fn s_b17_what_is_in_a_folder_that_the_cloud_moved_to_another_set_does_not_leave_that_one() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(other(), 40, None, Some(state(Kind::Folder, Some(node(20)), "folder"))).await;
    let here = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    let listed = [at(node(40), here(10), 9), at(node(41), document(40, "within"), 9)];
    bench.change(move |tx| journal::take_listed(tx, set(), &listed, false, &RealWorld)).await;
    bench.tell_other(Change::Left { node: node(40), departure: Departure::MovedOut }).await;
    bench.plan().await;
    assert!(bench.row(node(41)).unwrap().member.target_node().is_some());
}

#[tokio::test]
async fn s_b17_a_folder_is_not_deleted_in_the_cloud_before_what_was_moved_out_of_it_into_another_set_is_out_there_too() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(other(), 40, None, Some(folder(20))).await;
    bench.put(other(), 41, None, Some(folder(40))).await;
    // Its folder is not there yet, so that it cannot follow.
    bench.put(set(), 12, Some(folder(10)), None).await;
    bench.put(set(), 30, Some(document(12, "moved")), Some(document(41, "doc"))).await;
    bench.remove(other(), 41).await;
    bench.remove(other(), 40).await;
    bench.plan().await;
    let deleted = |bench: &Bench| bench.in_flight().iter().any(|pushed| matches!(pushed.operation.push, Push::Delete { .. }));
    assert!(!deleted(&bench));
    let waiting = bench.context.store.read(|read| members::load(read, other(), node(40))).unwrap().unwrap();
    assert!(waiting.status.retry_millis.is_some(), "nobody in its own set wakes it");
    let reason = |number, reason| {
        let change = move |row: Option<MemberRow>| {
            row.map(|mut row| {
                status::fail(&mut row, reason, "why");
                row
            })
        };
        bench.change(move |tx| members::update(tx, set(), node(number), change))
    };
    reason(30, Reason::TargetFolderMissing).await;
    bench.change(|tx| members::mark_dirty(tx, other(), node(40))).await;
    bench.plan().await;
    let waiting = bench.context.store.read(|read| members::load(read, other(), node(40))).unwrap().unwrap();
    assert_eq!(waiting.status.now.reason, Some(Reason::TargetFolderMissing), "people are told what it waits for");
    bench.moved_in_cloud(set(), 30, document(10, "moved")).await;
    bench.change(|tx| members::mark_dirty(tx, other(), node(40))).await;
    bench.plan().await;
    assert!(deleted(&bench));
}

#[tokio::test]
async fn s_b17_what_is_deleted_in_the_cloud_in_a_folder_that_was_moved_to_another_set_here_is_gone_there() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.tell_other(Change::Entered { node: at(node(41), document(40, "new"), 9), lists: false }).await;
    bench.plan().await;
    bench.tell_other(Change::Left { node: node(41), departure: Departure::Deleted }).await;
    assert_eq!(bench.row(node(41)).unwrap().member.target, Target::Absent(Departure::Deleted));
}

#[tokio::test]
async fn s_b17_what_is_changed_and_deleted_in_the_cloud_in_a_folder_that_was_moved_to_another_set_here_is_gone_there() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.put(set(), 41, Some(document(40, "doc")), Some(document(40, "doc"))).await;
    // Both are heard of at one time, before anything is planned.
    bench.tell_other(Change::Present(at(node(41), edited(document(40, "doc")), 8))).await;
    bench.tell_other(Change::Left { node: node(41), departure: Departure::Deleted }).await;
    bench.plan().await;
    assert_eq!(bench.row(node(41)).unwrap().member.target, Target::Absent(Departure::Deleted));
    assert_eq!(bench.sets_of(41), [set()]);
}

#[tokio::test]
async fn s_b17_what_is_in_a_folder_that_no_set_knows_any_more_is_forgotten() {
    let mut bench = Bench::of_two_sets().await;
    let found = [at(node(41), state(Kind::Folder, Some(node(40)), "folder"), 9), at(node(42), document(41, "within"), 9)];
    bench.change(move |tx| journal::take_listed(tx, other(), &found, false, &RealWorld)).await;
    bench.plan().await;
    assert!(bench.sets_of(41).is_empty() && bench.sets_of(42).is_empty());
}

#[tokio::test]
async fn s_b17_what_waits_for_a_node_that_another_set_has_too_looks_again_by_itself() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(other(), 40, None, Some(state(Kind::Folder, Some(node(20)), "folder"))).await;
    bench.remove(other(), 40).await;
    bench.put(set(), 41, Some(document(10, "moved")), Some(document(40, "doc"))).await;
    bench.remove(set(), 41).await;
    bench
        .change(|tx| {
            members::update(tx, set(), node(41), |row| {
                row.map(|mut row| {
                    row.member.activity = Activity::Pushing;
                    row
                })
            })
        })
        .await;
    bench.tell_other(Change::Present(at(node(41), document(40, "doc"), 9))).await;
    bench.plan().await;
    let waiting = bench.context.store.read(|read| members::load(read, other(), node(40))).unwrap().unwrap();
    assert_eq!(waiting.waits, Some(Waits::Node(node(41))));
    assert!(waiting.status.retry_millis.is_some(), "what becomes of it in the first set wakes nobody in the second");
}

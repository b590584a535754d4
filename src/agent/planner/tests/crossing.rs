//! What moves from one set into another: what is known of it is in one of them, and what is asked for is asked for where the cloud has it.

use super::*;
use crate::agent::repository::Stamp;
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
async fn s_b15_what_was_moved_here_and_is_deleted_before_the_cloud_followed_is_deleted_where_the_cloud_has_it() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    bench.remove(set(), 30).await;
    bench.plan().await;
    let asked: Vec<_> = bench.in_flight().into_iter().map(|pushed| (pushed.operation.set, pushed.operation.push)).collect();
    assert!(matches!(asked.as_slice(), [(of, Push::Delete { .. })] if *of == other()), "{asked:?}");
    assert_eq!(bench.sets_of(30), [other()]);
}

#[tokio::test]
async fn s_b15_news_of_what_was_moved_to_another_set_here_reach_it_there() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    let newer = at(node(30), document(20, "renamed in the cloud"), 9);
    bench.tell_other(Change::Present(newer.clone())).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(30), [set()]);
    assert_eq!(bench.row(node(30)).unwrap().member.target, Target::Present(newer));
}

#[tokio::test]
async fn s_b15_what_was_moved_to_another_set_here_and_is_deleted_in_the_cloud_is_held_there() {
    let mut bench = Bench::of_two_sets().await;
    bench.put(set(), 30, Some(document(10, "moved")), Some(document(20, "doc"))).await;
    bench.tell_other(Change::Left { node: node(30), departure: Departure::Deleted }).await;
    bench.plan().await;
    let row = bench.row(node(30)).unwrap();
    assert_eq!((row.member.target, row.status.now.reason), (Target::Absent(Departure::Deleted), Some(Reason::TargetNoLongerExists)));
}

#[tokio::test]
async fn s_b15_content_of_what_the_cloud_has_in_another_set_is_asked_of_that_set() {
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
async fn s_b15_what_the_cloud_moves_to_another_set_is_moved_here_too() {
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
async fn s_b15_what_the_cloud_adds_to_a_folder_that_was_moved_to_another_set_here_belongs_to_that_set() {
    let mut bench = Bench::of_two_sets().await;
    let folder = |parent| state(Kind::Folder, Some(node(parent)), "folder");
    bench.put(set(), 40, Some(folder(10)), Some(folder(20))).await;
    bench.tell_other(Change::Entered { node: at(node(41), document(40, "new"), 9), lists: false }).await;
    bench.plan().await;
    assert_eq!(bench.sets_of(41), [set()]);
}

#[tokio::test]
async fn s_b15_a_listing_does_not_forget_what_the_cloud_has_in_another_set_still() {
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
async fn s_b15_of_what_lies_in_a_folder_that_the_cloud_has_in_another_set_nothing_is_asked_before_that_one_follows() {
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

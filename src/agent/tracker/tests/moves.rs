//! Who is who after moves, saves and copies.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Bench, Look, name, set};
use crate::agent::planner::{Order, placing};
use crate::agent::repository::{EntryName, SiteName, Stamp};
use crate::agent::state::members::{save, update};
use crate::agent::state::{MemberRow, SourceRow};
use crate::engine::{Activity, Source, SourceNode};
use crate::model::{Kind, NodeId, NodeState, OpId, PairingId, Place, Properties, Property, Reason, Value};
use crate::store::Transaction;

#[tokio::test(start_paused = true)]
async fn s_b13_a_rename_keeps_the_node() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a.txt", "a");
    bench.touch(&["top/a.txt"]).await;
    let node = bench.node("top/a.txt");
    bench.observed();
    bench.at().rename("top/a.txt", "top/b.txt");
    bench.touch(&["top/a.txt", "top/b.txt"]).await;
    assert_eq!(bench.node("top/b.txt"), node);
    assert!(bench.member(1, "top/a.txt").is_none());
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s_b14_a_move_across_folders_keeps_the_node() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().folder("top/y");
    bench.at().write("top/x/a.txt", "a");
    bench.rescan().await;
    let node = bench.node("top/x/a.txt");
    bench.observed();
    bench.at().rename("top/x/a.txt", "top/y/a.txt");
    bench.touch(&["top/x/a.txt"]).await;
    assert_eq!(bench.node("top/y/a.txt"), node);
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_m01_a_renamed_folder_brings_its_children_along_unread() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().folder("top/y");
    for number in 0..20 {
        bench.at().write(&format!("top/x/{number}"), "x");
    }
    bench.rescan().await;
    let nodes = (bench.node("top/x"), bench.node("top/x/7"));
    bench.observed();
    bench.at().rename("top/x", "top/y/z");
    bench.touch(&["top/x", "top/y/z"]).await;
    assert_eq!((bench.node("top/y/z"), bench.node("top/y/z/7")), nodes);
    bench.rescan().await;
    assert_eq!((bench.node("top/y/z"), bench.node("top/y/z/7")), nodes);
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_m04_swapped_names_follow_the_items() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().write("top/b", "b");
    bench.rescan().await;
    let (a, b) = (bench.node("top/a"), bench.node("top/b"));
    bench.at().swap("top/a", "top/b");
    bench.touch(&["top/a", "top/b"]).await;
    assert_eq!((bench.node("top/a"), bench.node("top/b")), (b, a));
}

#[tokio::test(start_paused = true)]
async fn edge_m17_a_move_into_a_folder_made_at_the_same_time() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().folder("top/new");
    bench.at().rename("top/a", "top/new/a");
    bench.touch(&["top/a", "top/new"]).await;
    assert_eq!(bench.node("top/new/a"), node);
}

#[tokio::test(start_paused = true)]
async fn s_b02_a_safe_save_is_an_edit_of_the_node_there() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().thing("top/a").properties.stated.set(Property::Author, Some(Value::Text("Ada".into()))).unwrap();
    bench.rescan().await;
    bench.agree("top/a").await;
    let (node, key) = (bench.node("top/a"), bench.key("top/a"));
    bench.at().write("top/.a.tmp", "new");
    bench.at().rename("top/.a.tmp", "top/a");
    bench.touch(&["top/.a.tmp", "top/a"]).await;
    let row = bench.member(1, "top/a").unwrap();
    let source = row.member.source_node().unwrap();
    assert_eq!(row.member.node, node);
    assert_ne!(row.source.unwrap().key, key);
    assert_eq!(source.state.content.unwrap().size_bytes, 3);
    assert!(!source.properties_known, "what the new item does not have is unknown, not removed");
}

#[tokio::test(start_paused = true)]
async fn edge_m08_a_new_item_seen_before_it_was_moved_over_is_an_edit_too() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    bench.agree("top/a").await;
    let node = bench.node("top/a");
    bench.at().write("top/a.tmp", "new");
    bench.touch(&["top/a.tmp"]).await;
    let passing = bench.node("top/a.tmp");
    bench.at().rename("top/a.tmp", "top/a");
    bench.touch(&["top/a", "top/a.tmp"]).await;
    assert_eq!(bench.node("top/a"), node);
    assert!(bench.is_absent(passing));
    assert_eq!(bench.known("top/a").content.unwrap().size_bytes, 3);
}

#[tokio::test(start_paused = true)]
async fn edge_m08_a_known_item_moved_over_another_keeps_its_node() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().write("top/b", "b");
    bench.rescan().await;
    bench.agree("top/a").await;
    bench.agree("top/b").await;
    let (a, b) = (bench.node("top/a"), bench.node("top/b"));
    bench.at().rename("top/a", "top/b");
    bench.touch(&["top/a", "top/b"]).await;
    assert_eq!(bench.node("top/b"), a);
    assert!(bench.is_absent(b));
}

#[tokio::test(start_paused = true)]
async fn s_b18_a_copy_is_a_node_of_its_own() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().write("top/b", "a");
    bench.touch(&["top/b"]).await;
    assert_eq!(bench.node("top/a"), node);
    assert_ne!(bench.node("top/b"), node);
}

#[tokio::test(start_paused = true)]
async fn edge_m25_a_second_name_of_an_item_is_a_node_of_its_own() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().link("top/a", "top/b");
    bench.at().link("top/a", "top/x/c");
    bench.touch(&["top/b", "top/x/c"]).await;
    let (b, c) = (bench.node("top/b"), bench.node("top/x/c"));
    assert!(bench.node("top/a") == node && b != node && c != node && b != c);
    bench.rescan().await;
    assert_eq!((bench.node("top/a"), bench.node("top/b"), bench.node("top/x/c")), (node, b, c));
    bench.at().remove("top/b");
    bench.at().remove("top/x/c");
    bench.touch(&["top/b", "top/x/c"]).await;
    assert!(bench.is_absent(b) && bench.is_absent(c) && bench.node("top/a") == node);
}

#[tokio::test(start_paused = true)]
async fn edge_x05_what_is_made_again_at_once_is_an_edit_and_later_another_node() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.at().write("top/a", "again");
    bench.touch(&["top/a"]).await;
    assert_eq!(bench.node("top/a"), node);
    bench.at().remove("top/a");
    bench.touch(&["top/a"]).await;
    assert!(bench.is_absent(node));
    bench.at().write("top/a", "later");
    bench.touch(&["top/a"]).await;
    assert_ne!(bench.node("top/a"), node);
}

#[tokio::test(start_paused = true)]
async fn edge_t01_another_kind_at_the_same_name_is_another_node() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.at().folder("top/a");
    bench.touch(&["top/a"]).await;
    assert!(bench.is_absent(node));
    assert_eq!(bench.known("top/a").kind, Kind::Folder);
}

#[tokio::test(start_paused = true)]
async fn s_d06_a_deleted_folder_takes_its_members_but_not_what_was_moved_out_before() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/x/a", "a");
    bench.at().write("top/x/b", "b");
    bench.rescan().await;
    let (x, a, b) = (bench.node("top/x"), bench.node("top/x/a"), bench.node("top/x/b"));
    bench.at().rename("top/x/a", "top/a");
    bench.at().remove("top/x");
    bench.touch(&["top/x"]).await;
    assert!(bench.is_absent(x) && bench.is_absent(b));
    assert_eq!(bench.node("top/a"), a);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_was_overtaken_is_thrown_away() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().write("top/a", "seen too early");
    let store = bench.context.store.clone();
    bench.at().after_list = Some(Box::new(move || {
        let applied = store.transact(move |tx| {
            update(tx, set(1), node, |row| {
                row.map(|mut row| {
                    row.source_revision += 1;
                    row.member.activity = Activity::Applying;
                    row
                })
            })
        });
        futures::executor::block_on(applied).unwrap();
    }));
    let folder = bench.key("top");
    bench.context.looks.look(set(1), super::Look::Folder(folder));
    bench.settle().await;
    assert_eq!(bench.known("top/a").content.unwrap().size_bytes, 1);
    bench.set_activity(node, Activity::Idle).await;
    bench.touch(&["top/a"]).await;
    assert_eq!(bench.known("top/a").content.unwrap().size_bytes, 14);
}

#[tokio::test(start_paused = true)]
async fn s_b02_a_delete_right_after_a_rename_is_seen_although_the_rename_is_written_down_late() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().rename("top/a", "top/b");
    let (looked, looks) = std::sync::mpsc::channel();
    let (fake, queue, folder) = (bench.fake.clone(), bench.context.looks.clone(), bench.key("top"));
    let top = folder.clone();
    bench.at().after_list = Some(Box::new(move || {
        let mut state = fake.state();
        state.remove("top/b");
        state.looked = Some(looked.clone());
        drop(state);
        queue.look(set(1), Look::Name(top.clone(), name("b")));
        // Were this to be looked at by now, it would be before what was listed is written down. It is not, so this ends in vain.
        let _in_vain = looks.recv_timeout(Duration::from_millis(200));
    }));
    bench.context.looks.look(set(1), Look::Folder(folder));
    bench.settle().await;
    assert!(bench.is_absent(node));
}

#[tokio::test(start_paused = true)]
async fn edge_n01_n06_i05_what_cannot_be_a_member_is_listed_until_it_is_gone() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a:b", "x");
    bench.at().odd("top/link", crate::agent::repository::Item::Unsupported(crate::agent::repository::UnsupportedKind::Link));
    bench.at().write("top/good", "x");
    bench.rescan().await;
    assert_eq!(bench.oddities(), [("a:b".to_owned(), Reason::NameNotAllowed), ("link".to_owned(), Reason::UnsupportedType)]);
    assert!(bench.member(1, "top/good").is_some());
    bench.at().rename("top/a:b", "top/ab");
    bench.at().remove("top/link");
    let folder = bench.key("top");
    bench.context.looks.look(set(1), super::Look::Folder(folder));
    bench.settle().await;
    assert!(bench.oddities().is_empty() && bench.member(1, "top/ab").is_some());
    // A member that gets such a name stays one, and says so.
    let node = bench.node("top/good");
    bench.at().rename("top/good", "top/good.");
    bench.touch(&["top/good"]).await;
    assert_eq!((bench.node("top/good"), bench.problem("top/good")), (node, Some(Reason::NameNotAllowed)));
    assert!(matches!(EntryName::from_bytes(b"good."), EntryName::NotAllowed(..)));
    bench.at().rename("top/good.", "top/better");
    bench.touch(&["top/better"]).await;
    assert_eq!((bench.node("top/better"), bench.problem("top/better")), (node, None));
    assert_eq!(bench.known("top/better").name, name("better"));
}

#[tokio::test(start_paused = true)]
async fn edge_t04_a_document_replaced_by_a_link_is_not_deleted() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.at().odd("top/a", crate::agent::repository::Item::Unsupported(crate::agent::repository::UnsupportedKind::Link));
    bench.touch(&["top/a"]).await;
    assert_eq!((bench.node("top/a"), bench.problem("top/a")), (node, Some(Reason::UnsupportedType)));
}

#[tokio::test(start_paused = true)]
async fn s_b23_edge_f06_what_somebody_writes_is_read_once_it_is_closed() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    let open = bench.at().write("top/a", "half-writ");
    bench.at().busy.insert(open);
    bench.at().rename("top/a", "top/b");
    bench.touch(&["top/a", "top/b"]).await;
    assert_eq!(bench.node("top/b"), node);
    assert_eq!(bench.known("top/b").content.unwrap().size_bytes, 1);
    bench.at().write("top/b", "written");
    bench.at().busy.clear();
    bench.touch(&["top/b"]).await;
    assert_eq!(bench.known("top/b").content.unwrap().size_bytes, 7);
}

/// Found by killing processes: new content that was put in place and moved in one step was seen before it was written down whose it is.
#[tokio::test(start_paused = true)]
async fn edge_m04_an_item_at_one_place_is_one_member() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a.txt", "a");
    bench.touch(&["top/a.txt"]).await;
    let node = bench.node("top/a.txt");
    let row = bench.row(1, node).unwrap();
    let mut twin = MemberRow::new(NodeId::from_uuid(Uuid::max()), row.pairing);
    (twin.member.source, twin.source) = (row.member.source, row.source);
    let other = twin.member.node;
    bench.context.store.transact(move |tx| update(tx, set(1), other, |_| Some(twin.clone()))).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), bench.rescan()).await.unwrap();
    assert!(bench.is_absent(other));
    bench.at().rename("top/a.txt", "top/b.txt");
    bench.rescan().await;
    assert_eq!(bench.node("top/b.txt"), node, "it is still known by its key");
}

#[tokio::test(start_paused = true)]
async fn edge_k02_what_the_applier_put_in_place_is_nobody_elses_when_it_is_renamed_before_it_is_on_record() {
    let mut bench = Bench::with_folder().await;
    let (top, made) = (bench.node("top"), NodeId::from_uuid(Uuid::from_u128(9)));
    bench.at().write("top/a", "a");
    let (folder, key) = (bench.key("top"), bench.key("top/a"));
    let state = NodeState {
        kind: Kind::Document,
        place: Place { parent: Some(top), name: name("a") },
        content: None,
        properties: Properties::default(),
    };
    let op = OpId::from_uuid(Uuid::from_u128(8));
    let order = Order::to_create(set(1), &SiteName("site".to_owned()), made, op, state.clone(), Some(folder.clone()));
    let announced = key.clone();
    bench.context.store.transact(move |tx| placing::begin(tx, &announced, &order)).await.unwrap();
    bench.at().rename("top/a", "top/b");
    bench.observed();
    bench.touch(&["top/a", "top/b"]).await;
    assert!(bench.member(1, "top/b").is_none() && bench.observed().is_empty());
    let recorded = move |tx: &mut Transaction<'_>| {
        let mut row = MemberRow::new(made, PairingId::from_uuid(Uuid::from_u128(7)));
        row.member.source = Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None });
        row.source = Some(SourceRow {
            key: key.clone(),
            folder: folder.clone(),
            aside: None,
            stamp: Stamp::UNSEEN,
            custom_type: None,
            notes: Vec::new(),
            left_library: false,
            obsolete: Properties::default(),
            protected: false,
        });
        placing::end(tx, &key)?;
        save(tx, set(1), None, Some(&row))
    };
    bench.context.store.transact(recorded).await.unwrap();
    // By itself: nothing reports the rename again.
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(bench.node("top/b"), made);
}

/// Found by running tests beside other work: it was seen, then removed, and both were written down the other way round.
#[tokio::test(start_paused = true)]
async fn s_d06_what_a_slower_look_wrote_down_of_what_is_gone_is_not_the_last_word() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.touch(&["top/a"]).await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.context.looks.look(set(1), Look::Name(bench.key("top"), name("a")));
    bench.tracker.work(&CancellationToken::new()).await;
    assert_eq!(bench.tracker.missing.len(), 1);
    let seen = bench.context.store.transact(move |tx| {
        update(tx, set(1), node, |row| {
            row.map(|mut row| {
                row.source_revision += 1;
                row
            })
        })
    });
    seen.await.unwrap();
    bench.settle().await;
    assert!(bench.is_absent(node));
}

//! What moves between sets, out of one, or about with a set of its own.

use super::{Bench, Look, SUBFOLDERS, name, set};
use crate::agent::state::members::update;
use crate::engine::{Activity, Source, Target};
use crate::model::{NodeState, Place, Reason, Revisions, SetShape, TargetNode};

#[tokio::test(start_paused = true)]
async fn s_b17_edge_m19_a_move_between_sets_keeps_the_node_and_what_is_agreed() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("other");
    bench.make_set(2, "acme", SUBFOLDERS, &["other"]).await;
    bench.at().folder("top/x");
    bench.at().write("top/x/a", "a");
    bench.rescan().await;
    bench.agree("top/x").await;
    bench.agree("top/x/a").await;
    let (x, a) = (bench.node("top/x"), bench.node("top/x/a"));
    bench.observed();
    bench.at().rename("top/x", "other/y");
    bench.touch(&["top/x", "other/y"]).await;
    assert!(bench.row(1, x).is_none() && bench.row(1, a).is_none());
    let (moved, child) = (bench.member(2, "other/y").unwrap(), bench.member(2, "other/y/a").unwrap());
    assert_eq!((moved.member.node, child.member.node), (x, a));
    assert!(moved.member.base.is_some() && child.member.base.is_some());
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s_b17_what_the_cloud_moved_to_another_set_and_the_repository_could_not_stays_in_that_set_wherever_it_is_seen() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().folder("top/x/within");
    bench.make_set(2, "acme", SUBFOLDERS, &["top/x/within"]).await;
    bench.rescan().await;
    bench.agree("top/x").await;
    // The cloud moved a folder into one that lies in it here.
    let (node, within) = (bench.node("top/x"), bench.member(2, "within").unwrap().member.node);
    let mut row = bench.row(1, node).unwrap();
    let place = Place { parent: Some(within), name: name("x") };
    let state = NodeState { place, ..row.member.source_node().unwrap().state.clone() };
    row.member.target = Target::Present(TargetNode { node, state, revisions: Revisions::default() });
    let store = bench.context.store.clone();
    store
        .transact(move |tx| update(tx, set(1), node, |_| None).and_then(|()| update(tx, set(2), node, |_| Some(row.clone()))))
        .await
        .unwrap();
    bench.rescan().await;
    bench.touch(&["top/x"]).await;
    assert!(bench.row(1, node).is_none() && bench.row(2, node).unwrap().source.is_some());
    bench.at().rename("top/x", "top/y");
    bench.touch(&["top/x", "top/y"]).await;
    assert_eq!(bench.node("top/y"), node, "a person moved it");
}

#[tokio::test(start_paused = true)]
async fn s_b17_what_was_made_in_a_folder_while_that_became_the_folder_of_another_set_goes_with_it() {
    let mut bench = Bench::with_folder().await;
    for folder in ["top/x", "other"] {
        bench.at().folder(folder);
    }
    bench.make_set(2, "acme", SUBFOLDERS, &["other"]).await;
    bench.at().write("top/x/a", "a");
    bench.rescan().await;
    for path in ["top/x", "top/x/a"] {
        bench.agree(path).await;
    }
    let (x, a) = (bench.node("top/x"), bench.node("top/x/a"));
    bench.set_activity(a, Activity::Applying).await;
    bench.at().remove("other");
    bench.at().rename("top/x", "other");
    bench.touch(&["top/x", "other"]).await;
    assert!(bench.is_absent(x), "its place belongs to the folder of the other set");
    bench.set_activity(a, Activity::Idle).await;
    bench.rescan().await;
    assert_eq!(bench.member(2, "other/a").map(|row| row.member.node), Some(a));
    assert_eq!(bench.row(1, a), None);
}

#[tokio::test(start_paused = true)]
async fn s_b17_between_networks_it_leaves_one_set_and_enters_the_other() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("other");
    bench.make_set(2, "other", SUBFOLDERS, &["other"]).await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().rename("top/a", "other/a");
    bench.touch(&["top/a", "other/a"]).await;
    assert!(bench.is_absent(node));
    let moved = bench.member(2, "other/a").unwrap();
    assert!(moved.member.node != node && moved.member.source_node().unwrap().state.content.is_some());
}

#[tokio::test(start_paused = true)]
async fn s_b15_a_direct_member_is_followed_within_its_library() {
    let mut bench = Bench::new();
    bench.at().folder("x");
    bench.at().folder("y");
    bench.at().write("x/a", "a");
    bench.make_set(1, "acme", SetShape::Documents, &["x/a"]).await;
    assert!(bench.is_complete() && bench.problem("a").is_none());
    let node = bench.node("a");
    bench.at().rename("x/a", "y/b");
    bench.touch(&["x/a"]).await;
    assert_eq!(bench.node("b"), node);
    let folder = bench.key("y");
    assert_eq!(bench.member(1, "b").unwrap().source.unwrap().folder, folder);
    bench.at().write("y/b", "edited there");
    bench.touch(&["y/b"]).await;
    assert_eq!(bench.known("b").content.unwrap().size_bytes, 12);
    bench.at().write("y/unasked", "not synced");
    bench.touch(&["y/unasked"]).await;
    assert!(bench.member(1, "unasked").is_none());
}

#[tokio::test(start_paused = true)]
async fn s_b02_what_people_do_to_a_direct_member_that_the_cloud_brought_back_elsewhere_is_seen() {
    let mut bench = Bench::new();
    bench.at().folder("x");
    bench.at().folder("y");
    bench.at().write("x/a", "a");
    bench.make_set(1, "acme", SetShape::Documents, &["x/a"]).await;
    let node = bench.node("a");
    // What the applier does, and writes down.
    bench.at().rename("x/a", "y/a");
    let folder = bench.key("y");
    let placed = bench.context.store.transact(move |tx| {
        update(tx, set(1), node, |row| {
            let mut row = row?;
            row.source.as_mut()?.folder = folder.clone();
            Some(row)
        })
    });
    placed.await.unwrap();
    bench.context.looks.look(set(1), Look::Member(node));
    bench.settle().await;
    let folder = bench.at().find("y").unwrap();
    assert!(bench.at().watched.contains(&folder));
    bench.at().write("y/a", "edited there");
    bench.touch(&["y/a"]).await;
    assert_eq!(bench.known("a").content.unwrap().size_bytes, 12);
}

#[tokio::test(start_paused = true)]
async fn s_b15_a_direct_member_that_leaves_its_library_is_not_deleted() {
    let mut bench = Bench::new();
    bench.at().write("a", "a");
    bench.make_set(1, "acme", SetShape::Documents, &["a"]).await;
    bench.at().rename("a", "~/a");
    bench.touch(&["a"]).await;
    let row = bench.member(1, "a").unwrap();
    assert!(matches!(row.member.source, Source::Present(_)) && row.source.unwrap().left_library);
}

#[tokio::test(start_paused = true)]
async fn s_b15_a_direct_member_in_a_synced_folder_keeps_its_own_set() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("a", "a");
    bench.make_set(2, "acme", SetShape::Documents, &["a"]).await;
    let node = bench.member(2, "a").unwrap().member.node;
    bench.at().rename("a", "top/a");
    bench.touch(&["a", "top/a"]).await;
    assert_eq!(bench.member(2, "a").unwrap().member.node, node);
    assert!(bench.member(1, "top/a").is_none());
    assert_eq!(bench.oddities(), [("a".to_owned(), Reason::AlreadySynced)]);
}

#[tokio::test(start_paused = true)]
async fn s_b15_what_is_put_in_the_place_of_a_direct_member_in_a_synced_folder_is_that_member_alone() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("a", "a");
    bench.make_set(2, "acme", SetShape::Documents, &["a"]).await;
    bench.at().rename("a", "top/a");
    bench.touch(&["a", "top/a"]).await;
    let node = bench.member(2, "a").unwrap().member.node;
    bench.at().remove("top/a");
    bench.at().write("top/a", "saved anew");
    bench.touch(&["top/a"]).await;
    assert_eq!(bench.member(2, "a").unwrap().source.unwrap().key, bench.key("top/a"));
    assert!(bench.member(1, "top/a").is_none(), "it is in one set");
    // Also when a member of the folder is put there.
    bench.at().write("top/b", "b");
    bench.touch(&["top/b"]).await;
    let put = bench.node("top/b");
    bench.at().rename("top/b", "top/a");
    bench.touch(&["top/a", "top/b"]).await;
    let row = bench.member(2, "a").unwrap();
    assert_eq!((row.member.node, row.source.unwrap().key), (node, bench.key("top/a")));
    assert!(bench.member(1, "top/a").is_none() && bench.is_absent(put));
}

#[tokio::test(start_paused = true)]
async fn s_b15_what_the_cloud_put_in_the_place_of_a_direct_member_stays_in_its_own_set() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("a");
    bench.make_set(2, "acme", SUBFOLDERS, &["a"]).await;
    let direct = bench.member(2, "a").unwrap().member.node;
    bench.at().rename("a", "top/a");
    bench.at().folder("top/b");
    bench.touch(&["a", "top/a", "top/b"]).await;
    let (top, node) = (bench.node("top"), bench.node("top/b"));
    // What the applier does, and writes down, before anybody sees that its name is free.
    bench.at().remove("top/a");
    bench.at().rename("top/b", "top/a");
    let applied = bench.context.store.transact(move |tx| {
        update(tx, set(1), node, |row| {
            let mut row = row?;
            let Source::Present(source) = &mut row.member.source else { return None };
            source.state.place = Place { parent: Some(top), name: name("a") };
            Some(row)
        })
    });
    applied.await.unwrap();
    bench.touch(&["top/a", "top/b"]).await;
    assert_eq!(bench.node("top/a"), node);
    assert!(bench.row(2, direct).unwrap().source.is_none(), "it was removed");
    bench.at().write("top/a/new", "new");
    bench.touch(&["top/a/new"]).await;
    assert!(bench.member(1, "top/a/new").is_some());
}

#[tokio::test(start_paused = true)]
async fn s_b15_direct_members_that_swap_places_in_folders_of_another_set_are_followed() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().folder("top/y");
    bench.rescan().await;
    bench.at().write("top/x/a", "a");
    bench.at().write("top/y/b", "b");
    bench.make_set(2, "acme", SetShape::Documents, &["top/x/a", "top/y/b"]).await;
    let member = |bench: &Bench, name: &str| bench.member(2, name).map(|row| (row.member.node, row.source.unwrap().folder)).unwrap();
    let (a, b) = (member(&bench, "a"), member(&bench, "b"));
    bench.at().rename("top/x/a", "aside");
    bench.at().rename("top/y/b", "top/x/a");
    bench.at().rename("aside", "top/y/b");
    bench.touch(&["top/x/a", "top/y/b"]).await;
    assert_eq!((member(&bench, "a"), member(&bench, "b")), ((b.0, a.1), (a.0, b.1)));
}

#[tokio::test(start_paused = true)]
async fn s_b16_edge_m19_what_moves_out_leaves_the_set_with_all_that_is_in_it() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/x/a", "a");
    bench.rescan().await;
    let (x, a) = (bench.node("top/x"), bench.node("top/x/a"));
    bench.at().rename("top/x", "x");
    bench.touch(&["top/x"]).await;
    assert!(bench.is_absent(x) && bench.is_absent(a));
    bench.at().rename("x", "top/x");
    bench.touch(&["top/x"]).await;
    assert!(bench.member(1, "top/x/a").is_some());
}

//! Cases that sync systems are known to fail at, by the ids of `tests/EDGE_CASES.md`.

use super::{Bench, SUBFOLDERS, name, set};
use crate::agent::state::Dirty;
use crate::agent::state::members::at_source;
use crate::agent::tracker::Look;
use crate::engine::Activity;
use crate::model::{NodeId, Reason, SetShape};
use crate::store::{ReadExt as _, WriteExt as _};

impl Bench {
    fn is_dirty(&self, node: NodeId) -> bool {
        self.context.store.read(|read| read.get::<Dirty>(&(set(1), node))).unwrap().is_some()
    }

    /// As if all that was planned of it had been done.
    async fn rest(&self, node: NodeId) {
        let done = self.context.store.transact(move |tx| tx.delete::<Dirty>(&(set(1), node)));
        done.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn edge_n02_a_folder_and_its_namesake_with_a_dot_are_never_merged() {
    let mut bench = Bench::with_folder().await;
    for folder in ["top/dir", "top/dir."] {
        bench.at().folder(folder);
        bench.at().write(&format!("{folder}/a"), folder);
    }
    bench.rescan().await;
    assert_eq!(bench.oddities(), [("dir.".to_owned(), Reason::NameNotAllowed)]);
    assert_eq!(bench.known("top/dir/a").content.unwrap().size_bytes, "top/dir".len() as u64);
    let in_top = bench.context.store.read(|read| at_source(read, set(1), Some(bench.node("top")))).unwrap();
    assert_eq!(in_top, [bench.node("top/dir")]);
    // Neither takes the place of the other when that one goes.
    bench.at().remove("top/dir");
    bench.touch(&["top/dir"]).await;
    assert!(bench.member(1, "top/dir").is_none() && bench.member(1, "top/dir.").is_none());
}

#[tokio::test(start_paused = true)]
async fn edge_m02_what_was_moved_and_edited_at_once_is_the_node_that_it_was() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/a", "a");
    bench.rescan().await;
    bench.agree("top/a").await;
    let node = bench.node("top/a");
    bench.at().rename("top/a", "top/x/b");
    bench.at().write("top/x/b", "edited");
    bench.touch(&["top/a", "top/x/b"]).await;
    assert_eq!((bench.node("top/x/b"), bench.known("top/x/b").content.unwrap().size_bytes), (node, 6));
    assert!(bench.member(1, "top/a").is_none());
}

#[tokio::test(start_paused = true)]
async fn edge_m06_m22_what_is_moved_again_and_again_is_one_node_and_read_once() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.observed();
    // Its first push is under way meanwhile.
    bench.set_activity(node, Activity::Pushing).await;
    // Unseen in between, and then seen at each place.
    bench.at().rename("top/a", "top/b");
    bench.at().rename("top/b", "top/c");
    bench.at().rename("top/c", "top/b");
    bench.touch(&["top/a", "top/b", "top/c"]).await;
    assert_eq!(bench.node("top/b"), node);
    for (from, to) in [("top/b", "top/x/b"), ("top/x/b", "top/x/c"), ("top/x/c", "top/a"), ("top/a", "top/b")] {
        bench.at().rename(from, to);
        bench.touch(&[from, to]).await;
        assert_eq!(bench.node(to), node);
        assert!(bench.member(1, from).is_none());
    }
    assert!(bench.observed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_m20_what_moves_to_where_the_set_does_not_reach_leaves_it_and_is_added_when_it_comes_back() {
    let mut bench = Bench::new();
    bench.at().folder("top");
    bench.at().folder("top/sub");
    bench.at().write("top/a", "a");
    bench.make_set(1, "acme", SetShape::Folder { subfolders: false }, &["top"]).await;
    let node = bench.node("top/a");
    bench.at().rename("top/a", "top/sub/a");
    bench.touch(&["top/a"]).await;
    assert!(bench.is_absent(node) && bench.member(1, "top/sub").is_none());
    bench.at().rename("top/sub/a", "top/b");
    bench.touch(&["top/b"]).await;
    assert!(bench.member(1, "top/b").is_some());
}

#[tokio::test(start_paused = true)]
async fn edge_m20_a_document_that_was_saved_anew_where_the_set_does_not_reach_leaves_with_its_folder() {
    let mut bench = Bench::new();
    for folder in ["outside", "top", "top/x"] {
        bench.at().folder(folder);
    }
    bench.at().write("top/x/a", "a");
    bench.make_set(1, "acme", SetShape::Folder { subfolders: true }, &["top"]).await;
    let (x, a) = (bench.node("top/x"), bench.node("top/x/a"));
    bench.at().rename("top/x", "outside/x");
    bench.at().remove("outside/x/a");
    bench.at().write("outside/x/a", "saved anew");
    bench.touch(&["top/x"]).await;
    assert!(bench.is_absent(x) && bench.is_absent(a) && bench.is_complete());
}

#[tokio::test(start_paused = true)]
async fn edge_x09_what_came_and_went_between_two_looks_was_never_there() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().remove("top/a");
    bench.touch(&["top/a"]).await;
    let in_top = |bench: &Bench| bench.context.store.read(|read| at_source(read, set(1), Some(bench.node("top")))).unwrap();
    assert!(in_top(&bench).is_empty() && bench.oddities().is_empty() && bench.observed().is_empty());
    // Seen once, it is absent without ever having been agreed on, which the planner forgets.
    bench.at().write("top/a", "a");
    bench.touch(&["top/a"]).await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.touch(&["top/a"]).await;
    assert!(bench.is_absent(node) && bench.row(1, node).unwrap().member.base.is_none());
}

#[tokio::test(start_paused = true)]
async fn edge_x12_what_is_said_of_a_folder_after_it_is_gone_changes_nothing() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/x/a", "a");
    bench.at().write("top/b", "b");
    bench.rescan().await;
    let (x, a, b) = (bench.node("top/x"), bench.node("top/x/a"), bench.node("top/b"));
    let folder = bench.key("top/x");
    bench.at().remove("top/x");
    let late = [Look::Name(folder.clone(), name("a")), Look::Folder(folder.clone()), Look::Name(folder, name("never there"))];
    // The child before the folder, and again after it.
    bench.context.looks.look(set(1), late[0].clone());
    bench.settle().await;
    assert!(bench.is_absent(a));
    bench.touch(&["top/x"]).await;
    for look in late.iter().chain(&late) {
        bench.context.looks.look(set(1), look.clone());
        bench.settle().await;
    }
    assert!(bench.is_absent(x) && bench.is_absent(a) && bench.node("top/b") == b && bench.is_complete());
    assert!(bench.oddities().is_empty() && bench.context.looks.problems().is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_c12_a_touch_is_no_change_and_a_touch_with_a_move_is_a_move() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/a", "a");
    bench.rescan().await;
    bench.agree("top/a").await;
    let node = bench.node("top/a");
    bench.rest(node).await;
    let before = bench.known("top/a");
    // A thing that is asked for gets another time.
    bench.at().thing("top/a");
    bench.touch(&["top/a"]).await;
    let after = bench.known("top/a");
    assert_eq!((after.content, &after.name), (before.content, &before.name));
    assert!(!bench.is_dirty(node), "nothing is planned of it");
    bench.observed();
    bench.rescan().await;
    assert!(bench.observed().is_empty(), "it was read once, and its new time is known");
    bench.at().thing("top/a");
    bench.at().rename("top/a", "top/x/a");
    bench.touch(&["top/a", "top/x/a"]).await;
    assert_eq!((bench.node("top/x/a"), bench.known("top/x/a").content), (node, before.content));
    assert!(bench.is_dirty(node));
}

#[tokio::test(start_paused = true)]
async fn edge_n12_siblings_that_differ_only_by_case_or_normalization_are_all_known() {
    let mut bench = Bench::new();
    bench.at().folder("top");
    for text in ["ReadMe", "README", "caf\u{e9}", "cafe\u{301}"] {
        bench.at().write(&format!("top/{text}"), text);
    }
    bench.make_set(1, "acme", SUBFOLDERS, &["top"]).await;
    let in_top = bench.context.store.read(|read| at_source(read, set(1), Some(bench.node("top")))).unwrap();
    assert_eq!(in_top.len(), 4, "which of them has to wait for its name is the planner's to say");
    let node = bench.node("top/ReadMe");
    bench.at().remove("top/README");
    bench.touch(&["top/README"]).await;
    assert_eq!((bench.node("top/ReadMe"), bench.member(1, "top/README").is_none()), (node, true));
}

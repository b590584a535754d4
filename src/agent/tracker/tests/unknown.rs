//! Unknown is not empty.

use super::Bench;
use crate::agent::repository::Unhealthy;
use crate::model::Reason;

#[tokio::test(start_paused = true)]
async fn s_d09_edge_f07_a_vanished_root_deletes_nothing_and_recovers() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().unhealthy = Some(Unhealthy::ForeignRoot);
    bench.touch(&["top/a"]).await;
    assert!(!bench.is_complete());
    assert_eq!(bench.context.looks.problems().len(), 1);
    bench.rescan().await;
    assert!(!bench.is_complete() && bench.node("top/a") == node && bench.problem("top/a").is_none());
    bench.at().unhealthy = None;
    bench.tracker.check_at = tokio::time::Instant::now();
    bench.settle().await;
    assert!(bench.is_complete() && bench.node("top/a") == node && bench.context.looks.problems().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s_d09_edge_f04_an_unreadable_folder_is_unknown_with_all_that_is_in_it() {
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().folder("top/x/y");
    bench.at().write("top/x/a", "a");
    bench.at().write("top/x/y/b", "b");
    bench.rescan().await;
    let node = bench.node("top/x/y/b");
    let folder = bench.at().find("top/x").unwrap();
    bench.at().denied.insert(folder);
    bench.observed();
    bench.rescan().await;
    assert_eq!(bench.problem("top/x"), Some(Reason::SourceAccessDenied));
    assert_eq!(bench.problem("top/x/a"), Some(Reason::SourceUnknown));
    assert_eq!((bench.node("top/x/y/b"), bench.problem("top/x/y/b")), (node, Some(Reason::SourceUnknown)));
    assert!(bench.problem("top").is_none());
    bench.at().denied.clear();
    bench.touch(&["top/x"]).await;
    for path in ["top/x", "top/x/a", "top/x/y", "top/x/y/b"] {
        assert_eq!(bench.problem(path), None, "{path}");
    }
    assert!(bench.observed().is_empty(), "what was not changed is not read again");
}

#[tokio::test(start_paused = true)]
async fn s_d09_edge_f04_a_folder_in_which_one_name_could_not_be_seen_is_looked_at_as_a_whole() {
    let mut bench = Bench::with_folder().await;
    for path in ["top/x", "top/x/y"] {
        bench.at().folder(path);
    }
    for path in ["top/x/a", "top/x/b", "top/x/y/c"] {
        bench.at().write(path, path);
    }
    bench.rescan().await;
    let folder = bench.at().find("top/x").unwrap();
    bench.at().denied.insert(folder);
    bench.touch(&["top/x/a"]).await;
    assert_eq!(bench.problem("top/x/y/c"), Some(Reason::SourceUnknown));
    bench.at().denied.clear();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    bench.settle().await;
    for path in ["top/x", "top/x/a", "top/x/b", "top/x/y", "top/x/y/c"] {
        assert_eq!(bench.problem(path), None, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn s_d09_edge_f08_a_mount_hides_a_folder_and_deletes_nothing() {
    use crate::agent::repository::{Item, UnsupportedKind};
    let mut bench = Bench::with_folder().await;
    bench.at().folder("top/x");
    bench.at().write("top/x/a", "a");
    bench.rescan().await;
    let node = bench.node("top/x/a");
    bench.at().rename("top/x", "~/covered");
    bench.at().odd("top/x", Item::Unsupported(UnsupportedKind::Mount));
    bench.touch(&["top/x"]).await;
    assert_eq!((bench.node("top/x/a"), bench.problem("top/x/a")), (node, Some(Reason::SourceUnknown)));
    bench.at().remove("top/x");
    bench.at().rename("~/covered", "top/x");
    bench.touch(&["top/x"]).await;
    assert_eq!((bench.node("top/x/a"), bench.problem("top/x/a")), (node, None));
}

#[tokio::test(start_paused = true)]
async fn s_d09_edge_f09_a_search_that_fails_decides_nothing() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.rescan().await;
    let node = bench.node("top/a");
    bench.at().remove("top/a");
    bench.at().lost = true;
    let folder = bench.key("top");
    bench.context.looks.look(super::set(1), super::Look::Folder(folder));
    let cancel = tokio_util::sync::CancellationToken::new();
    for _ in 0..3 {
        bench.tracker.work(&cancel).await;
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(bench.node("top/a"), node);
    assert_eq!(bench.context.looks.problems().len(), 1);
    bench.at().lost = false;
    bench.settle().await;
    assert!(bench.is_absent(node) && bench.context.looks.problems().is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_f04_an_unreadable_document_says_so() {
    let mut bench = Bench::with_folder().await;
    let a = bench.at().write("top/a", "a");
    let b = bench.at().write("top/b", "b");
    bench.at().denied.insert(b);
    bench.rescan().await;
    assert_eq!(bench.oddities(), [("b".to_owned(), Reason::SourceAccessDenied)]);
    bench.at().denied.insert(a);
    bench.at().write("top/a", "changed");
    bench.touch(&["top/a"]).await;
    assert_eq!(bench.problem("top/a"), Some(Reason::SourceAccessDenied));
    bench.at().denied.clear();
    bench.rescan().await;
    assert!(bench.problem("top/a").is_none() && bench.member(1, "top/b").is_some() && bench.oddities().is_empty());
}

//! Deleting and unsyncing: nothing is gone that somebody did not want gone, and nothing for good.

use skybridge::engine::brake::Limits;
use skybridge::wire::pb::{MemberState, Reason, SourceVersionCause, SyncOptions};
use tonic::Code;

use crate::support::{World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));
const KEPT: Option<(MemberState, Reason)> = Some((MemberState::Released, Reason::DeletedOnCloud));

#[tokio::test(flavor = "multi_thread")]
async fn s_d01_unsync_leaves_both_copies_unless_they_are_to_be_removed_from_the_cloud() {
    let world = World::start().await;
    for folder in ["Here", "There", "Removed"] {
        world.source.write(&format!("{folder}/a.txt"), folder);
    }
    let here = world.sync(&["Here"], "acme/team", options()).await;
    let there = world.sync(&["There"], "acme/team", options()).await;
    let removed = world.sync(&["Removed"], "acme/team", options()).await;
    world.agent.end(&here, false).await.unwrap();
    let refused = world.ada.unsync(&there, "", true).await.unwrap_err();
    assert_eq!(refused.code, Code::PermissionDenied, "removing is asked for at the source: {refused:?}");
    world.ada.unsync(&there, "", false).await.unwrap();
    world.agent.end(&removed, true).await.unwrap();
    world.until("the agent learns of all", async || world.agent.syncs().await.is_empty().then_some(())).await;
    assert!(world.ada.sync_sets(false).await.unwrap().is_empty());

    for folder in ["Here", "There", "Removed"] {
        world.source.write(&format!("{folder}/a.txt"), "changed");
    }
    world.ada.write("acme/team/Here/b.txt", "theirs").await.unwrap();
    world.settle().await;
    let expected = [("Here/", ""), ("Here/a.txt", "Here"), ("Here/b.txt", "theirs"), ("There/", ""), ("There/a.txt", "There")];
    assert_eq!(world.ada.tree("acme/team").await, tree(&expected), "{}", world.dump().await);
    assert_eq!(world.ada.trashed().await, ["Removed"]);
    assert_eq!(world.source.tree("Here"), tree(&[("a.txt", "changed")]));
    world.sync(&["Here"], "acme/team/Again", options()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d01_an_unsync_from_the_cloud_reaches_an_agent_that_was_away() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    world.ada.unsync(&set, "", false).await.unwrap();
    world.start_agent().await;
    world.until("the agent learns of it", async || world.agent.syncs().await.is_empty().then_some(())).await;
    world.same("Plans", "acme/team/Plans").await;
    assert_eq!(world.source.read("Plans/a.txt"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d02_where_nothing_may_be_deleted_in_the_cloud_only_an_unsync_removes_it() {
    let world = World::start().await;
    world.source.write("Plans/sub/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { no_delete_on_cloud: true, ..options() }).await;
    for path in ["acme/team/Plans/sub/a.txt", "acme/team/Plans/sub", "acme/team/Plans"] {
        let refused = world.ada.rm(path).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition, "{path}: {refused:?}");
        assert!(refused.message.contains("unsync"), "{refused:?}");
    }
    world.agent.end(&set, true).await.unwrap();
    assert_eq!(world.ada.tree("acme/team").await, tree(&[]));
    assert_eq!(world.source.read("Plans/sub/a.txt"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d03_s_d04_what_is_deleted_in_the_cloud_stays_here_until_somebody_asks_for_it_there() {
    let world = World::start().await;
    for path in ["Plans/a.txt", "Plans/sub/b.txt"] {
        world.source.write(path, path);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    world.ada.rm("acme/team/Plans/a.txt").await.unwrap();
    world.ada.rm("acme/team/Plans/sub").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.tree("Plans").len(), 3, "{}", world.dump().await);
    for path in ["Plans/a.txt", "Plans/sub", "Plans/sub/b.txt"] {
        assert_eq!(world.agent.is(path).await, KEPT, "{path}: {}", world.dump().await);
    }

    world.source.write("Plans/a.txt", "changed");
    world.source.write("Plans/sub/new.txt", "new");
    world.settle().await;
    let is = async |path: &str| world.agent.is(path).await;
    assert_eq!(is("Plans/a.txt").await, Some((MemberState::Failed, Reason::TargetNoLongerExists)), "{}", world.dump().await);
    assert_eq!(is("Plans/sub/new.txt").await, Some((MemberState::Failed, Reason::TargetFolderMissing)), "{}", world.dump().await);
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[]));

    world.agent.request_sync("Plans/sub").await.unwrap();
    world.settle().await;
    let there = [("sub/", ""), ("sub/b.txt", "Plans/sub/b.txt"), ("sub/new.txt", "new")];
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&there), "{}", world.dump().await);
    assert_eq!(is("Plans/sub/new.txt").await, SYNCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d04_a_direct_member_that_was_moved_and_deleted_is_made_in_the_original_folder() {
    let world = World::start().await;
    world.source.write("a.txt", "a");
    world.source.write("b.txt", "b");
    world.sync(&["a.txt", "b.txt"], "acme/team/There", options()).await;
    let node = world.ada.id("acme/team/There/a.txt").await;
    world.ada.mkdir("acme/team/Other").await.unwrap();
    world.ada.mv("acme/team/There/a.txt", "acme/team/Other/a.txt").await.unwrap();
    world.settle().await;
    world.ada.rm("acme/team/Other/a.txt").await.unwrap();
    world.ada.rm("acme/team/There/b.txt").await.unwrap();
    world.settle().await;
    assert_eq!(world.agent.is("a.txt").await, KEPT, "{}", world.dump().await);
    world.agent.unsync("b.txt", false).await.unwrap();
    world.agent.request_sync("a.txt").await.unwrap();
    world.settle().await;
    let there = [("Other/", ""), ("There/", ""), ("There/a.txt", "a")];
    assert_eq!(world.ada.tree("acme/team").await, tree(&there), "{}", world.dump().await);
    assert_ne!(world.ada.id("acme/team/There/a.txt").await, node);
    assert_eq!(world.source.read("b.txt"), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d05_s_d08_if_so_chosen_the_source_is_deleted_too_and_can_be_restored() {
    let world = World::start().await;
    for path in ["a.txt", "keep.txt", "sub/deep/b.txt"] {
        world.source.write(&format!("Plans/{path}"), path);
    }
    world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    world.ada.rm("acme/team/Plans/a.txt").await.unwrap();
    world.ada.rm("acme/team/Plans/sub").await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("keep.txt", "keep.txt")]));
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap(), [(1, SourceVersionCause::Deleted)]);
    assert_eq!(world.agent.restore("Plans/a.txt", 1).await.unwrap(), "Plans/a.txt");
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "a.txt"), ("keep.txt", "keep.txt")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d06_s_d08_a_delete_here_goes_to_the_trash_there_and_comes_back_from_it() {
    let world = World::start().await;
    for path in ["a.txt", "sub/b.txt", "sub/deep/c.txt", "keep.txt"] {
        world.source.write(&format!("Plans/{path}"), path);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    let folder = world.ada.id("acme/team/Plans/sub").await;
    world.source.remove("Plans/a.txt");
    world.source.remove("Plans/sub");
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("keep.txt", "keep.txt")]));
    let mut trashed = world.ada.trashed().await;
    trashed.sort();
    assert_eq!(trashed, ["a.txt", "sub"], "the folder in one piece");

    let restored = world.ada.restore(&folder).await.unwrap();
    assert_eq!(restored.node_id, folder);
    world.settle().await;
    let expected =
        [("keep.txt", "keep.txt"), ("sub/", ""), ("sub/b.txt", "sub/b.txt"), ("sub/deep/", ""), ("sub/deep/c.txt", "sub/deep/c.txt")];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    world.source.write("Plans/sub/b.txt", "changed");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/sub/b.txt").await.unwrap(), "changed", "it syncs again");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d06_where_nothing_may_be_deleted_in_the_cloud_its_copy_is_released() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.source.write("Plans/b.txt", "b");
    world.sync(&["Plans"], "acme/team", SyncOptions { no_delete_on_cloud: true, ..options() }).await;
    world.source.remove("Plans/a.txt");
    world.settle().await;
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("a.txt", "a"), ("b.txt", "b")]), "{}", world.dump().await);
    world.ada.write("acme/team/Plans/a.txt", "theirs now").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.tree("Plans"), tree(&[("b.txt", "b")]), "it does not come back");
    world.ada.rm("acme/team/Plans/a.txt").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d09_a_library_that_is_gone_is_unknown_and_deletes_nothing() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    let (library, aside) = (world.source.path(""), world.elsewhere().join("unmounted"));
    std::fs::rename(&library, &aside).unwrap();
    let look = async || {
        world.agent.state(false, true).await.ok()?;
        let state = world.agent.state(false, false).await.ok()?;
        (!state.problems.is_empty()).then_some(state.problems)
    };
    world.until("the agent says so", look).await;
    std::fs::create_dir(&library).unwrap();
    world.agent.state(false, true).await.unwrap();
    world.ada.write("acme/team/Plans/b.txt", "b").await.unwrap();
    let waiting = Some((MemberState::Retrying, Reason::SourceUnknown));
    world
        .until("members say so", async || {
            (world.agent.members().await.iter().any(|(_, member)| Some(member.is()) == waiting)).then_some(())
        })
        .await;
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("a.txt", "a"), ("b.txt", "b")]));
    assert_eq!(std::fs::read_dir(&library).unwrap().count(), 0, "nothing is written to what is not the library");

    std::fs::remove_dir(&library).unwrap();
    std::fs::rename(&aside, &library).unwrap();
    world.until("it goes on by itself", async || world.source.exists("Plans/b.txt").then_some(())).await;
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "a"), ("b.txt", "b")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d10_the_brake_stops_many_deletes_until_a_person_approves() {
    let world = World::with(|config| config.brake = Limits { share: 0.5, least: 4, most: 1_000 }).await;
    for number in 0..8 {
        world.source.write(&format!("Plans/sub/{number}.txt"), "x");
    }
    world.source.write("Plans/keep.txt", "keep");
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    world.source.rename("Plans/sub", "Plans/moved");
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await.len(), 10, "moves are not deletes");
    world.source.remove("Plans/moved");
    world.settle().await;
    assert_eq!(world.ada.tree("acme/team/Plans").await.len(), 10, "{}", world.dump().await);
    let syncs = world.agent.syncs().await;
    assert_eq!((syncs[0].reason(), syncs[0].brake_deletes), (Reason::BrakeEngaged, 9), "{}", world.dump().await);
    assert_eq!(world.agent.approve_brake(&set).await.unwrap(), 9);
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("keep.txt", "keep")]));
    assert_eq!(world.ada.trashed().await, ["moved"]);
}

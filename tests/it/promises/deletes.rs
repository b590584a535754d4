//! Deleting and unsyncing: nothing is gone that somebody did not want gone, and nothing for good.

use skybridge::wire::pb::{MemberState, Reason, Role, SourceVersionCause, SyncOptions};
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
async fn s_d03_s_d04_edge_x14_what_is_deleted_in_the_cloud_stays_here_until_somebody_asks_for_it_there() {
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
    let kept = world.agent.versions("Plans/a.txt").await.unwrap();
    assert_eq!(kept.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(), [SourceVersionCause::Deleted]);
    assert_eq!(world.agent.restore("Plans/a.txt", kept[0].0).await.unwrap(), "Plans/a.txt");
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
async fn s_d01_what_is_not_synced_in_a_folder_is_named_before_it_goes_to_the_trash_with_it() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.source.write("other.txt", "other");
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { no_subfolders: true, ..options() }).await;
    world.ada.mkdir("acme/team/Plans/sub").await.unwrap();
    world.ada.write("acme/team/Plans/sub/theirs.txt", "theirs").await.unwrap();
    world.settle().await;
    let before = world.ada.tree("acme/team").await;
    let refused = world.agent.end(&set, true).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message.contains("Plans/sub") && refused.message.contains("--with-non-members"), "{refused:?}");
    assert_eq!(world.ada.tree("acme/team").await, before, "nothing changed");
    world.source.write("Plans/a.txt", "changed");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/a.txt").await.unwrap(), "changed", "it is synced still");
    world.agent.end_with_all_in_it(&set).await.unwrap();
    assert_eq!(world.ada.tree("acme/team").await, tree(&[]));
    assert_eq!(world.ada.trashed().await, ["Plans"]);
    assert_eq!(world.source.tree("Plans"), tree(&[("a.txt", "changed")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d01_a_document_is_removed_alone_and_only_by_who_may_delete_it() {
    let world = World::start().await;
    for path in ["a.txt", "b.txt", "Bobs/c.txt"] {
        world.source.write(path, path);
    }
    world.sync(&["a.txt", "b.txt"], "acme/team", options()).await;
    assert!(!world.agent.unsync("a.txt", true).await.unwrap());
    world.settle().await;
    assert_eq!((world.ada.tree("acme/team").await, world.ada.trashed().await), (tree(&[("b.txt", "b.txt")]), vec!["a.txt".to_owned()]));
    assert_eq!(world.source.read("a.txt"), "a.txt");

    let bob = world.person("bob@example.com", Role::Contributor).await;
    let set = world.agent.create(&["Bobs"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    world.settle().await;
    world.ada.write("acme/team/Bobs/adas.txt", "ada").await.unwrap();
    world.settle().await;
    let refused = world.agent.end(&set, true).await.unwrap_err();
    assert_eq!(refused.code, Code::PermissionDenied, "a contributor deletes only what is their own: {refused:?}");
    assert_eq!(world.same("Bobs", "acme/team/Bobs").await.len(), 2);
    assert_eq!(world.agent.syncs().await.len(), 2, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d01_an_administrator_ends_a_sync_while_the_agent_is_gone_for_good_and_owners_end_theirs() {
    let mut world = World::start().await;
    let bob = world.person("bob@example.com", Role::Collaborator).await;
    let eve = world.person("eve@example.com", Role::Manager).await;
    for path in ["Bobs/a.txt", "More/b.txt"] {
        world.source.write(path, path);
    }
    let bobs = world.agent.create(&["Bobs"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    let more = world.agent.create(&["More"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    world.settle().await;
    world.stop_agent().await;
    assert_eq!(eve.unsync(&bobs, "", false).await.unwrap_err().code, Code::PermissionDenied);
    world.ada.unsync(&bobs, "", false).await.unwrap();
    bob.unsync(&more, "", false).await.unwrap();
    assert!(world.ada.sync_sets(false).await.unwrap().is_empty());
    world.source.remove("Bobs");
    world.ada.rm("acme/team/More").await.unwrap();
    world.start_agent().await;
    world.until("the agent learns of both", async || world.agent.syncs().await.is_empty().then_some(())).await;
    assert_eq!(world.ada.read("acme/team/Bobs/a.txt").await.unwrap(), "Bobs/a.txt", "nothing was deleted by it");
    assert_eq!(world.source.read("More/b.txt"), "More/b.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d03_a_synced_folder_itself_is_deleted_in_the_cloud_and_pushed_again() {
    let world = World::start().await;
    world.source.write("Plans/sub/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/Plans").await;
    world.ada.rm("acme/team/Plans").await.unwrap();
    world.settle().await;
    for path in ["Plans", "Plans/sub", "Plans/sub/a.txt"] {
        assert_eq!(world.agent.is(path).await, KEPT, "{path}: {}", world.dump().await);
    }
    world.source.write("Plans/new.txt", "new");
    world.settle().await;
    let missing = Some((MemberState::Failed, Reason::TargetFolderMissing));
    assert_eq!(world.agent.is("Plans/new.txt").await, missing, "{}", world.dump().await);
    // Of an indirect member, only its folder is the way out of that.
    let refused = world.agent.unsync("Plans/sub/a.txt", false).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
    world.ada.request_sync(&set, "").await.unwrap();
    world.until("it is there again", async || world.ada.node("acme/team/Plans/new.txt").await.ok()).await;
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("new.txt", "new"), ("sub/", ""), ("sub/a.txt", "a")]));
    assert_ne!(world.ada.id("acme/team/Plans").await, node, "a new node");
    assert!(world.agent.members().await.iter().all(|(_, member)| Some(member.is()) == SYNCED), "{}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d08_what_is_restored_has_its_history_and_its_id_and_syncs_again_on_both_sides() {
    let world = World::start().await;
    let there = "acme/team/Plans/a.txt";
    world.source.write("Plans/a.txt", "one");
    world.source.write("b.txt", "b");
    world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    world.sync(&["b.txt"], "acme/team", options()).await;
    for text in ["two", "three"] {
        world.source.write("Plans/a.txt", text);
        world.settle().await;
    }
    world.ada.write(there, "four").await.unwrap();
    world.settle().await;
    let node = world.ada.id(there).await;

    world.source.remove("Plans/a.txt");
    world.settle().await;
    assert_eq!(world.ada.trashed().await, ["a.txt"], "{}", world.dump().await);
    assert_eq!(world.ada.restore(&node).await.unwrap().node_id, node);
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "four")]));
    let mut texts = Vec::new();
    for version in world.ada.versions(there).await.unwrap() {
        texts.push(world.ada.read_version(there, version.version).await.unwrap());
    }
    assert_eq!(texts, ["four", "three", "two", "one"], "with its history");
    world.source.write("Plans/a.txt", "five");
    world.settle().await;
    assert_eq!((world.ada.read(there).await.unwrap(), world.ada.id(there).await), ("five".to_owned(), node.clone()), "and syncs again");

    world.ada.rm(there).await.unwrap();
    world.settle().await;
    assert!(!world.source.exists("Plans/a.txt"), "{}", world.dump().await);
    let kept = world.agent.versions("Plans/a.txt").await.unwrap();
    assert_eq!(kept.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(), [SourceVersionCause::Deleted, SourceVersionCause::Replaced]);
    world.ada.restore(&node).await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "five")]));

    // A direct member, whose pairing goes on as well.
    let direct = world.ada.id("acme/team/b.txt").await;
    world.ada.rm("acme/team/b.txt").await.unwrap();
    world.settle().await;
    assert_eq!(world.agent.is("b.txt").await, KEPT, "{}", world.dump().await);
    world.ada.restore(&direct).await.unwrap();
    world.settle().await;
    assert_eq!(world.agent.is("b.txt").await, SYNCED, "{}", world.dump().await);
    world.ada.write("acme/team/b.txt", "theirs").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("b.txt"), "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d11_a_direct_member_that_the_cloud_edited_comes_back_in_the_folder_that_it_was_in() {
    let mut world = World::start().await;
    for path in ["Deep/down/a.txt", "Gone/b.txt"] {
        world.source.write(path, "agreed");
    }
    world.sync(&["Deep/down/a.txt", "Gone/b.txt"], "acme/team", options()).await;
    world.stop_agent().await;
    world.source.remove("Deep/down/a.txt");
    world.source.remove("Gone");
    for name in ["a.txt", "b.txt"] {
        world.ada.write(&format!("acme/team/{name}"), "edited there").await.unwrap();
    }
    world.start_agent().await;
    world.settle().await;
    assert_eq!(world.source.read("Deep/down/a.txt"), "edited there", "{}", world.dump().await);
    assert_eq!(world.source.read("b.txt"), "edited there", "its folder is gone: the library is what is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d12_what_is_removed_from_the_trash_is_gone_for_good_also_for_an_agent_that_was_away() {
    let mut world = World::start().await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        world.source.write(&format!("Plans/{name}"), name);
    }
    world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    world.stop_agent().await;
    let (a, b) = (world.ada.id("acme/team/Plans/a.txt").await, world.ada.id("acme/team/Plans/b.txt").await);
    for name in ["a.txt", "b.txt"] {
        world.ada.rm(&format!("acme/team/Plans/{name}")).await.unwrap();
    }
    assert_eq!(world.ada.empty_trash(&a).await.unwrap(), 1);
    assert_eq!(world.ada.trashed().await, ["b.txt"]);
    assert_eq!(world.ada.empty_trash(&a).await.unwrap_err().code, Code::NotFound);
    assert_eq!(world.ada.empty_trash("").await.unwrap(), 1);
    assert_eq!(world.ada.restore(&b).await.unwrap_err().code, Code::NotFound);
    assert_eq!(world.ada.trashed().await, [""; 0]);

    world.start_agent().await;
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("c.txt", "c.txt")]));
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap().len(), 1, "what is kept at the source is the agent's");
}

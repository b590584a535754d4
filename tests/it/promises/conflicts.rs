//! Both sides changed something since they last agreed. The agent is stopped meanwhile, so that neither side hears of the other in between.

use skybridge::wire::pb::{MemberState, Reason, SourceVersionCause};

use crate::support::{World, options, tree};

/// Makes a synced folder of one document, stops the agent, and lets `source` change things before it starts again.
async fn apart(there: impl AsyncFnOnce(&World), here: impl FnOnce(&World)) -> World {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    there(&world).await;
    here(&world);
    world.start_agent().await;
    world.settle().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b06_the_target_wins_and_the_sources_version_is_kept_and_can_be_promoted() {
    let there = "acme/team/Plans/a.txt";
    let world =
        apart(async |world| drop(world.ada.write(there, "theirs").await.unwrap()), |world| world.source.write("Plans/a.txt", "ours")).await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "theirs")]));
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap(), [(1, SourceVersionCause::Conflict)], "{}", world.dump().await);
    world.agent.restore("Plans/a.txt", 1).await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "ours")]));
    let versions = world.ada.versions(there).await.unwrap();
    assert_eq!(world.ada.read_version(there, versions[1].version).await.unwrap(), "theirs", "nothing is lost there either");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b06_a_kept_version_is_restored_with_the_folders_that_are_gone() {
    let world = World::start().await;
    world.source.write("Plans/deep/down/a.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.ada.write("acme/team/Plans/deep/down/a.txt", "two").await.unwrap();
    world.settle().await;
    world.source.remove("Plans/deep");
    world.settle().await;
    let kept = world.agent.versions("Plans/deep/down/a.txt").await.unwrap();
    assert_eq!(kept.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(), [SourceVersionCause::Replaced], "{}", world.dump().await);
    for folder in ["Plans", "Plans/deep"] {
        assert_eq!(world.agent.versions(folder).await.unwrap(), kept, "{folder}: whoever does not know its path finds it too");
    }
    assert!(world.agent.versions("Plans/dee").await.is_err());
    world.agent.restore("Plans/deep/down/a.txt", kept[0].0).await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("deep/", ""), ("deep/down/", ""), ("deep/down/a.txt", "one")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b06_a_kept_version_is_found_although_another_document_has_its_path() {
    let there = "acme/team/Plans/a.txt";
    let world =
        apart(async |world| drop(world.ada.write(there, "theirs").await.unwrap()), |world| world.source.write("Plans/a.txt", "ours")).await;
    world.source.rename("Plans/a.txt", "Plans/elsewhere.txt");
    world.source.write("Plans/a.txt", "another");
    world.settle().await;
    for path in ["Plans/a.txt", "Plans/elsewhere.txt"] {
        assert_eq!(world.agent.versions(path).await.unwrap(), [(1, SourceVersionCause::Conflict)], "{path}: {}", world.dump().await);
    }
    world.agent.restore("Plans/a.txt", 1).await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/a.txt"), "ours");
    let versions = world.agent.versions("Plans/a.txt").await.unwrap();
    assert_eq!(versions, [(2, SourceVersionCause::RestoredOver), (1, SourceVersionCause::Conflict)]);
    assert_eq!(world.agent.versions("Plans/elsewhere.txt").await.unwrap().len(), 1, "that is the other document's");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b07_edge_c11_changes_that_do_not_overlap_are_merged() {
    let world = apart(
        async |world| {
            world.ada.set_text("acme/team/Plans/a.txt", "cm:author", Some("Ann")).await.unwrap();
            world.ada.mv("acme/team/Plans/a.txt", "acme/team/Plans/renamed.txt").await.unwrap();
        },
        |world| {
            world.source.write("Plans/a.txt", "two");
            world.source.set_attribute("Plans/a.txt", "user.geo.longitude", "12.5");
        },
    )
    .await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("renamed.txt", "two")]));
    assert_eq!(world.source.attribute("Plans/renamed.txt", "user.dublincore.creator").as_deref(), Some("Ann"));
    let node = world.ada.node("acme/team/Plans/renamed.txt").await.unwrap();
    assert!(node.properties.iter().any(|entry| entry.property == "cm:longitude"), "{:?}", node.properties);
    let kept = world.agent.versions("Plans/renamed.txt").await.unwrap();
    assert!(!kept.iter().any(|(_, cause)| *cause == SourceVersionCause::Conflict), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b08_the_same_change_on_both_sides_is_no_conflict() {
    let there = "acme/team/Plans/a.txt";
    let world =
        apart(async |world| drop(world.ada.write(there, "the same").await.unwrap()), |world| world.source.write("Plans/a.txt", "the same"))
            .await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "the same")]));
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap(), []);
    assert_eq!(world.ada.versions(there).await.unwrap().len(), 2, "the cloud's own change alone");
    assert_eq!(world.agent.is("Plans/a.txt").await, Some((MemberState::Synced, Reason::Unspecified)));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d11_an_edit_survives_a_delete_that_had_not_seen_it() {
    let world = apart(
        async |world| drop(world.ada.write("acme/team/Plans/a.txt", "edited there").await.unwrap()),
        |world| world.source.remove("Plans/a.txt"),
    )
    .await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "edited there")]));

    let world =
        apart(async |world| world.ada.rm("acme/team/Plans/a.txt").await.unwrap(), |world| world.source.write("Plans/a.txt", "edited here"))
            .await;
    assert_eq!(world.source.read("Plans/a.txt"), "edited here");
    let gone = Some((MemberState::Failed, Reason::TargetNoLongerExists));
    assert_eq!(world.agent.is("Plans/a.txt").await, gone, "{}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d11_a_deleted_folder_is_made_again_for_what_survives_in_it() {
    let mut world = World::start().await;
    world.source.write("Plans/sub/edited.txt", "one");
    world.source.write("Plans/sub/other.txt", "other");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    world.ada.write("acme/team/Plans/sub/edited.txt", "two").await.unwrap();
    world.source.remove("Plans/sub");
    world.start_agent().await;
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("sub/", ""), ("sub/edited.txt", "two")]));
}

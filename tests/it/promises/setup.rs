//! Setting up: what can be synced, where to, by whom, and what is refused before anything is made.

use skybridge::wire::pb::{MemberState, Reason, Role, SyncOptions, UpdateNetworkRequest};
use tonic::Code;

use crate::support::{ADA, Person, Refused, World, options, tree};

const SYNCED: (MemberState, Reason) = (MemberState::Synced, Reason::Unspecified);

#[tokio::test(flavor = "multi_thread")]
async fn s_a01_a_set_holds_a_document_several_or_a_folder() {
    let world = World::start().await;
    for (path, text) in [("one.txt", "1"), ("Here/two.txt", "2"), ("There/three.txt", "3"), ("Plans/deep/four.txt", "4")] {
        world.source.write(path, text);
    }
    world.sync(&["one.txt"], "acme/team/One", options()).await;
    world.sync(&["Here/two.txt", "There/three.txt"], "acme/team/Several", options()).await;
    world.sync(&["Plans"], "acme/team", options()).await;
    assert_eq!(world.agent.syncs().await.len(), 3);
    let expected = [
        ("One/", ""),
        ("One/one.txt", "1"),
        ("Plans/", ""),
        ("Plans/deep/", ""),
        ("Plans/deep/four.txt", "4"),
        ("Several/", ""),
        ("Several/three.txt", "3"),
        ("Several/two.txt", "2"),
    ];
    assert_eq!(world.ada.tree("acme/team").await, tree(&expected), "{}", world.dump().await);
    let mixed = world.agent.create(&["Here", "one.txt"], "acme/team", options(), &world.ada.token).await.unwrap_err();
    assert_eq!(mixed.code, Code::InvalidArgument, "{mixed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a02_only_what_is_in_a_document_library_can_be_synced() {
    let world = World::with(|config| {
        let root = config.data.with_file_name("repository");
        for folder in ["Sites/other/documentLibrary", "User Homes/ann", "Shared"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("doc.txt"), "1").unwrap();
        }
        config.root = Some(root);
    })
    .await;
    let root = world.source.path("").with_file_name("repository");
    let outside = world.elsewhere().join("doc.txt");
    std::fs::write(&outside, "1").unwrap();
    let mut told = Vec::new();
    for path in [
        root.join("Sites/other/documentLibrary"),
        root.join("Sites/other"),
        root.join("User Homes/ann/doc.txt"),
        root.join("Shared/doc.txt"),
        outside,
    ] {
        let path = path.to_str().unwrap().to_owned();
        let refused = world.agent.create_from(vec![path.clone()], "acme/team/New", options(), &world.ada.token).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidArgument, "{path}: {refused:?}");
        assert!(refused.message.contains(&path), "{path}: {refused:?}");
        told.push(refused.message.replace(&path, ""));
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5, "each says why: {told:?}");
    assert!(world.agent.syncs().await.is_empty() && world.ada.sync_sets(false).await.unwrap().is_empty());
    assert_eq!(world.ada.tree("acme/team").await, tree(&[]), "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a03_the_target_is_picked_by_browsing_and_only_where_sync_is_offered() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let bob = world.person("bob@example.com", Role::Collaborator).await;
    assert_eq!(bob.offered_networks().await.unwrap(), ["acme"]);
    assert_eq!(bob.sites().await.unwrap(), ["team"]);
    bob.mkdir("acme/team/Shared").await.unwrap();
    let picked = bob.list("acme/team").await.unwrap();
    assert_eq!(picked.iter().map(|node| node.path.as_str()).collect::<Vec<_>>(), ["acme/team/Shared"]);
    let made = world.agent.create(&["Plans"], &picked[0].path, options(), &bob.token).await.unwrap();
    world.settle().await;
    assert_eq!(world.ada.sync_sets(false).await.unwrap()[0].owner_email, "bob@example.com");
    assert_eq!(bob.read("acme/team/Shared/Plans/a.txt").await.unwrap(), "a");

    world.ada.update_network(UpdateNetworkRequest { sync_enabled: Some(false), ..UpdateNetworkRequest::default() }).await.unwrap();
    assert_eq!(bob.offered_networks().await.unwrap(), [""; 0]);
    world.source.write("More/b.txt", "b");
    let refused = world.agent.create(&["More"], "acme/team", options(), &bob.token).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
    assert_eq!(world.agent.syncs().await.iter().map(|sync| &sync.set_id).collect::<Vec<_>>(), [&made.set_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a04_s_a05_options_have_defaults_and_contradictions_are_refused() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.source.write("doc.txt", "d");
    let refused = async |paths: &[&str], options: SyncOptions| {
        let refused: Refused = world.agent.create(paths, "acme/team", options, &world.ada.token).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    };
    refused(&["Plans"], SyncOptions { no_delete_on_cloud: true, delete_source: true, ..options() }).await;
    refused(&["doc.txt"], SyncOptions { no_subfolders: true, ..options() }).await;
    assert!(world.agent.syncs().await.is_empty());

    let made = world.agent.create(&["Plans"], "acme/team", options(), &world.ada.token).await.unwrap();
    assert_eq!(made.options, Some(SyncOptions::default()));
    let chosen = SyncOptions { lock_source: true, no_delete_on_cloud: true, ..options() };
    let made = world.agent.create(&["doc.txt"], "acme/team", chosen, &world.ada.token).await.unwrap();
    assert_eq!(made.options, Some(chosen));
    world.settle().await;
    let there = world.ada.sync_sets(false).await.unwrap();
    assert_eq!(there.iter().map(|set| set.options).collect::<Vec<_>>(), [Some(SyncOptions::default()), Some(chosen)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a05_subfolders_are_left_out_if_so_chosen_at_either_side_and_later() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.source.write("Plans/sub/b.txt", "b");
    world.sync(&["Plans"], "acme/team", SyncOptions { no_subfolders: true, ..options() }).await;
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("a.txt", "a")]), "{}", world.dump().await);
    world.source.write("Plans/later/c.txt", "c");
    world.ada.mkdir("acme/team/Plans/theirs").await.unwrap();
    world.ada.write("acme/team/Plans/theirs/d.txt", "d").await.unwrap();
    world.ada.write("acme/team/Plans/e.txt", "e").await.unwrap();
    world.settle().await;
    let here = [("a.txt", "a"), ("e.txt", "e"), ("later/", ""), ("later/c.txt", "c"), ("sub/", ""), ("sub/b.txt", "b")];
    let there = [("a.txt", "a"), ("e.txt", "e"), ("theirs/", ""), ("theirs/d.txt", "d")];
    assert_eq!(world.source.tree("Plans"), tree(&here), "{}", world.dump().await);
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&there), "{}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a06_s_a14_edge_q06_a_node_belongs_to_one_set_at_most_on_either_side() {
    let world = World::start().await;
    world.source.write("Outer/Plans/a.txt", "a");
    world.source.write("Outer/Plans/deep/b.txt", "b");
    world.source.write("Outer/c.txt", "c");
    let set = world.sync(&["Outer/Plans"], "acme/team", options()).await;
    for path in ["Outer/Plans", "Outer/Plans/a.txt", "Outer/Plans/deep", "Outer"] {
        let refused = world.agent.create(&[path], "acme/team/New", options(), &world.ada.token).await.unwrap_err();
        assert_eq!(refused.reason, "ALREADY_SYNCED", "{path}: {refused:?}");
        assert!(refused.message.contains(&set), "{path}: {refused:?}");
    }
    let refused = world.agent.create(&["Outer/c.txt"], "acme/team/Plans/deep", options(), &world.ada.token).await.unwrap_err();
    assert_eq!(refused.reason, "ALREADY_SYNCED", "a target inside another set: {refused:?}");
    assert_eq!((world.agent.syncs().await.len(), world.ada.sync_sets(false).await.unwrap().len()), (1, 1));
    world.sync(&["Outer/c.txt"], "acme/team", options()).await;
    assert_eq!(world.ada.read("acme/team/c.txt").await.unwrap(), "c", "several sets into one target folder are normal");

    world.source.write("Other/Plans/x.txt", "x");
    world.sync(&["Other/Plans"], "acme/team", options()).await;
    let paired = world.agent.member("Other/Plans").await.unwrap();
    assert_eq!((paired.state, paired.reason), (MemberState::Failed, Reason::NameClash), "its namesake there is paired already: {paired:?}");
    assert!(paired.told[2].contains(&set), "the set that holds it is named: {paired:?}");
    assert_eq!(world.same("Outer/Plans", "acme/team/Plans").await.len(), 3, "nothing is mixed up");
    world.source.rename("Other/Plans", "Other/More");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/More/x.txt").await.unwrap(), "x", "the remedy helps: {}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a07_a_wrong_sign_in_and_an_unreachable_coordinator_are_told_apart_and_nothing_is_made() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let wrong = Person::sign_in(world.channel().await, ADA, "wrong password").await.unwrap_err();
    assert_eq!(wrong.code, Code::Unauthenticated, "{wrong:?}");
    let stale = world.agent.create(&["Plans"], "acme/team/New", options(), "skyb_made_up").await.unwrap_err();
    assert_eq!(stale.code, Code::Unauthenticated, "{stale:?}");
    assert_eq!(world.ada.tree("acme/team").await, tree(&[]));
    let token = world.ada.token.clone();
    world.stop_coordinator().await;
    let away = world.agent.create(&["Plans"], "acme/team/New", options(), &token).await.unwrap_err();
    assert_eq!(away.code, Code::Unavailable, "{away:?}");
    assert!(world.agent.syncs().await.is_empty());
    world.start_coordinator().await;
    let set = world.sync(&["Plans"], "acme/team/New", options()).await;
    assert_eq!(world.ada.sync_sets(false).await.unwrap().iter().map(|set| &set.set_id).collect::<Vec<_>>(), [&set]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a14_what_is_in_the_target_already_is_adopted_or_reported_and_never_overwritten() {
    let world = World::start().await;
    world.source.write("Plans/sub/equal.txt", "equal");
    world.source.write("Plans/sub/different.txt", "here");
    world.source.write("Plans/new.txt", "new");
    world.ada.mkdir("acme/team/Plans/sub").await.unwrap();
    let equal = world.ada.write("acme/team/Plans/sub/equal.txt", "equal").await.unwrap();
    world.ada.write("acme/team/Plans/sub/different.txt", "there").await.unwrap();
    world.ada.write("acme/team/Plans/theirs.txt", "theirs").await.unwrap();
    world.sync(&["Plans"], "acme/team", options()).await;

    let adopted = world.ada.node("acme/team/Plans/sub/equal.txt").await.unwrap();
    assert_eq!((adopted.node_id, adopted.version), (equal.node_id, 1), "the same node, and nothing was sent");
    assert_eq!(world.agent.is("Plans/sub/equal.txt").await, Some(SYNCED), "{}", world.dump().await);
    assert_eq!(world.ada.read("acme/team/Plans/new.txt").await.unwrap(), "new");
    assert_eq!(world.source.read("Plans/theirs.txt"), "theirs");
    let clash = Some((MemberState::Failed, Reason::NameClash));
    assert_eq!(world.agent.is("Plans/sub/different.txt").await, clash, "{}", world.dump().await);
    assert_eq!(world.source.read("Plans/sub/different.txt"), "here");
    assert_eq!(world.ada.read("acme/team/Plans/sub/different.txt").await.unwrap(), "there");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a15_only_the_owner_or_an_administrator_sees_changes_and_ends_a_set() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let bob = world.person("bob@example.com", Role::Manager).await;
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    assert!(bob.sync_sets(false).await.unwrap().is_empty());
    assert_eq!(bob.unsync(&set, "", false).await.unwrap_err().code, Code::PermissionDenied);
    assert_eq!(bob.request_sync(&set, "").await.unwrap_err().code, Code::PermissionDenied);
    assert_eq!(bob.reported(&set, MemberState::Unspecified).await.unwrap_err().code, Code::PermissionDenied);

    world.source.write("Bobs/b.txt", "b");
    let bobs = world.agent.create(&["Bobs"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    world.settle().await;
    world.ada.unsync(&bobs, "", false).await.unwrap();
    world.until("the agent learns of it", async || (world.agent.syncs().await.len() == 1).then_some(())).await;
    assert_eq!((world.source.read("Bobs/b.txt"), bob.read("acme/team/Bobs/b.txt").await.unwrap()), ("b".to_owned(), "b".to_owned()));
}

/// Strangers: users that the machine has not.
const ANN: u32 = 64_001;
const BEN: u32 = 64_002;

#[tokio::test(flavor = "multi_thread")]
async fn s_a15_people_at_the_source_do_only_what_their_own_user_may() {
    let world = World::with(|config| config.administrators_group = Some("root".to_owned())).await;
    for (path, owner, mode) in [("Anns/a.txt", ANN, 0o600), ("Anns/b.txt", ANN, 0o600), ("Bens/c.txt", BEN, 0o600)] {
        world.source.write(path, path);
        world.source.give(path, owner, owner);
        world.source.set_mode(path, mode);
        let folder = path.split('/').next().unwrap();
        world.source.give(folder, owner, owner);
        world.source.set_mode(folder, 0o750);
    }
    // Only root can be somebody else.
    let (Some(ann), Some(ben)) = (world.as_user(ANN, ANN).await, world.as_user(BEN, BEN).await) else { return };
    let token = &world.ada.token;
    let set = ann.create(&["Anns"], "acme/team", options(), token).await.unwrap().set_id;
    world.settle().await;
    world.ada.write("acme/team/Anns/a.txt", "theirs").await.unwrap();
    world.settle().await;
    let denied = |refused: Refused| {
        assert!([Code::PermissionDenied, Code::NotFound].contains(&refused.code), "{refused:?}");
        assert!(!refused.message.contains("b.txt"), "what they may not see is not named: {refused:?}");
    };
    denied(ben.create(&["Anns/a.txt"], "acme/team/New", options(), token).await.unwrap_err());
    denied(ben.create(&["Anns"], "acme/team/New", options(), token).await.unwrap_err());
    denied(ben.request_sync("Anns/a.txt").await.unwrap_err());
    denied(ben.unsync("Anns", false).await.unwrap_err());
    denied(ben.end(&set, false).await.unwrap_err());
    denied(ben.versions("Anns/a.txt").await.unwrap_err());
    denied(ben.restore("Anns/a.txt", 1).await.unwrap_err());
    denied(ben.approve_brake(&set).await.unwrap_err());
    assert!(ben.syncs().await.is_empty());
    assert_eq!(ann.syncs().await.len(), 1);
    assert_eq!(ann.versions("Anns/a.txt").await.unwrap().len(), 1);
    // Whoever may read and not write sees, and changes nothing.
    world.source.set_mode("Anns", 0o755);
    world.source.set_mode("Anns/a.txt", 0o644);
    world.settle().await;
    assert_eq!(ben.versions("Anns/a.txt").await.unwrap().len(), 1);
    denied(ben.restore("Anns/a.txt", 1).await.unwrap_err());
    denied(ben.unsync("Anns", false).await.unwrap_err());
    // Ann lost her right to what she synced herself: she is shown no more of it.
    world.source.give("Anns/b.txt", BEN, BEN);
    assert_eq!(ann.versions("Anns/b.txt").await.unwrap_err().code, Code::PermissionDenied);
    // A member of the administrators' group sees every set, and ends it.
    let carl = world.as_user(64_003, 0).await.unwrap();
    assert_eq!(carl.syncs().await.len(), 1);
    carl.end(&set, false).await.unwrap();
    assert!(ann.syncs().await.is_empty());
    assert_eq!(world.source.owner("Anns/a.txt"), (ANN, ANN, 0o644));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a15_an_administrator_says_who_may_sync() {
    let world = World::with(|config| config.users_group = Some("root".to_owned())).await;
    world.source.write("doc.txt", "d");
    world.source.set_mode("doc.txt", 0o666);
    world.source.write("other.txt", "o");
    let (Some(ann), Some(carl)) = (world.as_user(ANN, ANN).await, world.as_user(64_003, 0).await) else { return };
    let refused = ann.create(&["doc.txt"], "acme/team", options(), &world.ada.token).await.unwrap_err();
    assert_eq!(refused.code, Code::PermissionDenied, "{refused:?}");
    assert!(refused.message.contains("root"), "{refused:?}");
    carl.create(&["doc.txt"], "acme/team", options(), &world.ada.token).await.unwrap();
    world.agent.create(&["other.txt"], "acme/team", options(), &world.ada.token).await.unwrap();
    world.settle().await;
    assert_eq!(world.ada.tree("acme/team").await, tree(&[("doc.txt", "d"), ("other.txt", "o")]));
}

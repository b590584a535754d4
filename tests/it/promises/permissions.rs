//! Who may do what with a copy at the source: pulls keep it, locks take it away and give it back.

use std::fs;

use skybridge::wire::pb::{MemberState, Reason, SourceVersionCause, SyncOptions};

use crate::support::{World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));
/// Users that the machine has not.
const ANN: u32 = 64_001;
const BEN: u32 = 64_002;

#[tokio::test(flavor = "multi_thread")]
async fn s_b22_a_pull_keeps_owner_group_mode_access_list_and_foreign_attributes() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.source.set_attribute("Plans/a.txt", "user.foreign", "kept");
    world.source.set_attribute("Plans/a.txt", "user.dublincore.title", "A title");
    world.source.set_mode("Plans/a.txt", 0o640);
    world.source.let_write("Plans/a.txt", BEN, false);
    world.source.give("Plans/a.txt", ANN, BEN);
    let before = (world.source.owner("Plans/a.txt"), world.source.access_list("Plans/a.txt"));
    assert!(before.1.is_some());
    world.sync(&["Plans"], "acme/team", options()).await;
    for text in ["two", "three"] {
        world.ada.write("acme/team/Plans/a.txt", text).await.unwrap();
        world.settle().await;
        assert_eq!(world.source.read("Plans/a.txt"), text, "{}", world.dump().await);
        assert_eq!((world.source.owner("Plans/a.txt"), world.source.access_list("Plans/a.txt")), before);
        assert_eq!(world.source.attribute("Plans/a.txt", "user.foreign").as_deref(), Some("kept"));
    }
    world.ada.mv("acme/team/Plans/a.txt", "acme/team/Plans/renamed.txt").await.unwrap();
    world.ada.set_text("acme/team/Plans/renamed.txt", "cm:author", Some("Ann")).await.unwrap();
    world.settle().await;
    assert_eq!((world.source.owner("Plans/renamed.txt"), world.source.access_list("Plans/renamed.txt")), before);
    let node = world.ada.node("acme/team/Plans/renamed.txt").await.unwrap();
    assert_eq!(node.version, 3, "none of this came back as a change");
    assert!(node.properties.iter().any(|entry| entry.property == "cm:title"), "{:?}", node.properties);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b22_something_new_gets_what_its_folder_gives_and_the_configured_owner() {
    let is_root = rustix::process::geteuid().is_root();
    let world = World::with(|config| config.owner = is_root.then(|| format!("{ANN}:{ANN}"))).await;
    world.source.write("Plans/plain/a.txt", "a");
    world.source.write("Plans/shared/b.txt", "b");
    world.source.give("Plans/shared", ANN, BEN);
    world.source.set_mode("Plans/shared", 0o2775);
    world.source.let_write("Plans/shared", BEN, true);
    world.sync(&["Plans"], "acme/team", options()).await;
    for path in ["plain/new.txt", "shared/new.txt"] {
        world.ada.write(&format!("acme/team/Plans/{path}"), "new").await.unwrap();
    }
    world.ada.mkdir("acme/team/Plans/shared/sub").await.unwrap();
    world.ada.write("acme/team/Plans/shared/sub/deep.txt", "deep").await.unwrap();
    world.settle().await;

    // What the system itself gives in these folders.
    for path in ["Plans/plain/made here", "Plans/shared/made here", "Plans/shared/sub/made here"] {
        world.source.write(path, "made by a program");
    }
    for (pulled, made) in [
        ("Plans/plain/new.txt", "Plans/plain/made here"),
        ("Plans/shared/new.txt", "Plans/shared/made here"),
        ("Plans/shared/sub/deep.txt", "Plans/shared/sub/made here"),
    ] {
        let ((user, group, mode), (_, inherited, expected)) = (world.source.owner(pulled), world.source.owner(made));
        assert_eq!((mode, world.source.access_list(pulled)), (expected, world.source.access_list(made)), "{pulled}");
        if is_root {
            let expected = if pulled.contains("shared") { inherited } else { ANN };
            assert_eq!((user, group), (ANN, expected), "{pulled}: a folder that gives its group goes before the configured one");
        }
    }
    assert!(world.source.access_list("Plans/shared/new.txt").is_some());
    assert_eq!(world.source.owner("Plans/shared/sub").2 & 0o2000, 0o2000, "what is made in a subfolder gets the group, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_unsync_restores_permissions_exactly_whatever_came_in_between() {
    let world = World::start().await;
    for name in ["pulled", "replaced", "opened", "deleted", "listed", "renamed"] {
        world.source.write(&format!("Plans/{name}"), "agreed");
        world.source.set_mode(&format!("Plans/{name}"), 0o620);
    }
    world.source.let_write("Plans/listed", BEN, false);
    let list = world.source.access_list("Plans/listed");
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    let modes = |names: &[&str]| names.iter().map(|name| world.source.owner(&format!("Plans/{name}")).2).collect::<Vec<_>>();
    let all = ["pulled", "replaced", "opened", "deleted", "listed", "renamed"];
    assert!(modes(&all).iter().all(|mode| mode & 0o222 == 0), "{:?}", modes(&all));

    world.ada.write("acme/team/Plans/pulled", "pulled").await.unwrap();
    world.ada.write("acme/team/Plans/listed", "pulled").await.unwrap();
    world.source.save("Plans/replaced", "got through");
    world.source.set_mode("Plans/opened", 0o666);
    world.source.write("Plans/opened", "got through");
    world.source.remove("Plans/deleted");
    world.source.rename("Plans/renamed", "Plans/other");
    world.settle().await;
    let expected = tree(&[
        ("deleted", "agreed"),
        ("listed", "pulled"),
        ("opened", "agreed"),
        ("pulled", "pulled"),
        ("renamed", "agreed"),
        ("replaced", "agreed"),
    ]);
    assert_eq!(world.same("Plans", "acme/team/Plans").await, expected);
    assert!(modes(&all).iter().all(|mode| mode & 0o222 == 0), "read-only again: {:?}", modes(&all));
    for name in ["replaced", "opened"] {
        let kept = world.agent.versions(&format!("Plans/{name}")).await.unwrap();
        assert_eq!(kept.iter().map(|(_, cause)| *cause).collect::<Vec<_>>(), [SourceVersionCause::Locked], "{name}");
        assert_eq!(world.ada.versions(&format!("acme/team/Plans/{name}")).await.unwrap().len(), 1, "it was never pushed");
    }
    assert_eq!(world.ada.trashed().await, [""; 0]);

    // It is told on both sides, until somebody asks for a sync.
    let put_back = Some((MemberState::Synced, Reason::Locked));
    for name in ["replaced", "opened", "deleted", "renamed"] {
        assert_eq!(world.agent.is(&format!("Plans/{name}")).await, put_back, "{name}: {}", world.dump().await);
    }
    assert_eq!((world.agent.is("Plans/pulled").await, world.agent.is("Plans/listed").await), (SYNCED, SYNCED));
    let told = async |count: usize| {
        let told = world.ada.reported(&set, MemberState::Synced).await.ok()?;
        (told.iter().filter(|member| member.reason() == Reason::Locked).count() == count).then_some(())
    };
    world.until("the cloud is told", async || told(4).await).await;
    world.agent.request_sync("Plans/replaced").await.unwrap();
    world.settle().await;
    assert_eq!(world.agent.is("Plans/replaced").await, SYNCED);
    world.until("that is told, too", async || told(3).await).await;

    world.agent.end(&set, false).await.unwrap();
    assert_eq!(modes(&["pulled", "replaced", "opened", "deleted", "renamed"]), [0o620; 5], "as they were");
    assert_eq!(world.source.access_list("Plans/listed"), list);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_a_lock_that_is_taken_off_without_a_change_is_put_on_again() {
    let world = World::start().await;
    for name in ["opened", "replaced"] {
        world.source.write(&format!("Plans/{name}"), "agreed");
    }
    world.sync(&["Plans"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    world.source.set_mode("Plans/opened", 0o666);
    world.source.save("Plans/replaced", "agreed");
    world.settle().await;
    for name in ["opened", "replaced"] {
        let path = format!("Plans/{name}");
        assert_eq!((world.source.owner(&path).2 & 0o222, world.agent.is(&path).await), (0, SYNCED), "{name}: {}", world.dump().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_a_locked_document_is_given_back_alone_and_by_an_unsync_from_the_cloud() {
    let world = World::start().await;
    for name in ["a.txt", "b.txt"] {
        world.source.write(name, name);
        world.source.set_mode(name, 0o664);
    }
    let set = world.sync(&["a.txt", "b.txt"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    let modes = || ["a.txt", "b.txt"].map(|name| world.source.owner(name).2);
    assert_eq!(modes(), [0o444; 2], "{}", world.dump().await);
    world.agent.unsync("a.txt", false).await.unwrap();
    assert_eq!(modes(), [0o664, 0o444]);
    assert_eq!(world.agent.is("b.txt").await, SYNCED);
    world.ada.unsync(&set, "", false).await.unwrap();
    world.until("it is given back", async || (modes() == [0o664; 2]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_what_gets_through_while_the_agent_is_away_is_put_back_and_kept_too() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "agreed");
    world.source.write("Plans/sub/b.txt", "agreed");
    world.sync(&["Plans"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    world.stop_agent().await;
    world.source.save("Plans/a.txt", "got through");
    world.source.write("Plans/sub/new.txt", "added here");
    world.source.rename("Plans/sub/b.txt", "Plans/b.txt");
    world.ada.write("acme/team/Plans/a.txt", "theirs").await.unwrap();
    world.start_agent().await;
    world.settle().await;
    let expected = tree(&[("a.txt", "theirs"), ("sub/", ""), ("sub/b.txt", "agreed"), ("sub/new.txt", "added here")]);
    assert_eq!(world.same("Plans", "acme/team/Plans").await, expected);
    let kept = world.agent.versions("Plans/a.txt").await.unwrap();
    // What was agreed may be put back first, and be replaced by theirs.
    assert_eq!(kept.last().map(|(_, cause)| *cause), Some(SourceVersionCause::Locked), "{}", world.dump().await);
    assert_eq!(kept.iter().filter(|(_, cause)| *cause == SourceVersionCause::Locked).count(), 1, "{}", world.dump().await);
    world.agent.restore("Plans/a.txt", 1).await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/a.txt"), "theirs", "a restored version is a change that gets through as any other");
    assert!(fs::metadata(world.source.path("Plans/a.txt")).unwrap().permissions().readonly());
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_what_leaves_a_locked_set_gets_its_permissions_back() {
    let world = World::start().await;
    for name in ["out", "over", "stays"] {
        world.source.write(&format!("Locked/{name}"), name);
        world.source.set_mode(&format!("Locked/{name}"), 0o620);
    }
    world.source.mkdir("Aside");
    world.source.mkdir("Open");
    world.sync(&["Locked"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    world.sync(&["Open"], "acme/team", options()).await;
    let mode = |path: &str| world.source.owner(path).2;
    assert_eq!(["Locked/out", "Locked/over", "Locked/stays"].map(mode), [0o400; 3]);
    world.source.rename("Locked/out", "Aside/out");
    world.source.rename("Locked/over", "Open/over");
    world.settle().await;
    assert_eq!(["Aside/out", "Open/over"].map(mode), [0o620; 2], "{}", world.dump().await);
    assert_eq!((world.source.read("Locked/out").as_str(), mode("Locked/out") & 0o222), ("out", 0), "it is put back");
    assert_eq!(mode("Locked/stays"), 0o400);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_unsync_gives_the_owner_back_of_what_somebody_put_into_the_place() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "agreed");
    world.source.give("Plans/a.txt", ANN, BEN);
    let before = world.source.owner("Plans/a.txt");
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    world.source.save("Plans/a.txt", "got through");
    world.settle().await;
    assert_eq!(world.source.read("Plans/a.txt"), "agreed", "{}", world.dump().await);
    world.agent.end(&set, false).await.unwrap();
    assert_eq!(world.source.owner("Plans/a.txt"), before);
}

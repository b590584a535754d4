//! Renames, moves and copies: a node stays the node it is.

use std::fs;

use skybridge::wire::pb::{MemberState, Reason, SyncOptions};
use tonic::Code;

use crate::support::{World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));
const CLASH: Option<(MemberState, Reason)> = Some((MemberState::Failed, Reason::NameClash));

#[tokio::test(flavor = "multi_thread")]
async fn s_b13_s_b14_a_rename_or_move_is_one_on_the_other_side() {
    let world = World::start().await;
    for path in ["a.txt", "b.txt", "one/deep/c.txt", "one/d.txt", "two/e.txt"] {
        world.source.write(&format!("Plans/{path}"), path);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    let ids = async |paths: [&str; 4]| {
        let mut found = Vec::new();
        for path in paths {
            let node = world.ada.node(&format!("acme/team/Plans/{path}")).await;
            found.push(node.map(|node| (node.node_id, node.version)).unwrap_or_default());
        }
        found
    };
    let before = ids(["a.txt", "b.txt", "one", "one/deep/c.txt"]).await;
    world.source.rename("Plans/a.txt", "Plans/renamed.txt");
    world.source.rename("Plans/one", "Plans/two/moved");
    world.ada.mv("acme/team/Plans/b.txt", "acme/team/Plans/two/Renamed there.txt").await.unwrap();
    world.settle().await;
    let expected = [
        ("renamed.txt", "a.txt"),
        ("two/", ""),
        ("two/Renamed there.txt", "b.txt"),
        ("two/e.txt", "two/e.txt"),
        ("two/moved/", ""),
        ("two/moved/d.txt", "one/d.txt"),
        ("two/moved/deep/", ""),
        ("two/moved/deep/c.txt", "one/deep/c.txt"),
    ];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert_eq!(ids(["renamed.txt", "two/Renamed there.txt", "two/moved", "two/moved/deep/c.txt"]).await, before);
    assert_eq!(world.ada.trashed().await, [""; 0]);
    assert_eq!(world.agent.versions("Plans/two/Renamed there.txt").await.unwrap(), [], "nothing was deleted or replaced here");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b13_edge_m15_a_name_that_is_taken_on_the_other_side_is_waited_for() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "ours");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    world.ada.write("acme/team/Plans/b.txt", "theirs").await.unwrap();
    world.source.rename("Plans/a.txt", "Plans/b.txt");
    world.start_agent().await;
    world.settle().await;
    let members = world.agent.members().await;
    let clashes = members.iter().filter(|(_, member)| Some(member.is()) == CLASH).count();
    assert!(clashes >= 1, "{}", world.dump().await);
    assert_eq!(world.source.tree("Plans"), tree(&[("b.txt", "ours")]));
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("a.txt", "ours"), ("b.txt", "theirs")]));

    world.ada.mv("acme/team/Plans/b.txt", "acme/team/Plans/c.txt").await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("b.txt", "ours"), ("c.txt", "theirs")]));
    assert_eq!((world.agent.is("Plans/b.txt").await, world.agent.is("Plans/c.txt").await), (SYNCED, SYNCED));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b15_a_direct_member_is_paired_wherever_it_is_in_its_library() {
    let world = World::start().await;
    world.source.write("here/a.txt", "one");
    world.source.write("Plans/b.txt", "b");
    let set = world.sync(&["here/a.txt"], "acme/team/There", options()).await;
    let plans = world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/There/a.txt").await;

    world.source.mkdir("elsewhere/deep");
    world.source.rename("here/a.txt", "elsewhere/deep/a.txt");
    world.ada.mkdir("acme/team/Other").await.unwrap();
    world.ada.mv("acme/team/There/a.txt", "acme/team/Other/a.txt").await.unwrap();
    world.settle().await;
    world.source.write("elsewhere/deep/a.txt", "two");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Other/a.txt").await.unwrap(), "two", "{}", world.dump().await);

    world.source.rename("elsewhere/deep/a.txt", "Plans/a.txt");
    world.settle().await;
    world.source.write("Plans/a.txt", "three");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Other/a.txt").await.unwrap(), "three", "{}", world.dump().await);
    assert_eq!(world.ada.id("acme/team/Other/a.txt").await, node);
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("b.txt", "b")]), "the other set passes it over");
    assert_eq!(world.agent.member("Plans/a.txt").await.map(|member| member.set_id), Some(set.clone()));
    let passed_over = world.agent.excluded(&plans).await;
    assert_eq!(passed_over, [("Plans/a.txt".to_owned(), (MemberState::Excluded, Reason::AlreadySynced))]);
    // In the cloud, too.
    world.ada.mv("acme/team/Other/a.txt", "acme/team/Plans/a.txt").await.unwrap();
    world.settle().await;
    world.ada.write("acme/team/Plans/a.txt", "four").await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "four"), ("b.txt", "b")]));
    assert_eq!(world.ada.node("acme/team/Plans/a.txt").await.unwrap().set_id, set, "it keeps its own set");
    assert!(world.agent.unsync("Plans/a.txt", false).await.is_ok(), "and is unsynced alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b15_a_direct_member_that_leaves_its_library_is_unsynced_with_both_copies() {
    let world = World::with(|config| {
        let other = config.data.with_file_name("other");
        fs::create_dir(&other).unwrap();
        config.sites.insert("other".to_owned(), other);
    })
    .await;
    let other = world.source.path("").with_file_name("other").join("a.txt");
    world.source.write("a.txt", "a");
    world.source.write("b.txt", "b");
    world.sync(&["a.txt", "b.txt"], "acme/team", options()).await;
    fs::rename(world.source.path("a.txt"), &other).unwrap();
    let gone = async || (!world.agent.members().await.iter().any(|(path, _)| path.ends_with("a.txt"))).then_some(());
    world.until("it is no member any more", gone).await;
    let node = world.ada.node("acme/team/a.txt").await.unwrap();
    assert_eq!(node.set_id, "", "it is in no set any more");
    world.ada.write("acme/team/a.txt", "theirs").await.unwrap();
    fs::write(&other, "ours").unwrap();
    world.settle().await;
    assert_eq!(world.source.tree(""), tree(&[("b.txt", "b")]), "it does not come back: {}", world.dump().await);
    assert_eq!(world.ada.read("acme/team/a.txt").await.unwrap(), "theirs");
    assert_eq!(world.agent.is("b.txt").await, SYNCED);

    world.ada.create_site("acme", "cloud").await.unwrap();
    world.ada.mv("acme/team/b.txt", "acme/cloud/b.txt").await.unwrap();
    world.settle().await;
    world.ada.write("acme/cloud/b.txt", "theirs").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("b.txt"), "b", "{}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b16_what_moves_in_is_added_and_what_moves_out_leaves() {
    let world = World::start().await;
    for path in ["Plans/a.txt", "Plans/b.txt", "Plans/sub/c.txt", "outside.txt"] {
        world.source.write(path, path);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    world.source.rename("outside.txt", "Plans/sub/inside.txt");
    world.ada.write("acme/team/theirs.txt", "theirs").await.unwrap();
    world.ada.mv("acme/team/theirs.txt", "acme/team/Plans/sub/theirs.txt").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/sub/theirs.txt"), "theirs");
    assert_eq!(world.ada.read("acme/team/Plans/sub/inside.txt").await.unwrap(), "outside.txt");

    let moved_out = world.ada.id("acme/team/Plans/b.txt").await;
    world.source.rename("Plans/a.txt", "a.txt");
    world.ada.mv("acme/team/Plans/b.txt", "acme/team/b.txt").await.unwrap();
    world.settle().await;
    assert_eq!(world.ada.trashed().await, ["a.txt"], "moved out at the source: deleted in the cloud; {}", world.dump().await);
    assert_eq!((world.source.read("a.txt").as_str(), world.source.exists("Plans/b.txt")), ("Plans/a.txt", true));
    assert_eq!(world.ada.id("acme/team/b.txt").await, moved_out, "moved out in the cloud: both copies stay");

    world.ada.mv("acme/team/b.txt", "acme/team/Plans/b.txt").await.unwrap();
    world.settle().await;
    world.source.write("Plans/b.txt", "again");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/b.txt").await.unwrap(), "again", "{}", world.dump().await);
    assert_eq!(world.ada.id("acme/team/Plans/b.txt").await, moved_out, "the same node, paired again");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b16_s_d02_nothing_is_moved_out_in_the_cloud_where_nothing_may_be_deleted_there() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", SyncOptions { no_delete_on_cloud: true, ..options() }).await;
    let refused = world.ada.mv("acme/team/Plans/a.txt", "acme/team/a.txt").await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("a.txt", "a")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b17_from_one_set_to_another_is_one_move() {
    let world = World::start().await;
    world.source.write("Plans/sub/a.txt", "one");
    world.source.write("Done/b.txt", "b");
    world.sync(&["Plans"], "acme/team", options()).await;
    let done = world.sync(&["Done"], "acme/team", options()).await;
    world.source.write("Plans/sub/a.txt", "two");
    world.settle().await;
    let node = world.ada.node("acme/team/Plans/sub/a.txt").await.unwrap();
    world.source.rename("Plans/sub", "Done/sub");
    world.settle().await;
    let moved = world.ada.node("acme/team/Done/sub/a.txt").await.unwrap_or_default();
    assert_eq!((moved.node_id, moved.version, moved.set_id), (node.node_id.clone(), 2, done), "{}", world.dump().await);
    assert_eq!(world.ada.trashed().await, [""; 0]);

    world.ada.mv("acme/team/Done/sub", "acme/team/Plans/back").await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&[("back/", ""), ("back/a.txt", "two")]));
    assert_eq!(world.same("Done", "acme/team/Done").await, tree(&[("b.txt", "b")]));
    assert_eq!(world.ada.id("acme/team/Plans/back/a.txt").await, node.node_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b18_a_copy_is_synced_only_in_a_synced_folder_and_as_a_node_of_its_own() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/Plans/a.txt").await;
    world.source.copy("Plans/a.txt", "Plans/copy.txt");
    world.source.copy("Plans/a.txt", "outside.txt");
    world.ada.cp("acme/team/Plans/a.txt", "acme/team/Plans/their copy.txt").await.unwrap();
    world.ada.cp("acme/team/Plans/a.txt", "acme/team/their copy outside.txt").await.unwrap();
    world.settle().await;
    let expected = [("a.txt", "a"), ("copy.txt", "a"), ("their copy.txt", "a")];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert!(!world.source.exists("their copy outside.txt"));
    assert_eq!(world.ada.node("acme/team/outside.txt").await.unwrap_err().code, Code::NotFound);
    assert_eq!(world.ada.node("acme/team/their copy outside.txt").await.unwrap().set_id, "");
    assert_eq!(world.ada.id("acme/team/Plans/a.txt").await, node);
    assert_ne!(world.ada.id("acme/team/Plans/copy.txt").await, node);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b19_swaps_rotations_and_inversions_give_the_right_tree() {
    let mut world = World::start().await;
    for name in ["a", "b", "c", "x", "y", "outer/inner/in"] {
        world.source.write(&format!("Plans/{name}.txt"), name);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/Plans/outer/inner").await;
    world.stop_agent().await;
    let rename = |from: &str, to: &str| world.source.rename(&format!("Plans/{from}"), &format!("Plans/{to}"));
    rename("a.txt", "aside");
    rename("c.txt", "a.txt");
    rename("b.txt", "c.txt");
    rename("aside", "b.txt");
    rename("outer/inner", "inner");
    rename("outer", "inner/outer");
    world.ada.mv("acme/team/Plans/x.txt", "acme/team/Plans/aside").await.unwrap();
    world.ada.mv("acme/team/Plans/y.txt", "acme/team/Plans/x.txt").await.unwrap();
    world.ada.mv("acme/team/Plans/aside", "acme/team/Plans/y.txt").await.unwrap();
    world.start_agent().await;
    world.settle().await;
    let expected = [
        ("a.txt", "c"),
        ("b.txt", "a"),
        ("c.txt", "b"),
        ("inner/", ""),
        ("inner/in.txt", "outer/inner/in"),
        ("inner/outer/", ""),
        ("x.txt", "y"),
        ("y.txt", "x"),
    ];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert_eq!(world.ada.id("acme/team/Plans/inner").await, node);
    assert_eq!(world.ada.trashed().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b14_edge_m01_a_move_within_a_synced_folder_sends_no_content_and_no_delete() {
    let world = World::start().await;
    let large = "0123456789abcdef".repeat(40_000);
    world.source.write("Plans/one/large.bin", &large);
    world.source.write("Plans/one/deep/a.txt", "a");
    world.source.mkdir("Plans/two");
    world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    let shown = async |path: &str| {
        let node = world.ada.node(&format!("acme/team/Plans/{path}")).await.unwrap();
        (node.node_id, node.version)
    };
    let before = (shown("one/large.bin").await, shown("one/deep/a.txt").await);
    // Here a document and its folder, each elsewhere; then there.
    world.source.rename("Plans/one/large.bin", "Plans/two/large.bin");
    world.source.rename("Plans/one/deep", "Plans/deep");
    world.settle().await;
    assert_eq!((shown("two/large.bin").await, shown("deep/a.txt").await), before, "{}", world.dump().await);
    let inode = |path: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(world.source.path(path)).unwrap());
    let files = (inode("Plans/two/large.bin"), inode("Plans/deep/a.txt"));
    world.ada.mv("acme/team/Plans/two", "acme/team/Plans/deep/two").await.unwrap();
    world.ada.mv("acme/team/Plans/deep/a.txt", "acme/team/Plans/one/a.txt").await.unwrap();
    world.settle().await;
    let expected = [("deep/", ""), ("deep/two/", ""), ("deep/two/large.bin", &large), ("one/", ""), ("one/a.txt", "a")];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert_eq!((inode("Plans/deep/two/large.bin"), inode("Plans/one/a.txt")), files, "the very same files");
    assert_eq!((shown("deep/two/large.bin").await, shown("one/a.txt").await), before);
    assert_eq!(world.ada.trashed().await, [""; 0]);
    assert_eq!(world.agent.versions("Plans/one/a.txt").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b15_what_leaves_its_library_is_reported_on_both_sides() {
    let world = World::with(|config| {
        let other = config.data.with_file_name("other");
        fs::create_dir(&other).unwrap();
        config.sites.insert("other".to_owned(), other);
    })
    .await;
    for path in ["here.txt", "there.txt", "Here/a.txt", "There/b.txt", "stays.txt"] {
        world.source.write(path, path);
    }
    let documents = world.sync(&["here.txt", "there.txt", "stays.txt"], "acme/team", options()).await;
    let here = world.sync(&["Here"], "acme/team", options()).await;
    let there = world.sync(&["There"], "acme/team", options()).await;
    world.ada.create_site("acme", "other").await.unwrap();
    let outside = world.source.path("").with_file_name("other");
    fs::rename(world.source.path("here.txt"), outside.join("here.txt")).unwrap();
    fs::rename(world.source.path("Here"), outside.join("Here")).unwrap();
    world.ada.mv("acme/team/there.txt", "acme/other/there.txt").await.unwrap();
    world.ada.mv("acme/team/There", "acme/other/There").await.unwrap();
    world.settle().await;
    assert_eq!(world.agent.is("stays.txt").await, SYNCED);
    assert_eq!(world.ada.read("acme/team/here.txt").await.unwrap(), "here.txt");
    assert_eq!(world.ada.read("acme/team/Here/a.txt").await.unwrap(), "Here/a.txt");
    assert_eq!(fs::read_to_string(outside.join("Here/a.txt")).unwrap(), "Here/a.txt");
    assert_eq!(world.source.read("there.txt"), "there.txt");
    assert_eq!(world.source.tree("There"), tree(&[("b.txt", "There/b.txt")]));
    assert_eq!(world.ada.read("acme/other/there.txt").await.unwrap(), "there.txt");
    assert_eq!(world.ada.read("acme/other/There/b.txt").await.unwrap(), "There/b.txt");
    for (path, set) in [("here.txt", &documents), ("Here", &here), ("there.txt", &documents), ("There", &there)] {
        let excluded = world.agent.excluded(set).await;
        assert!(excluded.iter().any(|(found, _)| found.ends_with(path)), "{path}: {excluded:?} {}", world.dump().await);
    }
    for path in ["there.txt", "There/b.txt"] {
        assert_eq!(world.ada.node(&format!("acme/other/{path}")).await.unwrap().set_id, "", "{path} is in no set any more");
    }
    world.source.write("There/b.txt", "ours");
    world.ada.write("acme/other/there.txt", "theirs").await.unwrap();
    world.settle().await;
    assert_eq!(
        (world.source.read("there.txt").as_str(), world.ada.read("acme/other/There/b.txt").await.unwrap().as_str()),
        ("there.txt", "There/b.txt")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b16_folders_move_in_and_out_and_back_on_either_side() {
    let world = World::start().await;
    for path in ["Plans/a.txt", "Plans/out/b.txt", "Plans/theirs/c.txt", "in/d.txt"] {
        world.source.write(path, path);
    }
    world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    let ids = async |paths: [&str; 2]| {
        let mut found = Vec::new();
        for path in paths {
            found.push(world.ada.id(&format!("acme/team/{path}")).await);
        }
        found
    };
    let before = ids(["Plans/theirs", "Plans/theirs/c.txt"]).await;
    world.source.rename("in", "Plans/in");
    world.source.rename("Plans/out", "out");
    world.ada.mv("acme/team/Plans/theirs", "acme/team/theirs").await.unwrap();
    world.ada.mkdir("acme/team/cloud/deep").await.unwrap();
    world.ada.write("acme/team/cloud/deep/e.txt", "e").await.unwrap();
    world.ada.mv("acme/team/cloud", "acme/team/Plans/cloud").await.unwrap();
    world.settle().await;
    let there =
        [("a.txt", "Plans/a.txt"), ("cloud/", ""), ("cloud/deep/", ""), ("cloud/deep/e.txt", "e"), ("in/", ""), ("in/d.txt", "in/d.txt")];
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&there), "{}", world.dump().await);
    assert_eq!(world.ada.trashed().await, ["out"], "moved out here: deleted there, as D06 has it");
    assert_eq!(world.source.read("out/b.txt"), "Plans/out/b.txt");
    assert_eq!(
        world.source.read("Plans/theirs/c.txt"),
        "Plans/theirs/c.txt",
        "moved out there: never a delete here, even where D05 follows"
    );
    assert_eq!(world.ada.read("acme/team/theirs/c.txt").await.unwrap(), "Plans/theirs/c.txt");
    let released = world.agent.is("Plans/theirs/c.txt").await.unwrap();
    assert_eq!(released, (MemberState::Released, Reason::DeletedOnCloud), "{}", world.dump().await);
    // Neither follows the other while it is out.
    world.ada.write("acme/team/theirs/c.txt", "changed there").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/theirs/c.txt"), "Plans/theirs/c.txt");

    world.ada.mv("acme/team/theirs", "acme/team/Plans/theirs").await.unwrap();
    world.source.rename("out", "Plans/out");
    world.settle().await;
    world.same("Plans", "acme/team/Plans").await;
    assert_eq!(world.source.read("Plans/theirs/c.txt"), "changed there");
    assert_eq!(world.ada.read("acme/team/Plans/out/b.txt").await.unwrap(), "Plans/out/b.txt");
    assert_eq!(ids(["Plans/theirs", "Plans/theirs/c.txt"]).await, before, "the same nodes, paired again");
}

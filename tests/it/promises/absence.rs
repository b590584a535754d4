//! Absence is not a delete: what cannot be seen, or is not what it was, is unknown, and nothing is deleted because of it.

use skybridge::wire::pb::{MemberState, Reason};

use crate::support::{World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));

#[tokio::test(flavor = "multi_thread")]
async fn s_d09_edge_f07_t06_a_library_that_is_gone_is_unknown_and_deletes_nothing() {
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
async fn s_d09_edge_k08_a_restored_state_of_the_agent_is_refused_until_a_person_lets_it_in_and_deletes_nothing() {
    let mut world = World::start().await;
    for path in ["kept.txt", "changed.txt", "gone.txt"] {
        world.source.write(&format!("Plans/{path}"), "one");
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    let backup = world.elsewhere().join("backup");
    copy(&world.agent_data(), &backup);
    world.start_agent().await;
    world.source.write("Plans/changed.txt", "two");
    world.source.remove("Plans/gone.txt");
    world.source.write("Plans/new.txt", "new");
    world.settle().await;
    let before = world.same("Plans", "acme/team/Plans").await;
    world.stop_agent().await;
    std::fs::remove_dir_all(world.agent_data()).unwrap();
    copy(&backup, &world.agent_data());
    world.start_agent().await;
    let says = async || {
        let problem = world.agent.state(false, false).await.ok()?.connection_problem;
        problem.contains("readmit").then_some(())
    };
    world.until("it says what to do", says).await;
    assert_eq!((world.source.tree("Plans"), world.ada.tree("acme/team/Plans").await), (before.clone(), before.clone()));
    world.ada.readmit_agent("fileserver").await.unwrap();
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, before, "nothing came back, nothing is gone");
    assert_eq!(world.ada.versions("acme/team/Plans/changed.txt").await.unwrap().len(), 2, "and nothing was sent again");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&from, &to),
            kind if kind.is_file() => drop(std::fs::copy(&from, &to).unwrap()),
            // The socket that commands use.
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d09_a_foreign_or_copied_root_is_unknown_and_an_emptied_folder_is_a_delete() {
    let world = World::start().await;
    for path in ["Plans/a.txt", "Plans/b.txt", "Emptied/c.txt"] {
        world.source.write(path, path);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    world.sync(&["Emptied"], "acme/team", options()).await;
    let (library, aside) = (world.source.path(""), world.elsewhere().join("aside"));
    let copied = world.elsewhere().join("copied");
    copy(&library, &copied);
    std::fs::remove_file(copied.join("Plans/b.txt")).unwrap();
    let before = world.ada.tree("acme/team").await;
    for other in ["foreign", "copied"] {
        std::fs::rename(&library, &aside).unwrap();
        let other = world.elsewhere().join(other);
        std::fs::create_dir_all(other.join("Plans")).unwrap();
        std::fs::rename(&other, &library).unwrap();
        world.agent.state(false, true).await.unwrap();
        let waiting = Some((MemberState::Retrying, Reason::SourceUnknown));
        world.ada.set_text("acme/team/Plans/a.txt", "cm:author", Some(other.to_str().unwrap())).await.unwrap();
        world.until("members say so", async || (world.agent.is("Plans/a.txt").await == waiting).then_some(())).await;
        let problems = world.agent.state(false, false).await.unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains("Nothing is deleted")), "{problems:?}");
        assert_eq!(world.ada.tree("acme/team").await, before);
        std::fs::rename(&library, &other).unwrap();
        std::fs::rename(&aside, &library).unwrap();
        world.settle().await;
        assert_eq!(world.agent.is("Plans/a.txt").await, SYNCED, "{}", world.dump().await);
    }
    world.source.remove("Emptied/c.txt");
    world.settle().await;
    assert_eq!(world.ada.tree("acme/team/Emptied").await, tree(&[]), "{}", world.dump().await);
    assert_eq!(world.ada.trashed().await, ["c.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d09_edge_f04_a_folder_that_the_agent_may_not_read_is_unknown_and_deletes_nothing() {
    let world = World::start().await;
    // Root reads everything, so somebody else has to be the agent.
    let Some((agent, source, _process)) = world.agent_of_somebody().await else { return };
    for path in ["Plans/sub/a.txt", "Plans/sub/deep/b.txt", "Plans/c.txt"] {
        source.write(path, path);
    }
    agent.create(&["Plans"], "acme/team", options(), &world.ada.token).await.unwrap();
    let settle = async || drop(agent.state(true, true).await.unwrap());
    world.until("all is there", async || (world.ada.tree("acme/team/Plans").await.len() == 5).then_some(())).await;
    settle().await;
    let before = world.ada.tree("acme/team/Plans").await;
    source.set_mode("Plans/sub", 0);
    source.set_mode("Plans/c.txt", 0);
    settle().await;
    let is = async |path: &str| agent.is(path).await;
    world.until("it says so", async || (is("Plans/sub").await?.0 != MemberState::Synced).then_some(())).await;
    let denied = Some((MemberState::Failed, Reason::SourceAccessDenied));
    assert_eq!(is("Plans/sub").await, denied, "{:?}", agent.members().await);
    assert_eq!(is("Plans/sub/deep/b.txt").await.map(|is| is.0), Some(MemberState::Retrying), "{:?}", agent.members().await);
    world.ada.write("acme/team/Plans/sub/a.txt", "theirs").await.unwrap();
    source.write("Plans/d.txt", "others go on");
    world.until("others go on", async || world.ada.node("acme/team/Plans/d.txt").await.ok()).await;
    let mut expected = before;
    expected.insert("d.txt".to_owned(), "others go on".to_owned());
    expected.insert("sub/a.txt".to_owned(), "theirs".to_owned());
    assert_eq!(world.ada.tree("acme/team/Plans").await, expected);
    assert_eq!(world.ada.trashed().await, [""; 0]);
    source.set_mode("Plans/sub", 0o755);
    source.set_mode("Plans/c.txt", 0o644);
    world.until("it heals", async || (source.read("Plans/sub/a.txt") == "theirs").then_some(())).await;
    settle().await;
    assert!(agent.members().await.iter().all(|(_, member)| Some(member.is()) == SYNCED), "{:?}", agent.members().await);
}

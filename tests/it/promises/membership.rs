//! Members, how they are doing, and who is told.

use skybridge::wire::pb::{MemberState, Reason, UpdateNetworkRequest};
use tonic::Code;

use crate::support::{ADA, World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));

#[tokio::test(flavor = "multi_thread")]
async fn s_c01_documents_of_one_set_lie_anywhere_and_are_unsynced_alone() {
    let world = World::start().await;
    world.source.write("here/a.txt", "a");
    world.source.write("there/b.txt", "b");
    world.sync(&["here/a.txt", "there/b.txt"], "acme/team", options()).await;
    assert!(!world.agent.unsync("here/a.txt", false).await.unwrap(), "the set goes on");
    world.source.write("here/a.txt", "changed");
    world.source.write("there/b.txt", "changed");
    world.settle().await;
    let expected = tree(&[("a.txt", "a"), ("b.txt", "changed")]);
    assert_eq!(world.ada.tree("acme/team").await, expected, "{}", world.dump().await);
    assert!(world.agent.unsync("there/b.txt", false).await.unwrap(), "with the last one the set ends");
    assert!(world.agent.syncs().await.is_empty() && world.ada.sync_sets(false).await.unwrap().is_empty());
    assert_eq!(world.ada.tree("acme/team").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c02_what_is_in_a_synced_folder_is_not_unsynced_alone() {
    let world = World::start().await;
    world.source.write("Plans/sub/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    for path in ["Plans/sub/a.txt", "Plans/sub"] {
        let refused = world.agent.unsync(path, false).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
        assert!(refused.message.contains(world.source.path("Plans").to_str().unwrap()), "{refused:?}");
    }
    let members = world.agent.members().await;
    assert_eq!(members.iter().filter(|(_, member)| member.direct).map(|(path, _)| path).collect::<Vec<_>>(), ["Plans"]);
    let node = world.ada.id("acme/team/Plans/sub/a.txt").await;
    let refused = world.ada.unsync(&set, &node, false).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message.contains("Plans"), "{refused:?}");
    assert_eq!(world.agent.is("Plans/sub/a.txt").await, SYNCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c03_s_c04_s_c07_a_member_that_fails_says_why_on_both_sides_and_holds_up_nobody() {
    let world = World::start().await;
    world.ada.update_network(UpdateNetworkRequest { document_bytes_max: Some(10), ..UpdateNetworkRequest::default() }).await.unwrap();
    world.source.write("Plans/large.txt", "more than ten bytes");
    world.source.write("Plans/small.txt", "small");
    world.source.write("Other/small.txt", "small");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let other = world.sync(&["Other"], "acme/team", options()).await;
    assert_eq!(world.ada.read("acme/team/Plans/small.txt").await.unwrap(), "small");
    assert_eq!(world.ada.read("acme/team/Other/small.txt").await.unwrap(), "small");

    let failed = world.agent.members_in(&set, MemberState::Failed).await;
    let [(path, member)] = &failed[..] else { panic!("{}", world.dump().await) };
    assert_eq!((path.as_str(), member.reason), ("Plans/large.txt", Reason::ContentLimitExceeded));
    let [text, remedy, _] = &member.told;
    assert!(!text.is_empty() && !remedy.is_empty(), "{member:?}");
    assert_eq!(world.agent.members_in(&set, MemberState::Synced).await.len(), 2);
    let told = world
        .until("the cloud is told", async || {
            Some(world.ada.reported(&set, MemberState::Failed).await.ok()?).filter(|told| !told.is_empty())
        })
        .await;
    assert_eq!((told.len(), told[0].source_path.as_str(), told[0].reason()), (1, "Plans/large.txt", Reason::ContentLimitExceeded));
    assert_eq!((&told[0].text, &told[0].remedy, &told[0].node_id), (text, remedy, &member.node_id));
    let with_errors = world.ada.sync_sets(true).await.unwrap();
    assert_eq!(with_errors.iter().map(|set| &set.set_id).collect::<Vec<_>>(), [&set], "and not {other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c05_request_sync_is_the_way_out_on_both_sides() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.source.write("Plans/b.txt", "b");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let mut gone = Vec::new();
    for name in ["a.txt", "b.txt"] {
        gone.push(world.ada.id(&format!("acme/team/Plans/{name}")).await);
        world.ada.rm(&format!("acme/team/Plans/{name}")).await.unwrap();
    }
    world.settle().await;
    world.source.write("Plans/a.txt", "changed");
    world.settle().await;
    assert_eq!(world.agent.is("Plans/a.txt").await, Some((MemberState::Failed, Reason::TargetNoLongerExists)));
    assert_eq!(world.agent.request_sync("Plans/a.txt").await.unwrap(), 1);
    world.settle().await;
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("a.txt", "changed")]), "this one alone; {}", world.dump().await);
    world.ada.request_sync(&set, "").await.unwrap();
    world.until("the other is there, too", async || world.ada.read("acme/team/Plans/b.txt").await.ok()).await;
    world.settle().await;
    world.same("Plans", "acme/team/Plans").await;
    for (name, gone) in ["a.txt", "b.txt"].into_iter().zip(gone) {
        assert_eq!(world.agent.is(&format!("Plans/{name}")).await, SYNCED);
        assert_ne!(world.ada.id(&format!("acme/team/Plans/{name}")).await, gone, "a new node");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c09_progress_shows_what_is_done_and_what_is_to_do() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_coordinator().await;
    for number in 0..5 {
        world.source.write(&format!("Plans/{number}.txt"), "new");
    }
    let agent = world.agent.clone();
    let progress = async || {
        let progress = agent.state(false, false).await.ok()?.progress?;
        Some([progress.done_items, progress.total_items, progress.done_bytes, progress.total_bytes])
    };
    world.until("what is to do is counted", async || (progress().await? == [2, 7, 1, 16]).then_some(())).await;
    world.start_coordinator().await;
    world.settle().await;
    assert_eq!(progress().await, Some([7, 7, 16, 16]));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c11_agents_are_listed_and_can_be_revoked() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    for text in ["1", "2", "3"] {
        world.ada.write("acme/team/Plans/lag.txt", text).await.unwrap();
    }
    let away = world.until("it is away", async || world.ada.agents().await.ok()?.into_iter().find(|agent| !agent.connected)).await;
    assert!((1..=3).contains(&away.lag_entries), "{away:?}");
    world.start_agent().await;
    world.settle().await;
    let agents = world.ada.agents().await.unwrap();
    let [agent] = &agents[..] else { panic!("{agents:?}") };
    assert_eq!((agent.name.as_str(), agent.connected, agent.lag_entries, agent.set_count), ("fileserver", true, 0, 1));
    assert!(agent.software.starts_with("skybridge/") && agent.seen_time.is_some(), "{agent:?}");

    world.ada.revoke_agent("fileserver").await.unwrap();
    world.until("its session ends", async || (!world.ada.agents().await.ok()?[0].connected).then_some(())).await;
    world.source.write("Plans/a.txt", "two");
    world.ada.write("acme/team/Plans/b.txt", "b").await.unwrap();
    let told = world
        .until("the agent says why", async || Some(world.agent.state(false, false).await.ok()?).filter(|state| !state.connected))
        .await;
    assert!(!told.connection_problem.is_empty(), "{told:?}");
    let connected = world.until("it was refused again", async || {
        let state = world.agent.state(false, false).await.ok()?;
        state.connection_problem.contains("revoked").then_some(state.connected)
    });
    assert!(!connected.await);
    assert_eq!(world.ada.read("acme/team/Plans/a.txt").await.unwrap(), "one", "both copies stay as they are");
    assert!(!world.source.exists("Plans/b.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c03_a_member_tells_when_and_by_whom_it_was_last_synced_and_when_it_is_tried_again() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let agent = world.agent.clone();
    let told = async |path: &str| agent.told(&set, path).await.unwrap();
    let synced = told("Plans/a.txt").await;
    assert!(synced.success_time.is_some() && synced.attempt_time.is_some() && synced.retry_time.is_none(), "{synced:?}");
    assert_eq!((synced.success_by.as_str(), synced.size_bytes), (ADA, 1));
    world.stop_coordinator().await;
    world.source.write("Plans/a.txt", "bb");
    let waiting = world.until("it waits", async || {
        let told = world.agent.told(&set, "Plans/a.txt").await?;
        (told.reason() == Reason::Unavailable).then_some(told)
    });
    let waiting = waiting.await;
    assert_eq!((waiting.success_time, waiting.state()), (synced.success_time, MemberState::Retrying), "the last success is still told");
    assert!(!waiting.text.is_empty() && !waiting.remedy.is_empty(), "{waiting:?}");
    world.start_coordinator().await;
    world.settle().await;
    let again = told("Plans/a.txt").await;
    assert!(
        again.success_time.unwrap().seconds >= synced.success_time.unwrap().seconds && again.state() == MemberState::Synced,
        "{again:?}"
    );
    let both = ("Plans/a.txt".to_owned(), "acme/team/Plans/a.txt".to_owned());
    let told = async || {
        let there = world.ada.reported(&set, MemberState::Unspecified).await.ok()?;
        let known = there.into_iter().any(|member| {
            let when = member.success_time == again.success_time && member.attempt_time.is_some();
            (member.source_path, member.target_path) == both && when
        });
        known.then_some(())
    };
    world.until("the cloud knows where both copies are, and since when they are equal", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c04_synced_content_and_content_with_errors_are_found_on_both_sides() {
    let world = World::start().await;
    world.ada.update_network(UpdateNetworkRequest { document_bytes_max: Some(10), ..UpdateNetworkRequest::default() }).await.unwrap();
    for path in ["Plans/good.txt", "Fine/good.txt"] {
        world.source.write(path, "good");
    }
    world.source.write("Plans/bad.txt", "longer than ten bytes");
    let plans = world.sync(&["Plans"], "acme/team", options()).await;
    let fine = world.sync(&["Fine"], "acme/team", options()).await;
    let here = async |set: &str, state| world.agent.members_in(set, state).await.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let there = async |set: &str, state| {
        let told = world.ada.reported(set, state).await.unwrap();
        told.into_iter().map(|member| member.source_path).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(here(&plans, MemberState::Failed).await, ["Plans/bad.txt"]);
    assert!(here(&fine, MemberState::Failed).await.is_empty());
    world.until("the cloud is told", async || (there(&plans, MemberState::Synced).await.len() == 2).then_some(())).await;
    world.until("of the error, too", async || (there(&plans, MemberState::Failed).await.len() == 1).then_some(())).await;
    assert_eq!(there(&plans, MemberState::Failed).await, ["Plans/bad.txt".to_owned()].into());
    assert_eq!(there(&plans, MemberState::Synced).await, ["Plans".to_owned(), "Plans/good.txt".to_owned()].into());
    let failing = world.ada.sync_sets(true).await.unwrap();
    assert_eq!(failing.iter().map(|set| &set.set_id).collect::<Vec<_>>(), [&plans], "sets are found by it as well");
    world.source.write("Plans/bad.txt", "short");
    world.settle().await;
    world.until("it is gone from there", async || there(&plans, MemberState::Failed).await.is_empty().then_some(())).await;
    world.until("and the set", async || world.ada.sync_sets(true).await.ok()?.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c07_bad_items_of_every_kind_hold_up_nobody_on_either_side() {
    let world = World::start().await;
    world.ada.update_network(UpdateNetworkRequest { document_bytes_max: Some(10), ..UpdateNetworkRequest::default() }).await.unwrap();
    world.source.write("Plans/large.txt", "more than ten bytes");
    world.source.write("Plans/bad?.txt", "b");
    world.source.write("Plans/clash.txt", "ours");
    world.source.write("Plans/sub/large.txt", "more than ten bytes");
    world.source.write("Other/a.txt", "a");
    std::os::unix::fs::symlink("/", world.source.path("Plans/link")).unwrap();
    world.ada.mkdir("acme/team/Plans").await.unwrap();
    world.ada.write("acme/team/Plans/clash.txt", "theirs").await.unwrap();
    world.sync(&["Plans"], "acme/team", options()).await;
    let other = world.sync(&["Other"], "acme/team", options()).await;
    for path in ["Plans/good.txt", "Plans/sub/good.txt", "Other/good.txt"] {
        world.source.write(path, "good");
    }
    for path in ["Plans/theirs.txt", "Plans/sub/theirs.txt", "Other/theirs.txt"] {
        world.ada.write(&format!("acme/team/{path}"), "theirs").await.unwrap();
    }
    world.settle().await;
    for path in ["Plans", "Plans/sub", "Other"] {
        assert_eq!(world.ada.read(&format!("acme/team/{path}/good.txt")).await.unwrap(), "good", "{path}");
        assert_eq!(world.source.read(&format!("{path}/theirs.txt")), "theirs", "{path}");
    }
    // A whole set that may do nothing any more.
    world.ada.revoke_grant(&other).await.unwrap();
    world.source.write("Other/a.txt", "changed");
    world.source.write("Plans/good.txt", "changed");
    world.until("others go on", async || (world.ada.read("acme/team/Plans/good.txt").await.ok()? == "changed").then_some(())).await;
    assert_eq!(world.ada.read("acme/team/Other/a.txt").await.unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_c05_a_folder_or_one_member_is_asked_for_alone() {
    let world = World::start().await;
    for path in ["one/a.txt", "one/deep/b.txt", "two/c.txt", "two/d.txt"] {
        world.source.write(&format!("Plans/{path}"), path);
    }
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    for path in ["one/a.txt", "one/deep", "two/c.txt", "two/d.txt"] {
        world.ada.rm(&format!("acme/team/Plans/{path}")).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.agent.request_sync("Plans/one").await.unwrap(), 3);
    world.settle().await;
    let mut there =
        tree(&[("one/", ""), ("one/a.txt", "one/a.txt"), ("one/deep/", ""), ("one/deep/b.txt", "one/deep/b.txt"), ("two/", "")]);
    assert_eq!(world.ada.tree("acme/team/Plans").await, there, "{}", world.dump().await);
    let node = world.agent.member("Plans/two/d.txt").await.unwrap().node_id;
    world.ada.request_sync(&set, &node).await.unwrap();
    world.until("it is there", async || world.ada.node("acme/team/Plans/two/d.txt").await.ok()).await;
    world.settle().await;
    there.insert("two/d.txt".to_owned(), "two/d.txt".to_owned());
    assert_eq!(world.ada.tree("acme/team/Plans").await, there, "this one alone; {}", world.dump().await);
}

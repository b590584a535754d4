//! The brake: deletes that look like an accident wait for a person.

use skybridge::engine::brake::Limits;
use skybridge::wire::pb::{MemberState, Reason, SyncOptions};
use tonic::Code;

use crate::support::{World, options, tree};

#[tokio::test(flavor = "multi_thread")]
async fn s_d10_edge_x15_the_brake_stops_many_deletes_until_a_person_approves() {
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

#[tokio::test(flavor = "multi_thread")]
async fn s_d10_the_brake_stops_deletes_at_the_source_too_and_counts_what_came_before() {
    let world = World::with(|config| config.brake = Limits { share: 0.5, least: 4, most: 1_000 }).await;
    for number in 0..10 {
        world.source.write(&format!("Plans/{number}.txt"), "x");
    }
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    for number in 0..10 {
        world.ada.rm(&format!("acme/team/Plans/{number}.txt")).await.unwrap();
        world.settle().await;
    }
    // Of eleven members with the folder, more than half is the sixth; they came one by one.
    assert_eq!(world.source.tree("Plans").len(), 5, "{}", world.dump().await);
    let engaged = Some((MemberState::Failed, Reason::BrakeEngaged));
    let members = world.agent.members().await;
    assert_eq!(members.iter().filter(|(_, member)| Some(member.is()) == engaged).count(), 5, "{}", world.dump().await);
    let syncs = world.agent.syncs().await;
    assert_eq!(syncs[0].reason(), Reason::BrakeEngaged);
    let told = world.until("the cloud is told", async || {
        let told = world.ada.reported(&set, MemberState::Failed).await.ok()?;
        (told.len() == 5).then_some(told)
    });
    assert!(told.await.iter().all(|member| member.reason() == Reason::BrakeEngaged && !member.remedy.is_empty()));
    world.agent.approve_brake(&set).await.unwrap();
    world.settle().await;
    assert_eq!(world.source.tree("Plans"), tree(&[]), "{}", world.dump().await);
    assert_eq!(world.agent.syncs().await[0].reason(), Reason::Unspecified);
    let refused = world.agent.approve_brake(&set).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d10_what_is_approved_on_one_side_is_not_approved_on_the_other() {
    let mut world = World::with(|config| config.brake = Limits { share: 0.5, least: 4, most: 1_000 }).await;
    for number in 0..12 {
        world.source.write(&format!("Plans/one/{number}.txt"), "x");
    }
    for number in 0..8 {
        world.source.write(&format!("Plans/{number}.txt"), "x");
    }
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { delete_source: true, ..options() }).await;
    world.source.remove("Plans/one");
    world.settle().await;
    assert_eq!(world.agent.approve_brake(&set).await.unwrap(), 13);
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await.len(), 8);
    world.stop_agent().await;
    for number in 0..6 {
        world.ada.rm(&format!("acme/team/Plans/{number}.txt")).await.unwrap();
    }
    world.start_agent().await;
    world.settle().await;
    assert_eq!(world.source.tree("Plans").len(), 8, "{}", world.dump().await);
    let syncs = world.agent.syncs().await;
    assert_eq!((syncs[0].reason(), syncs[0].brake_deletes), (Reason::BrakeEngaged, 6), "{}", world.dump().await);
}

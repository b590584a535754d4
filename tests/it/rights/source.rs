//! The agent's calls, by a user of the machine who may read nothing of what is synced.

use std::path::Path;

use prost::Message;
use skybridge::wire::pb;
use tonic::{Code, Status};

use crate::support::raw::{call, calls_of};
use crate::support::{World, options};

/// A user that the machine has not.
const STRANGER: u32 = 64_001;

/// All calls of the agent's service, about a set and paths of somebody else's. `true`: answered, with nothing of theirs in it.
fn rows(set: &str, folder: &Path, token: &str) -> Vec<(&'static str, bool, Vec<u8>)> {
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (set_id, none, document) = (set.to_owned(), String::new(), path("plan.txt"));
    let row = |call, is_silent, request: &dyn Fn() -> Vec<u8>| (call, is_silent, request());
    let members = |set_id: &String, path: &String| {
        pb::ListSyncMembersRequest { set_id: set_id.clone(), path: path.clone(), ..Default::default() }.encode_to_vec()
    };
    let excluded = |set_id: &String, path: &String| {
        pb::ListExcludedItemsRequest { set_id: set_id.clone(), path: path.clone(), ..Default::default() }.encode_to_vec()
    };
    let request =
        |set_id: &String, path: &String| pb::RequestLocalSyncRequest { set_id: set_id.clone(), path: path.clone() }.encode_to_vec();
    let end = |set_id: &String, path: &String| {
        pb::EndSyncRequest { set_id: set_id.clone(), path: path.clone(), ..Default::default() }.encode_to_vec()
    };
    let create = |path: String| {
        pb::CreateSyncRequest { paths: vec![path], target_path: "acme/team".to_owned(), token: token.to_owned(), ..Default::default() }
            .encode_to_vec()
    };
    vec![
        row("LocalService/GetState", true, &|| pb::GetStateRequest::default().encode_to_vec()),
        row("LocalService/CreateSync", false, &|| create(document.clone())),
        row("LocalService/CreateSync", false, &|| create(path("../Elsewhere"))),
        row("LocalService/ListSyncs", true, &|| pb::ListSyncsRequest {}.encode_to_vec()),
        row("LocalService/ListSyncMembers", false, &|| members(&set_id, &none)),
        row("LocalService/ListSyncMembers", false, &|| members(&none, &document)),
        row("LocalService/ListExcludedItems", false, &|| excluded(&set_id, &none)),
        row("LocalService/ListExcludedItems", false, &|| excluded(&none, &document)),
        row("LocalService/RequestLocalSync", false, &|| request(&set_id, &none)),
        row("LocalService/RequestLocalSync", false, &|| request(&none, &document)),
        row("LocalService/ApproveBrake", false, &|| pb::ApproveBrakeRequest { set_id: set_id.clone() }.encode_to_vec()),
        row("LocalService/EndSync", false, &|| end(&set_id, &none)),
        row("LocalService/EndSync", false, &|| end(&none, &document)),
        row("LocalService/ListSourceVersions", false, &|| pb::ListSourceVersionsRequest { path: document.clone() }.encode_to_vec()),
        row("LocalService/RestoreSourceVersion", false, &|| {
            pb::RestoreSourceVersionRequest { path: document.clone(), version: 1 }.encode_to_vec()
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn s_a15_a_stranger_does_nothing_to_the_things_of_others_by_any_call() {
    let world = World::start().await;
    for path in ["Secret/plan.txt", "Elsewhere/plan.txt"] {
        world.source.write(path, "what nobody else may read");
    }
    let set = world.sync(&["Secret"], "acme/team", options()).await;
    // A version is kept.
    world.ada.write("acme/team/Secret/plan.txt", "newer").await.unwrap();
    world.settle().await;
    for folder in ["Secret", "Elsewhere"] {
        world.source.set_mode(folder, 0o700);
    }
    let rows = rows(&set, &world.source.path("Secret"), &world.ada.token);
    let mut calls = calls_of(|service| service == "LocalService");
    calls.sort();
    let mut tried: Vec<_> = rows.iter().map(|(call, ..)| (*call).to_owned()).collect();
    tried.sort();
    tried.dedup();
    assert_eq!(tried, calls, "a row for each call");

    // Only root can be somebody else.
    let Some(stranger) = world.as_user(STRANGER, STRANGER).await else { return };
    let before = (world.agent.members().await, world.agent.versions("Secret/plan.txt").await.unwrap());
    for (name, is_silent, request) in rows {
        let answer = call(stranger.channel.clone(), name, None, &request).await;
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let expected: &[Code] = if is_silent { &[Code::Ok] } else { &[Code::PermissionDenied, Code::NotFound] };
        assert!(expected.contains(&code), "{name} answers {answer:?}");
        let told: Vec<u8> = answer.into_iter().flatten().flat_map(|message| message.to_vec()).collect();
        assert!(!String::from_utf8_lossy(&told).contains("plan.txt"), "{name} tells {told:?}");
    }
    world.settle().await;
    assert_eq!((world.agent.members().await, world.agent.versions("Secret/plan.txt").await.unwrap()), before);
    assert_eq!(world.agent.syncs().await.len(), 1);
    assert_eq!(world.source.read("Secret/plan.txt"), "newer");
}

//! Failing well: a reason that a person understands, nobody else held up, and healing without a person where that can be.

use std::fs;

use skybridge::wire::pb::{MemberState, Reason, Role, SourceVersionCause, SyncOptions, UpdateNetworkRequest};

use crate::support::{Person, World, options, tree};

const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));
const BOB: &str = "bob@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn s_e01_what_cannot_be_synced_is_reported_with_its_reason() {
    let world = World::start().await;
    world.source.write("Plans/fine.txt", "fine");
    world.source.write("Plans/what?.txt", "no such name there");
    std::os::unix::fs::symlink("fine.txt", world.source.path("Plans/link")).unwrap();
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    assert_eq!(world.ada.tree("acme/team/Plans").await, tree(&[("fine.txt", "fine")]));
    let mut excluded = world.agent.excluded(&set).await;
    excluded.sort_by(|(a, _), (b, _)| a.cmp(b));
    let expected = [
        ("Plans/link".to_owned(), (MemberState::Excluded, Reason::UnsupportedType)),
        ("Plans/what?.txt".to_owned(), (MemberState::Failed, Reason::NameNotAllowed)),
    ];
    assert_eq!(excluded, expected, "{}", world.dump().await);
    assert_eq!(world.agent.state(false, false).await.unwrap().excluded_count, 2);
    world.source.rename("Plans/what?.txt", "Plans/what.txt");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/what.txt").await.unwrap(), "no such name there");
    assert_eq!(world.agent.excluded(&set).await.len(), 1);
}

/// What happens to Bob or to his sync set.
enum Event {
    Role(Role),
    Disabled(bool),
    GrantRevoked,
    GrantRestored(Person),
}

impl Event {
    async fn happens(self, world: &World, set: &str) {
        let done = match self {
            Self::Role(role) => world.ada.set_role(BOB, role).await,
            Self::Disabled(disabled) => world.ada.set_account_disabled(BOB, disabled).await,
            Self::GrantRevoked => world.ada.revoke_grant(set).await,
            Self::GrantRestored(bob) => bob.restore_grant(set).await,
        };
        done.expect("it happens");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e02_edge_f13_q02_q03_an_account_that_may_no_longer_stops_its_own_sets_and_heals() {
    let world = World::start().await;
    let bob = world.person(BOB, Role::Collaborator).await;
    world.source.write("Bobs/a.txt", "1");
    world.source.write("Adas/a.txt", "1");
    let bobs = world.agent.create(&["Bobs"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    world.sync(&["Adas"], "acme/team", options()).await;
    for (text, reason, stop, heal) in [
        ("2", Reason::TargetAccessDenied, Event::Role(Role::Consumer), Event::Role(Role::Collaborator)),
        ("3", Reason::AuthenticationFailed, Event::GrantRevoked, Event::GrantRestored(bob)),
        ("4", Reason::OwnerNotFound, Event::Disabled(true), Event::Disabled(false)),
    ] {
        stop.happens(&world, &bobs).await;
        world.source.write("Bobs/a.txt", text);
        world.source.write("Adas/a.txt", text);
        let failed = Some((MemberState::Failed, reason));
        world.until("it fails with its reason", async || (world.agent.is("Bobs/a.txt").await == failed).then_some(())).await;
        world.until("others go on", async || (world.ada.read("acme/team/Adas/a.txt").await.ok()? == text).then_some(())).await;
        assert_ne!(world.ada.read("acme/team/Bobs/a.txt").await.unwrap(), text);
        // Meanwhile the cloud goes on, too: all of it is merged afterwards.
        world.ada.set_text("acme/team/Bobs/a.txt", "cm:author", Some(text)).await.unwrap();
        world.ada.write(&format!("acme/team/Bobs/there {text}.txt"), text).await.unwrap();
        heal.happens(&world, &bobs).await;
        world.until("it heals", async || (world.ada.read("acme/team/Bobs/a.txt").await.ok()? == text).then_some(())).await;
        world.until("it says so", async || (world.agent.is("Bobs/a.txt").await == SYNCED).then_some(())).await;
        world.settle().await;
        assert_eq!(world.source.read(&format!("Bobs/there {text}.txt")), text);
        assert_eq!(
            (world.source.read("Bobs/a.txt"), world.source.attribute("Bobs/a.txt", "user.dublincore.creator").as_deref()),
            (text.to_owned(), Some(text))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e03_edge_q04_what_is_over_a_limit_fails_alone_and_heals_once_there_is_room() {
    let world = World::start().await;
    let limit = async |change: UpdateNetworkRequest| world.ada.update_network(change).await.unwrap();
    limit(UpdateNetworkRequest { quota_bytes: Some(1_000), ..UpdateNetworkRequest::default() }).await;
    let large = "x".repeat(5_000);
    world.source.write("Plans/large.txt", &large);
    world.source.write("Plans/small.txt", "small");
    world.sync(&["Plans"], "acme/team", options()).await;
    let failed = |reason| Some((MemberState::Failed, reason));
    assert_eq!(world.ada.read("acme/team/Plans/small.txt").await.unwrap(), "small");
    // It is tried again now and then, and is syncing for that moment.
    let full = failed(Reason::QuotaExceeded);
    world.until("there is no room for it", async || (world.agent.is("Plans/large.txt").await == full).then_some(())).await;
    limit(UpdateNetworkRequest { quota_bytes: Some(0), document_bytes_max: Some(4_000), ..UpdateNetworkRequest::default() }).await;
    let over = failed(Reason::ContentLimitExceeded);
    world.until("it is over the other limit", async || (world.agent.is("Plans/large.txt").await == over).then_some(())).await;
    limit(UpdateNetworkRequest { document_bytes_max: Some(0), ..UpdateNetworkRequest::default() }).await;
    world.until("it heals", async || (world.ada.read("acme/team/Plans/large.txt").await.ok()? == large).then_some(())).await;
    world.settle().await;
    assert_eq!(world.agent.is("Plans/large.txt").await, SYNCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e04_edge_w10_what_changed_while_the_coordinator_was_away_is_synced_once() {
    let mut world = World::start().await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        world.source.write(&format!("Plans/{name}"), name);
    }
    world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/Plans/b.txt").await;
    world.stop_coordinator().await;
    for text in ["two", "three", "four"] {
        world.source.write("Plans/a.txt", text);
    }
    world.source.rename("Plans/b.txt", "Plans/renamed.txt");
    world.source.remove("Plans/c.txt");
    world.source.write("Plans/new/d.txt", "d");
    let away = world.until("the agent says that it is away", async || {
        Some(world.agent.state(false, true).await.ok()?).filter(|state| !state.connected)
    });
    assert!(!away.await.connection_problem.is_empty());
    world.start_coordinator().await;
    world.settle().await;
    let expected = [("a.txt", "four"), ("new/", ""), ("new/d.txt", "d"), ("renamed.txt", "b.txt")];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert_eq!(world.ada.id("acme/team/Plans/renamed.txt").await, node);
    assert_eq!(world.ada.versions("acme/team/Plans/new/d.txt").await.unwrap().len(), 1);
    assert_eq!(world.ada.trashed().await, ["c.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e05_refusals_say_what_is_concerned_and_what_to_do() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    let token = &world.ada.token;
    for (refused, reason, concerned) in [
        (world.agent.create(&["none.txt"], "acme/team", options(), token).await.unwrap_err(), "NOT_FOUND", "none.txt"),
        (world.agent.create(&["Plans"], "acme/team", options(), token).await.unwrap_err(), "ALREADY_SYNCED", "Plans"),
        (world.agent.create(&[], "acme/team", options(), token).await.unwrap_err(), "INVALID_ARGUMENT", "paths"),
        (world.agent.unsync("Plans/a.txt", false).await.unwrap_err(), "FAILED_PRECONDITION", "a.txt"),
        (world.agent.restore("Plans/a.txt", 7).await.unwrap_err(), "NOT_FOUND", "7"),
        (world.agent.end("junk", false).await.unwrap_err(), "INVALID_ARGUMENT", "set_id"),
        (world.ada.mkdir("acme/team/Plans").await.unwrap_err(), "NAME_CLASH", "Plans"),
        (world.ada.rm("acme/team/none").await.unwrap_err(), "NOT_FOUND", "none"),
        (world.ada.mkdir("acme/team/what?").await.unwrap_err(), "INVALID_ARGUMENT", "name"),
        (world.agent.request_sync("none.txt").await.unwrap_err(), "NOT_FOUND", "none.txt"),
    ] {
        assert_eq!(refused.reason, reason, "{refused:?}");
        assert!(refused.message.contains(concerned), "{concerned}: {refused:?}");
        for internal in ["src/", "redb", "StoreError", "panicked", "Errno", "Some("] {
            assert!(!refused.message.contains(internal), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_f01_a_locked_source_is_read_only_until_unsync_and_what_gets_through_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    world.source.write("Plans/a.txt", "agreed");
    world.source.write("Plans/b.txt", "b");
    std::fs::set_permissions(world.source.path("Plans/b.txt"), std::fs::Permissions::from_mode(0o664)).unwrap();
    let mode = |path: &str| std::fs::metadata(world.source.path(path)).unwrap().permissions().mode() & 0o777;
    let set = world.sync(&["Plans"], "acme/team", SyncOptions { lock_source: true, ..options() }).await;
    assert_eq!((mode("Plans/a.txt"), mode("Plans/b.txt")), (0o444, 0o444), "{}", world.dump().await);

    let expected = tree(&[("a.txt", "pulled"), ("b.txt", "b"), ("new.txt", "added here")]);
    world.ada.write("acme/team/Plans/a.txt", "pulled").await.unwrap();
    world.source.write("Plans/new.txt", "added here");
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, expected);
    assert_eq!(mode("Plans/a.txt"), 0o444);

    world.source.save("Plans/a.txt", "got through");
    world.settle().await;
    assert_eq!(world.same("Plans", "acme/team/Plans").await, expected);
    assert_eq!(world.ada.versions("acme/team/Plans/a.txt").await.unwrap().len(), 2, "it was never pushed");
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap()[0].1, SourceVersionCause::Locked);

    world.agent.end(&set, false).await.unwrap();
    assert_eq!(mode("Plans/b.txt"), 0o664, "as it was");
    assert_eq!(mode("Plans/a.txt") & 0o200, 0o200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e01_reasons_of_the_cloud_are_reported_on_both_sides() {
    let world = World::start().await;
    let network = async |change: UpdateNetworkRequest| world.ada.update_network(change).await.unwrap();
    world.source.write("Plans/large.txt", "more than twenty bytes of text");
    world.source.write("Plans/taken.txt", "ours");
    world.source.write("Plans/gone/a.txt", "a");
    world.source.write("Plans/deleted.txt", "d");
    world.source.write("Plans/changed.txt", "c");
    network(UpdateNetworkRequest { document_bytes_max: Some(20), ..UpdateNetworkRequest::default() }).await;
    world.ada.mkdir("acme/team/Plans").await.unwrap();
    world.ada.write("acme/team/Plans/taken.txt", "theirs").await.unwrap();
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    for path in ["gone", "deleted.txt", "changed.txt"] {
        world.ada.rm(&format!("acme/team/Plans/{path}")).await.unwrap();
    }
    world.settle().await;
    world.source.write("Plans/gone/new.txt", "new");
    world.source.write("Plans/changed.txt", "cc");
    world.settle().await;
    network(UpdateNetworkRequest { document_bytes_max: Some(0), quota_bytes: Some(1), ..UpdateNetworkRequest::default() }).await;
    let expected = [
        ("Plans/changed.txt", MemberState::Failed, Reason::TargetNoLongerExists),
        ("Plans/deleted.txt", MemberState::Released, Reason::DeletedOnCloud),
        ("Plans/gone/new.txt", MemberState::Failed, Reason::TargetFolderMissing),
        ("Plans/large.txt", MemberState::Failed, Reason::QuotaExceeded),
        ("Plans/taken.txt", MemberState::Failed, Reason::NameClash),
    ];
    for (path, state, reason) in expected {
        world.until(path, async || (world.agent.is(path).await == Some((state, reason))).then_some(())).await;
        let told = world.until("the cloud is told", async || {
            let told = world.ada.reported(&set, state).await.ok()?;
            told.into_iter().find(|member| member.source_path == path && member.reason() == reason)
        });
        let (told, member) = (told.await, world.agent.member(path).await.unwrap());
        assert_eq!([&told.text, &told.remedy], [&member.told[0], &member.told[1]], "{path}");
        assert!(!told.text.is_empty() && !told.remedy.is_empty(), "{path}: {told:?}");
    }
    network(UpdateNetworkRequest { quota_bytes: Some(0), ..UpdateNetworkRequest::default() }).await;
    world.until("it heals", async || world.ada.node("acme/team/Plans/large.txt").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e01_edge_f05_m23_what_the_agent_may_not_write_is_reported_and_nothing_is_applied() {
    let world = World::start().await;
    let Some((agent, source, _process)) = world.agent_of_somebody().await else { return };
    for path in ["Plans/a.txt", "Plans/fixed/b.txt", "Plans/c.txt"] {
        source.write(path, "one");
    }
    let set = agent.create(&["Plans"], "acme/team", options(), &world.ada.token).await.unwrap().set_id;
    world.until("all is there", async || (world.ada.tree("acme/team/Plans").await.len() == 4).then_some(())).await;
    agent.state(true, true).await.unwrap();
    // Somebody else's document, that the agent cannot give away; and a folder that it may not write to.
    source.give("Plans/a.txt", 64_009, 64_009);
    source.set_mode("Plans/a.txt", 0o644);
    source.set_mode("Plans/fixed", 0o555);
    agent.state(true, true).await.unwrap();
    for path in ["a.txt", "fixed/b.txt", "c.txt"] {
        world.ada.write(&format!("acme/team/Plans/{path}"), "two").await.unwrap();
    }
    let denied = Some((MemberState::Failed, Reason::SourceAccessDenied));
    for path in ["Plans/a.txt", "Plans/fixed/b.txt"] {
        world.until(path, async || (agent.is(path).await == denied).then_some(())).await;
        assert_eq!(source.read(path), "one", "nothing was applied");
    }
    world.until("others go on", async || (source.read("Plans/c.txt") == "two").then_some(())).await;
    // Nor is anything moved out of it.
    world.ada.mv("acme/team/Plans/fixed/b.txt", "acme/team/Plans/moved.txt").await.unwrap();
    let told = async || (world.ada.reported(&set, MemberState::Failed).await.ok()?.len() == 2).then_some(());
    world.until("the cloud is told", told).await;
    assert_eq!(source.owner("Plans/a.txt"), (64_009, 64_009, 0o644));
    assert_eq!((source.read("Plans/fixed/b.txt").as_str(), source.exists("Plans/moved.txt")), ("one", false));
    assert_eq!(world.ada.trashed().await, [""; 0]);
    source.give("Plans/a.txt", 64_000, 64_000);
    source.set_mode("Plans/fixed", 0o755);
    // Its folder: the document may have moved already, of itself, as its folder can be written to again.
    agent.request_sync("Plans").await.unwrap();
    for path in ["Plans/a.txt", "Plans/moved.txt"] {
        world.until("it heals", async || (source.exists(path) && source.read(path) == "two").then_some(())).await;
    }
    assert!(!source.exists("Plans/fixed/b.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e01_unavailable_is_told_while_the_coordinator_is_away() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_coordinator().await;
    world.source.write("Plans/a.txt", "b");
    let away = async || (world.agent.is("Plans/a.txt").await == Some((MemberState::Retrying, Reason::Unavailable))).then_some(());
    world.until("it says so", away).await;
    world.start_coordinator().await;
    world.settle().await;
    assert_eq!(world.agent.is("Plans/a.txt").await, SYNCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e02_a_change_of_password_ends_grants_if_it_says_so() {
    let world = World::start().await;
    let bob = world.person(BOB, Role::Collaborator).await;
    world.source.write("Bobs/a.txt", "1");
    world.source.write("Adas/a.txt", "1");
    let set = world.agent.create(&["Bobs"], "acme/team", options(), &bob.token).await.unwrap().set_id;
    world.sync(&["Adas"], "acme/team", options()).await;
    let there = async |path: &str, text: &str| (world.ada.read(path).await.ok()? == text).then_some(());

    assert!(bob.change_password("wrong password", "battery staple", true).await.is_err());
    bob.change_password("correct horse", "battery staple", false).await.unwrap();
    world.source.write("Bobs/a.txt", "2");
    world.until("it goes on", async || there("acme/team/Bobs/a.txt", "2").await).await;

    let other = Person::sign_in(world.channel().await, BOB, "battery staple").await.unwrap();
    bob.change_password("battery staple", "correct horse", true).await.unwrap();
    assert!(other.sites().await.is_err(), "other sign-ins ended, too");
    world.source.write("Bobs/a.txt", "3");
    world.source.write("Adas/a.txt", "3");
    let failed = Some((MemberState::Failed, Reason::AuthenticationFailed));
    world.until("it fails with its reason", async || (world.agent.is("Bobs/a.txt").await == failed).then_some(())).await;
    world.until("others go on", async || there("acme/team/Adas/a.txt", "3").await).await;
    bob.restore_grant(&set).await.unwrap();
    world.until("it heals", async || there("acme/team/Bobs/a.txt", "3").await).await;

    bob.revoke_grant(&set).await.unwrap();
    world.source.write("Bobs/a.txt", "4");
    world.until("its owner ended it", async || (world.agent.is("Bobs/a.txt").await == failed).then_some(())).await;
    let refused = world.ada.restore_grant(&set).await.unwrap_err();
    assert_eq!(refused.code, tonic::Code::PermissionDenied, "nobody else acts in its owner's name: {refused:?}");
    bob.restore_grant(&set).await.unwrap();
    world.until("it heals again", async || there("acme/team/Bobs/a.txt", "4").await).await;
}

/// Gives the agent another certificate for the same key, which ends at this time. The coordinator's authority is at hand, as nobody else's is.
fn certify_until(world: &World, end: time::OffsetDateTime) {
    let path = world.agent_data().join("agent.pem");
    let both = std::fs::read_to_string(&path).unwrap();
    let key = rcgen::KeyPair::from_pem(&both[both.find("-----BEGIN PRIVATE KEY").unwrap()..]).unwrap();
    let tls = world.coordinator_data().join("tls");
    let issuer = rcgen::KeyPair::from_pem(&std::fs::read_to_string(tls.join("ca.key")).unwrap()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&std::fs::read_to_string(tls.join("ca.pem")).unwrap(), issuer).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(world.agent_data().join("agent.json")).unwrap()).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = end - time::Duration::days(90);
    params.not_after = end;
    let name = format!("urn:skybridge:agent:{}", stored["agent"].as_str().unwrap());
    params.subject_alt_names = vec![rcgen::SanType::URI(name.try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(path, certificate.pem() + &key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e02_s_c11_edge_q01_an_agents_key_renews_itself_while_it_is_used_and_ends_when_it_was_not() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "1");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    certify_until(&world, time::OffsetDateTime::now_utc() + time::Duration::days(59));
    let path = world.agent_data().join("agent.pem");
    let before = std::fs::read_to_string(&path).unwrap();
    world.start_agent().await;
    let renewed = async || Some(std::fs::read_to_string(&path).ok()?).filter(|now| *now != before);
    let renewed = world.until("it is renewed", renewed).await;
    let key = |both: &str| both[both.find("-----BEGIN PRIVATE KEY").unwrap()..].to_owned();
    assert_ne!(key(&renewed), key(&before), "the key, too");
    // A new connection of the running agent, and then a new agent.
    world.stop_coordinator().await;
    world.start_coordinator().await;
    world.source.write("Plans/a.txt", "2");
    world.settle().await;
    world.stop_agent().await;
    world.source.write("Plans/a.txt", "3");
    world.start_agent().await;
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/a.txt").await.unwrap(), "3");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), renewed, "once is enough");

    world.stop_agent().await;
    certify_until(&world, time::OffsetDateTime::now_utc() - time::Duration::hours(1));
    world.start_agent().await;
    world.source.write("Plans/a.txt", "4");
    let says = async || {
        let state = world.agent.state(false, false).await.ok()?;
        (!state.connected && state.connection_problem.contains("90 days")).then_some(())
    };
    world.until("it says that it was not used for too long", says).await;
    assert_eq!(world.ada.read("acme/team/Plans/a.txt").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_e01_content_that_the_cloud_cannot_read_any_more_is_internal_and_blocks_nothing_else() {
    let mut world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    world.stop_agent().await;
    let text = "what a failing disk will garble ".repeat(200);
    world.ada.write("acme/team/Plans/garbled.txt", &text).await.unwrap();
    world.stop_coordinator().await;
    for pack in fs::read_dir(world.coordinator_data().join("packs")).unwrap() {
        let path = pack.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0xff;
        fs::write(&path, bytes).unwrap();
    }
    world.start_coordinator().await;
    world.ada.write("acme/team/Plans/whole.txt", "whole").await.unwrap();
    world.start_agent().await;
    let told = world.until("the cloud is told", async || {
        let told = world.ada.reported(&set, MemberState::Retrying).await.ok()?;
        told.into_iter().find(|member| member.reason() == Reason::Internal)
    });
    let told = told.await;
    assert!(!told.remedy.is_empty() && told.attempt_time.is_some() && told.retry_time.is_some(), "{told:?}");
    world.until("the others arrive", async || world.source.exists("Plans/whole.txt").then_some(())).await;
    assert!(!world.source.exists("Plans/garbled.txt"));
    let members = world.agent.members().await;
    let internal = Some((MemberState::Retrying, Reason::Internal));
    assert!(members.iter().any(|(path, member)| path.ends_with("garbled.txt") && Some(member.is()) == internal), "{}", world.dump().await);
}

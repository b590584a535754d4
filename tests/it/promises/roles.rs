//! Who may do what in the cloud: the table of roles, tokens and what they are good for.

use skybridge::wire::pb::{Role, TokenScope, UpdateNetworkRequest};
use tonic::Code;

use crate::support::{ADA, NETWORK, Person, World, tree};

/// What somebody with a role tries.
const TRIES: [&str; 10] =
    ["read", "create", "change own", "change", "delete own", "delete", "restore", "empty the trash", "manage members", "administer"];

/// Tries everything; returns what was permitted. Whatever is refused must be refused for want of the right.
async fn permitted(world: &World, who: &str, person: &Person) -> Vec<&'static str> {
    let top = format!("acme/team/{who}");
    world.ada.mkdir(&top).await.unwrap();
    for name in ["theirs.txt", "gone.txt"] {
        world.ada.write(&format!("{top}/{name}"), "one").await.unwrap();
    }
    let gone = world.ada.id(&format!("{top}/gone.txt")).await;
    world.ada.rm(&format!("{top}/gone.txt")).await.unwrap();
    let own = format!("{top}/own.txt");
    let tries = [
        person.read(&format!("{top}/theirs.txt")).await.map(drop),
        person.write(&own, "one").await.map(drop),
        person.write(&own, "two").await.map(drop),
        person.write(&format!("{top}/theirs.txt"), "two").await.map(drop),
        person.rm(&own).await,
        person.rm(&format!("{top}/theirs.txt")).await,
        person.restore(&gone).await.map(drop),
        person.empty_trash("").await.map(drop),
        person.set_role("guest@example.com", Role::Consumer).await,
        person.create_site(NETWORK, &format!("site-of-{who}")).await,
    ];
    let mut may = Vec::new();
    for (what, tried) in TRIES.into_iter().zip(tries) {
        match tried {
            Ok(()) => may.push(what),
            Err(refused) => {
                let expected = [Code::PermissionDenied, Code::NotFound];
                assert!(expected.contains(&refused.code), "{who}: {what}: {refused:?}");
            }
        }
    }
    may
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_table_says_and_no_more() {
    let world = World::start().await;
    world.person("guest@example.com", Role::Consumer).await;
    let stranger = world.ada.create_account("stranger@example.com", "correct horse").await;
    stranger.unwrap();
    let stranger = Person::sign_in(world.channel().await, "stranger@example.com", "correct horse").await.unwrap();
    assert_eq!(permitted(&world, "stranger", &stranger).await, [""; 0]);
    assert_eq!(stranger.sites().await.unwrap(), [""; 0], "they see the sites that they belong to");
    for (role, may) in [
        (Role::Consumer, &TRIES[..1]),
        (Role::Contributor, &["read", "create", "change own", "delete own"][..]),
        (Role::Collaborator, &["read", "create", "change own", "change", "delete own"]),
        (
            Role::Manager,
            &["read", "create", "change own", "change", "delete own", "delete", "restore", "empty the trash", "manage members"],
        ),
    ] {
        let who = role.as_str_name().to_lowercase();
        let person = world.person(&format!("{who}@example.com"), role).await;
        assert_eq!(permitted(&world, &who, &person).await, may, "{role:?}");
    }
    assert_eq!(permitted(&world, "ada", &world.ada).await, TRIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_more_than_their_role() {
    let world = World::start().await;
    let manager = world.person("manager@example.com", Role::Manager).await;
    let contributor = world.person("contributor@example.com", Role::Contributor).await;
    let refused = manager.set_role("contributor@example.com", Role::Administrator).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    for refused in [
        manager.create_account("new@example.com", "correct horse").await.unwrap_err(),
        manager.update_network(UpdateNetworkRequest { quota_bytes: Some(1), ..UpdateNetworkRequest::default() }).await.unwrap_err(),
        manager.create_enrolment("agent", &world.address()).await.unwrap_err(),
        manager.agents().await.unwrap_err(),
        manager.set_account_disabled(ADA, true).await.unwrap_err(),
        manager.create_network("another", "x@example.com", "correct horse").await.unwrap_err(),
    ] {
        assert_eq!(refused.code, Code::PermissionDenied, "{refused:?}");
    }
    // A folder of one's own that holds what others made is not one's own to delete.
    contributor.mkdir("acme/team/Folder").await.unwrap();
    world.ada.write("acme/team/Folder/adas.txt", "ada").await.unwrap();
    assert_eq!(contributor.rm("acme/team/Folder").await.unwrap_err().code, Code::PermissionDenied);
    // Nor to move to where it is out of their reach: out of the site.
    world.ada.create_site(NETWORK, "other").await.unwrap();
    let refused = contributor.mv("acme/team/Folder", "acme/other/Folder").await.unwrap_err();
    assert!([Code::PermissionDenied, Code::NotFound].contains(&refused.code), "{refused:?}");
    assert_eq!(world.ada.tree("acme/team").await, tree(&[("Folder/", ""), ("Folder/adas.txt", "ada")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_sees_nothing_of_another() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let set = world.sync(&["Plans"], "acme/team", crate::support::options()).await;
    let operator = world.operator().await;
    operator.create_network("other", "eve@example.com", "correct horse").await.unwrap();
    let eve = Person::sign_in(world.channel().await, "eve@example.com", "correct horse").await.unwrap();
    assert_eq!(eve.offered_networks().await.unwrap(), ["other"]);
    for refused in [
        eve.read("acme/team/Plans/a.txt").await.unwrap_err(),
        eve.write("acme/team/b.txt", "b").await.unwrap_err(),
        eve.list("acme/team").await.unwrap_err(),
        eve.trash().await.unwrap_err(),
        eve.sites().await.unwrap_err(),
        eve.agents().await.unwrap_err(),
        eve.sync_sets(false).await.unwrap_err(),
        eve.unsync(&set, "", false).await.unwrap_err(),
        eve.revoke_grant(&set).await.unwrap_err(),
        eve.set_account_disabled(ADA, true).await.unwrap_err(),
    ] {
        assert_eq!(refused.code, Code::NotFound, "{refused:?}");
    }
    assert_eq!(world.ada.offered_networks().await.unwrap(), [NETWORK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_scope_until_it_is_revoked() {
    let world = World::start().await;
    world.ada.write("acme/team/a.txt", "a").await.unwrap();
    for (scope, may) in
        [(TokenScope::Full, [true, true, true]), (TokenScope::Read, [true, false, false]), (TokenScope::Library, [true, true, false])]
    {
        let (token, id) = world.ada.create_token(scope).await.unwrap();
        let program = Person::with_token(world.channel().await, &token);
        let tried = [
            program.read("acme/team/a.txt").await.map(drop),
            program.write("acme/team/a.txt", scope.as_str_name()).await.map(drop),
            program.create_site(NETWORK, &scope.as_str_name().to_lowercase().replace('_', "-")).await,
        ];
        assert_eq!(tried.each_ref().map(Result::is_ok), may, "{scope:?}: {tried:?}");
        world.ada.revoke_token(&id).await.unwrap();
        assert_eq!(program.read("acme/team/a.txt").await.unwrap_err().code, Code::Unauthenticated);
    }
}

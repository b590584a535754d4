//! The coordinator's calls, by everybody: nobody, accounts with each role, of another network, and with narrow tokens, agents.

use std::path::Path;

use bytes::Bytes;
use prost::Message as _;
use skybridge::agent;
use skybridge::config::AgentConfig;
use skybridge::net::Channel;
use skybridge::net::authority::Identity;
use skybridge::net::channel::{ChannelOptions, Trust, Use};
use skybridge::net::credentials::Credentials;
use skybridge::wire::pb::{self, Role, TokenScope};
use tonic::{Code, Status};

use super::requests::{For, Row, Things, rows};
use crate::support::raw::{call, calls_of};
use crate::support::{NETWORK, Person, World, options};

/// What must not be in any answer.
const SECRETS: [&[u8]; 3] = [b"Secret", b"plan.txt", b"what nobody else may read"];

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Operator,
    /// An account with a role where it calls, if any.
    Account(Option<Role>),
    /// An administrator, by a token that is good for less.
    Token(TokenScope),
    /// The agent that has the set.
    OwnAgent,
    AnotherAgent,
}

/// Somebody who calls.
struct Caller {
    who: Who,
    channel: Channel,
    token: Option<String>,
    /// A folder of theirs.
    own: String,
}

/// What a token of this scope is good for, of the calls that people make.
fn is_in_scope(scope: TokenScope, call: &str) -> bool {
    let (_, name) = call.split_once('/').expect("a call");
    let is_reading = ["Get", "List", "Read"].iter().any(|verb| name.starts_with(verb));
    let about_accounts = ["ListAccounts", "ListTokens", "ListAgents", "ListSiteMembers"].contains(&name);
    match scope {
        TokenScope::Read => is_reading && name != "ReadmitAgent",
        TokenScope::Library => {
            let is_change = call.starts_with("LibraryService/") && name != "EmptyTrash" || call == "SyncSetService/RequestSync";
            (is_reading && name != "ReadmitAgent" && !about_accounts) || is_change
        }
        TokenScope::Full | TokenScope::Unspecified => true,
    }
}

/// Which answers are right; `None` for a call that the caller may make.
fn expected(who: Who, row: &Row) -> Option<&'static [Code]> {
    const UNKNOWN: &[Code] = &[Code::Unauthenticated];
    // Who guesses often is made to wait.
    const WRONG: &[Code] = &[Code::Unauthenticated, Code::ResourceExhausted];
    const DENIED: &[Code] = &[Code::PermissionDenied];
    const FOREIGN: &[Code] = &[Code::PermissionDenied, Code::NotFound];
    const SILENT: &[Code] =
        &[Code::Ok, Code::PermissionDenied, Code::NotFound, Code::Unauthenticated, Code::InvalidArgument, Code::ResourceExhausted];
    let is_agents_too = ["SyncSetService/GetSyncSet", "SyncSetService/Unsync"].contains(&row.call);
    Some(match (who, row.whom) {
        (_, For::Anybody) => WRONG,
        (Who::OwnAgent, For::Agent) => return None,
        (Who::OwnAgent, _) if is_agents_too => return None,
        (Who::AnotherAgent, For::Agent) => SILENT,
        (Who::AnotherAgent, _) if is_agents_too => SILENT,
        (Who::Operator, For::Operator) => return None,
        // Any token might be the operator's.
        (Who::Nobody, For::Operator) => &[Code::Unauthenticated, Code::PermissionDenied],
        (_, For::Agent) | (Who::Nobody | Who::Operator | Who::OwnAgent | Who::AnotherAgent, _) => UNKNOWN,
        (_, For::Operator) => DENIED,
        (Who::Token(scope), _) if is_in_scope(scope, row.call) => return None,
        (Who::Token(_), _) => DENIED,
        (Who::Account(_), For::Oneself) => SILENT,
        (Who::Account(role), For::Role(least)) if role >= Some(least) => return None,
        (Who::Account(_), For::Role(_)) => FOREIGN,
    })
}

/// Everything that an administrator can see of the network.
async fn everything(world: &World, all: &[&Things]) -> Vec<Vec<Bytes>> {
    let mut seen = Vec::new();
    for things in all {
        for path in [things.folder.as_str(), things.folder.rsplit_once('/').expect("a site").0] {
            let parent = Some(pb::NodeName { kind: Some(pb::node_name::Kind::Path(path.to_owned())) });
            seen.push(("LibraryService/ListNodes", pb::ListNodesRequest { parent, ..Default::default() }.encode_to_vec()));
        }
        let readable = rows(things).into_iter().filter(|row| {
            let (_, name) = row.call.split_once('/').expect("a call");
            matches!(row.whom, For::Role(_) | For::Oneself) && (name.starts_with("Get") || name.starts_with("List"))
        });
        seen.extend(readable.map(|row| (row.call, row.request)));
    }
    let mut answers = Vec::new();
    for (name, request) in seen {
        answers.push(
            call(world.channel().await, name, Some(&world.ada.token), &request).await.unwrap_or_else(|status| panic!("{name}: {status}")),
        );
    }
    answers
}

/// Makes every call, and returns what was not answered as it must be.
async fn wrong(caller: &Caller, things: &Things) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows(&Things { own: caller.own.clone(), ..things.clone() }) {
        let Some(expected) = expected(caller.who, &row) else { continue };
        let answer = call(caller.channel.clone(), row.call, caller.token.as_deref(), &row.request).await;
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let told: Vec<u8> = match &answer {
            Ok(messages) => messages.iter().flat_map(|message| message.to_vec()).collect(),
            Err(status) => [status.message().as_bytes(), status.details()].concat(),
        };
        // What the caller named is told back to them.
        let is_told = |secret: &&[u8]| holds(&told, secret) && (code == Code::Ok || !holds(&row.request, secret));
        // Who has a role in the site may read there.
        let may_read = matches!(caller.who, Who::Account(Some(_)) | Who::Token(_) | Who::OwnAgent);
        if !expected.contains(&code) || (!may_read && SECRETS.iter().any(is_told)) {
            wrong.push(format!("{:?} of {}: {} answers {answer:?}, not {expected:?}", caller.who, things.site, row.call));
        }
    }
    wrong
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Makes a synced folder in a site, with something in the trash.
async fn things(world: &World, site: &str) -> Things {
    let folder = if site == "secret" { "Secret" } else { "Open" };
    world.source.write(&format!("{folder}/plan.txt"), "what nobody else may read");
    let set = world.sync(&[folder], &format!("{NETWORK}/{site}"), options()).await;
    let path = |name: &str| format!("{NETWORK}/{site}/{folder}/{name}");
    let trashed_id = world.ada.write(&path("gone.txt"), "gone").await.unwrap().node_id;
    world.ada.rm(&path("gone.txt")).await.unwrap();
    world.settle().await;
    let document = world.ada.node(&path("plan.txt")).await.unwrap();
    Things {
        site: site.to_owned(),
        folder: format!("{NETWORK}/{site}/{folder}"),
        document: path("plan.txt"),
        document_id: document.node_id,
        content: document.content.unwrap(),
        trashed_id,
        set,
        agent: world.ada.agents().await.unwrap()[0].agent_id.clone(),
        program: "program@example.com".to_owned(),
        token_id: world.ada.create_token(TokenScope::Full).await.unwrap().1,
        own: String::new(),
    }
}

async fn identified(world: &World, data: &Path) -> Channel {
    let file = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
    let identity = Identity { certificate_pem: file("agent.pem"), key_pem: file("agent.pem") };
    let trust = Trust::Authority(file("ca.pem"));
    let options = ChannelOptions { address: world.address(), trust, identity: Some(Credentials::new(&identity).unwrap()), proxy: None };
    options.connect(Use::Control).await.unwrap()
}

/// An agent of the network of which somebody else is the administrator.
async fn another_agent(world: &World, eve: &Person) -> Channel {
    let request = pb::CreateEnrolmentRequest { network: "other".to_owned(), name: "other".to_owned(), address: world.address() };
    let answer = call(world.channel().await, "AgentService/CreateEnrolment", Some(&eve.token), &request.encode_to_vec()).await.unwrap();
    let enrolment = pb::CreateEnrolmentResponse::decode(answer[0].clone()).unwrap().enrolment;
    let config = AgentConfig { data: world.elsewhere().join("agent"), ..AgentConfig::default() };
    agent::enrol(&config, &enrolment.parse().unwrap()).await.unwrap();
    identified(world, &config.data).await
}

async fn callers(world: &World) -> Vec<Caller> {
    let mut callers = Vec::new();
    let channel = world.channel().await;
    let mut add = |who, channel: &Channel, token: Option<&str>, own: &str| {
        callers.push(Caller { who, channel: channel.clone(), token: token.map(str::to_owned), own: own.to_owned() });
    };
    let operator = world.operator().await;
    add(Who::Nobody, &channel, None, "acme/team/none");
    add(Who::Nobody, &channel, Some("junk"), "acme/team/none");
    add(Who::Operator, &channel, Some(&operator.token), "acme/team/none");
    for scope in [TokenScope::Read, TokenScope::Library] {
        let (token, _) = world.ada.create_token(scope).await.unwrap();
        add(Who::Token(scope), &channel, Some(&token), "acme/team/none");
    }
    for role in [None, Some(Role::Consumer), Some(Role::Contributor), Some(Role::Collaborator), Some(Role::Manager)] {
        let name = role.map_or("stranger", |role| role.as_str_name()).to_lowercase();
        let email = format!("{name}@example.com");
        let person = match role {
            Some(role) => world.person(&email, role).await,
            None => {
                world.ada.create_account(&email, "correct horse").await.unwrap();
                Person::sign_in(channel.clone(), &email, "correct horse").await.unwrap()
            }
        };
        let own = format!("acme/team/own-{name}");
        assert_eq!(person.mkdir(&own).await.is_ok(), role >= Some(Role::Contributor));
        add(Who::Account(role), &channel, Some(&person.token), &own);
    }
    operator.create_network("other", "eve@example.com", "correct horse").await.unwrap();
    let eve = Person::sign_in(channel.clone(), "eve@example.com", "correct horse").await.unwrap();
    add(Who::Account(None), &channel, Some(&eve.token), "other/none");
    add(Who::OwnAgent, &identified(world, &world.agent_data()).await, None, "acme/team/none");
    add(Who::AnotherAgent, &another_agent(world, &eve).await, None, "other/none");
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn s_i04_nobody_does_anything_to_the_things_of_others_by_any_call() {
    let mut world = World::start().await;
    world.ada.create_site(NETWORK, "secret").await.unwrap();
    world.ada.create_program("program@example.com").await.unwrap();
    let (secret, team) = (things(&world, "secret").await, things(&world, "team").await);
    let mut calls = calls_of(|service| service != "LocalService");
    calls.sort();
    let mut tried: Vec<_> = rows(&secret).into_iter().map(|row| row.call.to_owned()).collect();
    tried.sort();
    tried.dedup();
    assert_eq!(tried, calls, "a row for each call");

    let callers = callers(&world).await;
    world.stop_agent().await;
    let before = everything(&world, &[&secret, &team]).await;
    let mut failures = Vec::new();
    for caller in &callers {
        failures.extend(wrong(caller, &team).await);
        // Their roles are in the other site.
        let who = if matches!(caller.who, Who::Account(_)) { Who::Account(None) } else { caller.who };
        let elsewhere = Caller { who, channel: caller.channel.clone(), token: caller.token.clone(), own: caller.own.clone() };
        failures.extend(wrong(&elsewhere, &secret).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(everything(&world, &[&secret, &team]).await, before, "nothing was changed");
}

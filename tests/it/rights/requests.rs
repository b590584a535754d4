//! A request of each call of the coordinator, about things of somebody else's.

use prost::Message;
use skybridge::wire::pb::{self, node_name, synchronize_request, write_document_header, write_document_request};

use crate::support::{ADA, NETWORK};

/// Whom a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Everybody who is signed in may make it, of what is their own. About the things of others it is refused, or silent.
    Oneself,
    /// People with this role in the site, at least.
    Role(pb::Role),
    /// Whoever runs the coordinator.
    Operator,
    /// Agents.
    Agent,
    /// Anybody; what it needs is in the request, and wrong here.
    Anybody,
}

use For::{Agent, Anybody, Oneself, Operator, Role};

const READS: For = Role(pb::Role::Consumer);
const CREATES: For = Role(pb::Role::Contributor);
const CHANGES: For = Role(pb::Role::Collaborator);
const MANAGES: For = Role(pb::Role::Manager);
const ADMINISTERS: For = Role(pb::Role::Administrator);

/// What a caller reaches for.
#[derive(Debug, Clone)]
pub(super) struct Things {
    pub(super) site: String,
    /// A folder that is synced, with a document in it.
    pub(super) folder: String,
    pub(super) document: String,
    pub(super) document_id: String,
    pub(super) content: pb::ContentRef,
    pub(super) trashed_id: String,
    pub(super) set: String,
    pub(super) agent: String,
    /// An account of a program.
    pub(super) program: String,
    pub(super) token_id: String,
    /// A folder of the caller's own.
    pub(super) own: String,
}

/// A call, with a request.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) call: &'static str,
    pub(super) whom: For,
    pub(super) request: Vec<u8>,
}

fn row(call: &'static str, whom: For, request: impl Message) -> Row {
    Row { call, whom, request: request.encode_to_vec() }
}

fn at(path: &str) -> Option<pb::NodeName> {
    Some(pb::NodeName { kind: Some(node_name::Kind::Path(path.to_owned())) })
}

fn certificate_request() -> String {
    let (_, request) = skybridge::net::authority::new_agent_key().unwrap();
    request
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// All calls but those of the agent's own service.
pub(super) fn rows(things: &Things) -> Vec<Row> {
    let mut rows: Vec<Row> =
        [accounts(things), agents(things), contents(things), networks(things), sets(things)].into_iter().flatten().collect();
    let id = pb::NodeId { network: text(NETWORK), node_id: things.document_id.clone() };
    for document in [at(&things.document), Some(pb::NodeName { kind: Some(node_name::Kind::Id(id)) })] {
        rows.extend(library(things, document));
    }
    rows
}

fn accounts(things: &Things) -> Vec<Row> {
    let (network, program) = (text(NETWORK), things.program.clone());
    vec![
        row(
            "AccountService/SignIn",
            Anybody,
            pb::SignInRequest { email: text("nobody@example.com"), password: text("x"), label: text("") },
        ),
        row("AccountService/GetSelf", Oneself, pb::GetSelfRequest {}),
        row(
            "AccountService/ChangePassword",
            Oneself,
            pb::ChangePasswordRequest { old_password: text("wrong"), new_password: text("quite another one"), revoke_all: true },
        ),
        row(
            "AccountService/CreateAccount",
            ADMINISTERS,
            pb::CreateAccountRequest { network: network.clone(), email: text("new@example.com"), service: true, ..Default::default() },
        ),
        row("AccountService/ListAccounts", ADMINISTERS, pb::ListAccountsRequest { network: network.clone(), ..Default::default() }),
        row(
            "AccountService/SetAccountDisabled",
            ADMINISTERS,
            pb::SetAccountDisabledRequest { network: network.clone(), email: text(ADA), disabled: true },
        ),
        row(
            "AccountService/CreateToken",
            ADMINISTERS,
            pb::CreateTokenRequest { email: program.clone(), network: network.clone(), label: text("x"), ..Default::default() },
        ),
        row("AccountService/ListTokens", ADMINISTERS, pb::ListTokensRequest { email: program, network }),
        row("AccountService/RevokeToken", ADMINISTERS, pb::RevokeTokenRequest { token_id: things.token_id.clone() }),
    ]
}

fn agents(things: &Things) -> Vec<Row> {
    let (network, agent) = (text(NETWORK), things.agent.clone());
    vec![
        row(
            "AgentService/CreateEnrolment",
            ADMINISTERS,
            pb::CreateEnrolmentRequest { network: network.clone(), name: text("rogue"), address: text("https://localhost:1") },
        ),
        row("AgentService/Enrol", Anybody, pb::EnrolRequest { secret: text("wrong"), certificate_request_pem: certificate_request() }),
        row("AgentService/RenewCertificate", Agent, pb::RenewCertificateRequest { certificate_request_pem: text("none") }),
        row("AgentService/ListAgents", ADMINISTERS, pb::ListAgentsRequest { network: network.clone() }),
        row("AgentService/RevokeAgent", ADMINISTERS, pb::RevokeAgentRequest { network: network.clone(), agent: agent.clone() }),
        row("AgentService/ReadmitAgent", ADMINISTERS, pb::ReadmitAgentRequest { network, agent }),
    ]
}

fn contents(things: &Things) -> Vec<Row> {
    let (set_id, node_id, content) = (things.set.clone(), things.document_id.clone(), Some(things.content.clone()));
    let items = vec![pb::MemberContent { node_id: node_id.clone(), content: content.clone() }];
    let hello = pb::Hello {
        version_min: 1,
        version_max: 1,
        incarnation: 1,
        subscriptions: vec![pb::Subscribe { set_id: set_id.clone(), cursor: None }],
        ..Default::default()
    };
    vec![
        row(
            "ContentService/FindMissing",
            Agent,
            pb::FindMissingRequest { set_id: set_id.clone(), hashes: vec![things.content.root.clone()] },
        ),
        row("ContentService/Upload", Agent, pb::UploadRequest { set_id: set_id.clone(), ..Default::default() }),
        row(
            "ContentService/SealContent",
            Agent,
            pb::SealContentRequest { set_id: set_id.clone(), content: content.clone(), ..Default::default() },
        ),
        row(
            "ContentService/ReadManifest",
            Agent,
            pb::ReadManifestRequest { set_id: set_id.clone(), node_id: node_id.clone(), content: content.clone(), base: None },
        ),
        row("ContentService/ReadContent", Agent, pb::ReadContentRequest { set_id: set_id.clone(), node_id, content, ranges: Vec::new() }),
        row("ContentService/ReadSmallContents", Agent, pb::ReadSmallContentsRequest { set_id: set_id.clone(), items }),
        row("SyncService/Synchronize", Agent, pb::SynchronizeRequest { kind: Some(synchronize_request::Kind::Hello(hello)) }),
        row("SyncService/ListMembers", Agent, pb::ListMembersRequest { set_id, ..Default::default() }),
    ]
}

fn library(things: &Things, node: Option<pb::NodeName>) -> Vec<Row> {
    let (network, site, name) = (text(NETWORK), things.site.clone(), text("taken"));
    let (folder, own) = (at(&things.folder), at(&things.own));
    let properties = vec![pb::PropertyEntry { property: text("cm:author"), value: None, revision: 0 }];
    let header = |target| {
        let header = pb::WriteDocumentHeader { target: Some(target), name: name.clone(), ..Default::default() };
        pb::WriteDocumentRequest { kind: Some(write_document_request::Kind::Header(header)) }
    };
    let moved = |node: &Option<pb::NodeName>, parent: &Option<pb::NodeName>| pb::MoveNodeRequest {
        node: node.clone(),
        parent: parent.clone(),
        name: name.clone(),
        etag: String::new(),
    };
    let copied = |node: &Option<pb::NodeName>, parent: &Option<pb::NodeName>| pb::CopyNodeRequest {
        node: node.clone(),
        parent: parent.clone(),
        name: name.clone(),
        request_id: String::new(),
    };
    let restored = pb::RestoreNodeRequest { network: network.clone(), node_id: things.trashed_id.clone(), ..Default::default() };
    vec![
        row("LibraryService/GetNode", READS, pb::GetNodeRequest { node: node.clone() }),
        row("LibraryService/ListNodes", READS, pb::ListNodesRequest { parent: folder.clone(), ..Default::default() }),
        row(
            "LibraryService/CreateFolder",
            CREATES,
            pb::CreateFolderRequest { parent: folder.clone(), name: name.clone(), create_parents: true, request_id: String::new() },
        ),
        row("LibraryService/WriteDocument", CHANGES, header(write_document_header::Target::Node(node.clone().unwrap()))),
        row("LibraryService/WriteDocument", CREATES, header(write_document_header::Target::Parent(folder.clone().unwrap()))),
        row("LibraryService/ReadDocument", READS, pb::ReadDocumentRequest { node: node.clone(), ..Default::default() }),
        row(
            "LibraryService/UpdateProperties",
            CHANGES,
            pb::UpdatePropertiesRequest { node: node.clone(), properties, ..Default::default() },
        ),
        row("LibraryService/MoveNode", CHANGES, moved(&node, &folder)),
        // What would take it where the caller may read it.
        row("LibraryService/MoveNode", CHANGES, moved(&node, &own)),
        row("LibraryService/MoveNode", CREATES, moved(&own, &folder)),
        row("LibraryService/CopyNode", CREATES, copied(&node, &folder)),
        row("LibraryService/CopyNode", CREATES, copied(&node, &own)),
        row("LibraryService/CopyNode", CREATES, copied(&own, &folder)),
        row("LibraryService/DeleteNode", MANAGES, pb::DeleteNodeRequest { node: node.clone(), etag: String::new() }),
        row("LibraryService/ListVersions", READS, pb::ListVersionsRequest { node: node.clone(), ..Default::default() }),
        row("LibraryService/RestoreVersion", CHANGES, pb::RestoreVersionRequest { node, version: 1 }),
        row("LibraryService/ListTrash", READS, pb::ListTrashRequest { network: network.clone(), site: site.clone(), ..Default::default() }),
        row("LibraryService/RestoreNode", MANAGES, restored.clone()),
        row("LibraryService/RestoreNode", MANAGES, pb::RestoreNodeRequest { parent: own, ..restored }),
        row(
            "LibraryService/EmptyTrash",
            MANAGES,
            pb::EmptyTrashRequest { network: network.clone(), site: site.clone(), node_id: String::new() },
        ),
        row("LibraryService/EmptyTrash", MANAGES, pb::EmptyTrashRequest { network, site, node_id: things.trashed_id.clone() }),
    ]
}

fn networks(things: &Things) -> Vec<Row> {
    let (network, site) = (text(NETWORK), things.site.clone());
    let limits = pb::UpdateNetworkRequest { network: network.clone(), sync_enabled: Some(false), ..Default::default() };
    vec![
        row(
            "NetworkService/CreateNetwork",
            Operator,
            pb::CreateNetworkRequest {
                name: text("rogue"),
                administrator_email: text("rogue@example.com"),
                administrator_password: text("correct horse"),
            },
        ),
        row("NetworkService/ListNetworks", Oneself, pb::ListNetworksRequest::default()),
        row("NetworkService/UpdateNetwork", ADMINISTERS, limits),
        row(
            "NetworkService/CreateSite",
            ADMINISTERS,
            pb::CreateSiteRequest { network: network.clone(), name: text("rogue"), title: String::new() },
        ),
        row("NetworkService/ListSites", Oneself, pb::ListSitesRequest { network: network.clone() }),
        row(
            "NetworkService/SetMember",
            MANAGES,
            pb::SetMemberRequest { network: network.clone(), site: site.clone(), email: text(ADA), role: pb::Role::Manager.into() },
        ),
        row("NetworkService/ListSiteMembers", READS, pb::ListSiteMembersRequest { network, site }),
    ]
}

fn sets(things: &Things) -> Vec<Row> {
    let (set_id, network) = (things.set.clone(), text(NETWORK));
    let new = pb::CreateSyncSetRequest {
        set_id: text("01a21f50-0ab5-73c9-8f7e-1c291fb5d4e7"),
        agent_id: things.agent.clone(),
        target_path: things.folder.clone(),
        folder: true,
        name: text("rogue"),
        source_path: text("/rogue"),
        ..Default::default()
    };
    vec![
        row("SyncSetService/CreateSyncSet", CREATES, new),
        row("SyncSetService/GetSyncSet", READS, pb::GetSyncSetRequest { set_id: set_id.clone() }),
        row("SyncSetService/ListSyncSets", Oneself, pb::ListSyncSetsRequest { network, ..Default::default() }),
        row(
            "SyncSetService/ListMemberStatuses",
            ADMINISTERS,
            pb::ListMemberStatusesRequest { set_id: set_id.clone(), ..Default::default() },
        ),
        row("SyncSetService/RequestSync", ADMINISTERS, pb::RequestSyncRequest { set_id: set_id.clone(), node_id: String::new() }),
        row("SyncSetService/Unsync", ADMINISTERS, pb::UnsyncRequest { set_id: set_id.clone(), ..Default::default() }),
        row("SyncSetService/RevokeGrant", ADMINISTERS, pb::RevokeGrantRequest { set_id: set_id.clone() }),
        row("SyncSetService/RestoreGrant", ADMINISTERS, pb::RestoreGrantRequest { set_id }),
    ]
}

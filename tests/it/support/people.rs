//! Somebody who uses the cloud, through the public services.

use futures::TryStreamExt as _;
use skybridge::net::Channel;
use skybridge::wire::pb::{self, write_document_header::Target, write_document_request::Kind};
use skybridge::wire::pb::{
    account_service_client::AccountServiceClient, agent_service_client::AgentServiceClient, library_service_client::LibraryServiceClient,
    network_service_client::NetworkServiceClient, sync_set_service_client::SyncSetServiceClient,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::{NETWORK, SITE, Tree};

/// Why something was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// The machine-readable reason.
    pub(crate) reason: String,
    /// What a person reads.
    pub(crate) message: String,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let reason = status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default();
        Self { code: status.code(), reason, message: status.message().to_owned() }
    }
}

pub(crate) type Answer<T> = Result<T, Refused>;

/// An account that is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    channel: Channel,
    pub(crate) token: String,
}

fn named(path: &str) -> Option<pb::NodeName> {
    Some(pb::NodeName { kind: Some(pb::node_name::Kind::Path(path.to_owned())) })
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').expect("a path with a folder")
}

impl Person {
    /// Somebody with a token, such as the operator.
    pub(crate) fn with_token(channel: Channel, token: &str) -> Self {
        Self { channel, token: token.to_owned() }
    }

    pub(crate) async fn sign_in(channel: Channel, email: &str, password: &str) -> Answer<Self> {
        let request = pb::SignInRequest { email: email.to_owned(), password: password.to_owned(), label: "test".to_owned() };
        let token = AccountServiceClient::new(channel.clone()).sign_in(request).await?.into_inner().token;
        Ok(Self { channel, token })
    }

    fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse().expect("a token"));
        request
    }

    fn library(&self) -> LibraryServiceClient<Channel> {
        LibraryServiceClient::new(self.channel.clone())
    }

    fn sets(&self) -> SyncSetServiceClient<Channel> {
        SyncSetServiceClient::new(self.channel.clone())
    }

    fn networks(&self) -> NetworkServiceClient<Channel> {
        NetworkServiceClient::new(self.channel.clone())
    }

    fn agents_client(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    // Documents and folders.

    /// Writes a document: a new version if it is there.
    pub(crate) async fn write(&self, path: &str, text: &str) -> Answer<pb::Node> {
        self.write_bytes(path, text.as_bytes().to_vec()).await
    }

    pub(crate) async fn write_bytes(&self, path: &str, bytes: Vec<u8>) -> Answer<pb::Node> {
        let (parent, name) = split(path);
        let header = pb::WriteDocumentHeader {
            name: name.to_owned(),
            target: named(parent).map(Target::Parent),
            ..pb::WriteDocumentHeader::default()
        };
        let messages = [Kind::Header(header), Kind::Data(bytes.into())].map(|kind| pb::WriteDocumentRequest { kind: Some(kind) });
        let written = self.library().write_document(self.with(futures::stream::iter(messages))).await?;
        Ok(written.into_inner().node.expect("a node"))
    }

    pub(crate) async fn read(&self, path: &str) -> Answer<String> {
        self.read_version(path, 0).await
    }

    pub(crate) async fn read_version(&self, path: &str, version: u32) -> Answer<String> {
        let request = pb::ReadDocumentRequest { node: named(path), version, offset: 0, length: 0 };
        let parts = self.library().read_document(self.with(request)).await?.into_inner();
        let parts: Vec<_> = parts.try_collect().await?;
        Ok(String::from_utf8(parts.iter().flat_map(|part| part.data.to_vec()).collect()).expect("text"))
    }

    pub(crate) async fn node(&self, path: &str) -> Answer<pb::Node> {
        let found = self.library().get_node(self.with(pb::GetNodeRequest { node: named(path) })).await?;
        Ok(found.into_inner().node.expect("a node"))
    }

    pub(crate) async fn id(&self, path: &str) -> String {
        self.node(path).await.unwrap_or_else(|refused| panic!("{path}: {refused:?}")).node_id
    }

    pub(crate) async fn mkdir(&self, path: &str) -> Answer<pb::Node> {
        let (parent, name) = split(path);
        let request =
            pb::CreateFolderRequest { parent: named(parent), name: name.to_owned(), create_parents: true, request_id: String::new() };
        Ok(self.library().create_folder(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    /// Renames or moves.
    pub(crate) async fn mv(&self, from: &str, to: &str) -> Answer<pb::Node> {
        let (parent, name) = split(to);
        let request = pb::MoveNodeRequest { node: named(from), parent: named(parent), name: name.to_owned(), etag: String::new() };
        Ok(self.library().move_node(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    pub(crate) async fn cp(&self, from: &str, to: &str) -> Answer<pb::Node> {
        let (parent, name) = split(to);
        let request = pb::CopyNodeRequest { node: named(from), parent: named(parent), name: name.to_owned(), request_id: String::new() };
        Ok(self.library().copy_node(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    pub(crate) async fn rm(&self, path: &str) -> Answer<()> {
        self.library().delete_node(self.with(pb::DeleteNodeRequest { node: named(path), etag: String::new() })).await?;
        Ok(())
    }

    /// Sets a property that is a plain text, or takes it away.
    pub(crate) async fn set_text(&self, path: &str, property: &str, text: Option<&str>) -> Answer<pb::Node> {
        let kind = text.map(|text| pb::property_value::Kind::Text(text.to_owned()));
        self.set_property(path, property, kind).await
    }

    /// Sets a property, or takes it away.
    pub(crate) async fn set_property(&self, path: &str, property: &str, kind: Option<pb::property_value::Kind>) -> Answer<pb::Node> {
        let value = kind.map(|kind| pb::PropertyValue { kind: Some(kind) });
        let request = pb::UpdatePropertiesRequest {
            node: named(path),
            properties: vec![pb::PropertyEntry { property: property.to_owned(), value, revision: 0 }],
            update_mask: None,
            etag: String::new(),
        };
        Ok(self.library().update_properties(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    /// Returns what is in a folder.
    pub(crate) async fn list(&self, folder: &str) -> Answer<Vec<pb::Node>> {
        let request = pb::ListNodesRequest { parent: named(folder), page_size: 1_000, page_token: String::new() };
        Ok(self.library().list_nodes(self.with(request)).await?.into_inner().nodes)
    }

    /// Returns what is below a folder; nothing if it is not there.
    pub(crate) async fn tree(&self, folder: &str) -> Tree {
        let (mut found, mut waiting) = (Tree::new(), vec![folder.to_owned()]);
        while let Some(at) = waiting.pop() {
            let Ok(nodes) = self.list(&at).await else { continue };
            for node in nodes {
                let relative = node.path.strip_prefix(folder).unwrap_or(&node.path).trim_start_matches('/').to_owned();
                if node.kind() == pb::NodeKind::Folder {
                    found.insert(format!("{relative}/"), String::new());
                    waiting.push(node.path);
                } else {
                    let text = self.read(&node.path).await.unwrap_or_else(|refused| format!("{refused:?}"));
                    found.insert(relative, text);
                }
            }
        }
        found
    }

    /// Returns the versions of a document, newest first.
    pub(crate) async fn versions(&self, path: &str) -> Answer<Vec<pb::Version>> {
        let request = pb::ListVersionsRequest { node: named(path), page_size: 1_000, page_token: String::new() };
        Ok(self.library().list_versions(self.with(request)).await?.into_inner().versions)
    }

    pub(crate) async fn restore_version(&self, path: &str, version: u32) -> Answer<pb::Node> {
        let request = pb::RestoreVersionRequest { node: named(path), version };
        Ok(self.library().restore_version(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    /// Returns the trash of the site, newest first.
    pub(crate) async fn trash(&self) -> Answer<Vec<pb::TrashedNode>> {
        let request =
            pb::ListTrashRequest { network: NETWORK.to_owned(), site: SITE.to_owned(), page_size: 1_000, page_token: String::new() };
        Ok(self.library().list_trash(self.with(request)).await?.into_inner().nodes)
    }

    /// Returns the names in the trash of the site, newest first.
    pub(crate) async fn trashed(&self) -> Vec<String> {
        let trash = self.trash().await.expect("the trash is listed");
        trash.into_iter().map(|trashed| trashed.node.expect("a node").name).collect()
    }

    /// Restores a node from the trash to where it was.
    pub(crate) async fn restore(&self, node_id: &str) -> Answer<pb::Node> {
        let request =
            pb::RestoreNodeRequest { network: NETWORK.to_owned(), node_id: node_id.to_owned(), parent: None, name: String::new() };
        Ok(self.library().restore_node(self.with(request)).await?.into_inner().node.expect("a node"))
    }

    /// Removes a node from the trash of the site for good, or everything; returns how many.
    pub(crate) async fn empty_trash(&self, node_id: &str) -> Answer<u64> {
        let request = pb::EmptyTrashRequest { network: NETWORK.to_owned(), site: SITE.to_owned(), node_id: node_id.to_owned() };
        Ok(self.library().empty_trash(self.with(request)).await?.into_inner().node_count)
    }

    // Sync sets.

    pub(crate) async fn sync_sets(&self, failed_only: bool) -> Answer<Vec<pb::SyncSet>> {
        let request = pb::ListSyncSetsRequest { network: NETWORK.to_owned(), failed_only, page_size: 1_000, page_token: String::new() };
        Ok(self.sets().list_sync_sets(self.with(request)).await?.into_inner().sync_sets)
    }

    /// Returns what the agent reported of the members in a state; unspecified is all.
    pub(crate) async fn reported(&self, set: &str, state: pb::MemberState) -> Answer<Vec<pb::ReportedMember>> {
        let request =
            pb::ListMemberStatusesRequest { set_id: set.to_owned(), state: state.into(), page_size: 1_000, page_token: String::new() };
        Ok(self.sets().list_member_statuses(self.with(request)).await?.into_inner().members)
    }

    pub(crate) async fn request_sync(&self, set: &str, node: &str) -> Answer<()> {
        self.sets().request_sync(self.with(pb::RequestSyncRequest { set_id: set.to_owned(), node_id: node.to_owned() })).await?;
        Ok(())
    }

    pub(crate) async fn unsync(&self, set: &str, node: &str, remove_from_cloud: bool) -> Answer<()> {
        let request = pb::UnsyncRequest { set_id: set.to_owned(), node_id: node.to_owned(), remove_from_cloud, with_non_members: false };
        self.sets().unsync(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn revoke_grant(&self, set: &str) -> Answer<()> {
        self.sets().revoke_grant(self.with(pb::RevokeGrantRequest { set_id: set.to_owned() })).await?;
        Ok(())
    }

    pub(crate) async fn restore_grant(&self, set: &str) -> Answer<()> {
        self.sets().restore_grant(self.with(pb::RestoreGrantRequest { set_id: set.to_owned() })).await?;
        Ok(())
    }

    // Networks, accounts, agents.

    pub(crate) async fn create_network(&self, name: &str, email: &str, password: &str) -> Answer<()> {
        let request = pb::CreateNetworkRequest {
            name: name.to_owned(),
            administrator_email: email.to_owned(),
            administrator_password: password.to_owned(),
        };
        self.networks().create_network(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn create_site(&self, network: &str, name: &str) -> Answer<()> {
        let request = pb::CreateSiteRequest { network: network.to_owned(), name: name.to_owned(), title: String::new() };
        self.networks().create_site(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn offered_networks(&self) -> Answer<Vec<String>> {
        let request = pb::ListNetworksRequest { sync_enabled_only: true };
        let networks = self.networks().list_networks(self.with(request)).await?.into_inner().networks;
        Ok(networks.into_iter().map(|network| network.name).collect())
    }

    pub(crate) async fn sites(&self) -> Answer<Vec<String>> {
        let request = pb::ListSitesRequest { network: NETWORK.to_owned() };
        let sites = self.networks().list_sites(self.with(request)).await?.into_inner().sites;
        Ok(sites.into_iter().map(|site| site.name).collect())
    }

    pub(crate) async fn update_network(&self, change: pb::UpdateNetworkRequest) -> Answer<()> {
        let request = pb::UpdateNetworkRequest { network: NETWORK.to_owned(), ..change };
        self.networks().update_network(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn create_account(&self, email: &str, password: &str) -> Answer<()> {
        let request = pb::CreateAccountRequest {
            network: NETWORK.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            ..pb::CreateAccountRequest::default()
        };
        AccountServiceClient::new(self.channel.clone()).create_account(self.with(request)).await?;
        Ok(())
    }

    /// Makes an account of a program.
    pub(crate) async fn create_program(&self, email: &str) -> Answer<()> {
        let request = pb::CreateAccountRequest {
            network: NETWORK.to_owned(),
            email: email.to_owned(),
            service: true,
            ..pb::CreateAccountRequest::default()
        };
        AccountServiceClient::new(self.channel.clone()).create_account(self.with(request)).await?;
        Ok(())
    }

    /// Makes a token of one's own; returns it with its id.
    pub(crate) async fn create_token(&self, scope: pb::TokenScope) -> Answer<(String, String)> {
        let request = pb::CreateTokenRequest { label: "test".to_owned(), scope: scope.into(), ..pb::CreateTokenRequest::default() };
        let made = AccountServiceClient::new(self.channel.clone()).create_token(self.with(request)).await?.into_inner();
        Ok((made.token, made.description.expect("a description").token_id))
    }

    pub(crate) async fn revoke_token(&self, id: &str) -> Answer<()> {
        let request = pb::RevokeTokenRequest { token_id: id.to_owned() };
        AccountServiceClient::new(self.channel.clone()).revoke_token(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn change_password(&self, old: &str, new: &str, revoke_all: bool) -> Answer<()> {
        let request = pb::ChangePasswordRequest { old_password: old.to_owned(), new_password: new.to_owned(), revoke_all };
        AccountServiceClient::new(self.channel.clone()).change_password(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn readmit_agent(&self, agent: &str) -> Answer<()> {
        let request = pb::ReadmitAgentRequest { network: NETWORK.to_owned(), agent: agent.to_owned() };
        self.agents_client().readmit_agent(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn set_account_disabled(&self, email: &str, disabled: bool) -> Answer<()> {
        let request = pb::SetAccountDisabledRequest { network: NETWORK.to_owned(), email: email.to_owned(), disabled };
        AccountServiceClient::new(self.channel.clone()).set_account_disabled(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn set_role(&self, email: &str, role: pb::Role) -> Answer<()> {
        let request =
            pb::SetMemberRequest { network: NETWORK.to_owned(), site: SITE.to_owned(), email: email.to_owned(), role: role.into() };
        self.networks().set_member(self.with(request)).await?;
        Ok(())
    }

    pub(crate) async fn create_enrolment(&self, name: &str, address: &str) -> Answer<String> {
        let request = pb::CreateEnrolmentRequest { network: NETWORK.to_owned(), name: name.to_owned(), address: address.to_owned() };
        Ok(self.agents_client().create_enrolment(self.with(request)).await?.into_inner().enrolment)
    }

    pub(crate) async fn agents(&self) -> Answer<Vec<pb::Agent>> {
        let request = pb::ListAgentsRequest { network: NETWORK.to_owned() };
        Ok(self.agents_client().list_agents(self.with(request)).await?.into_inner().agents)
    }

    pub(crate) async fn revoke_agent(&self, agent: &str) -> Answer<()> {
        let request = pb::RevokeAgentRequest { network: NETWORK.to_owned(), agent: agent.to_owned() };
        self.agents_client().revoke_agent(self.with(request)).await?;
        Ok(())
    }
}

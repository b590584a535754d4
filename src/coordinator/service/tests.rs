//! The services as programs meet them, over a connection in the process.

use crate::net::Channel;
use futures::StreamExt as _;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::coordinator::fixture::{ADA, Fixture, OPERATOR, PASSWORD, reason, with};
use crate::wire::pb::account_service_client::AccountServiceClient;
use crate::wire::pb::library_service_client::LibraryServiceClient;
use crate::wire::pb::network_service_client::NetworkServiceClient;
use crate::wire::pb::{self, write_document_header::Target, write_document_request::Kind};

fn path(path: &str) -> Option<pb::NodeName> {
    Some(pb::NodeName { kind: Some(pb::node_name::Kind::Path(path.into())) })
}

struct Library {
    client: LibraryServiceClient<Channel>,
    token: String,
}

impl Library {
    async fn new(fixture: &Fixture) -> Self {
        Self { client: LibraryServiceClient::new(fixture.channel(None).await), token: fixture.sign_in().await }
    }

    async fn write(&mut self, header: pb::WriteDocumentHeader, bytes: &[u8]) -> Result<pb::Node, Status> {
        let parts = bytes.chunks(100_000).map(|part| Kind::Data(part.to_vec().into()));
        let messages = std::iter::once(Kind::Header(header)).chain(parts).map(|kind| pb::WriteDocumentRequest { kind: Some(kind) });
        let messages: Vec<_> = messages.collect();
        let written = self.client.write_document(with(&self.token, futures::stream::iter(messages))).await?;
        Ok(written.into_inner().node.unwrap())
    }

    async fn read(&mut self, name: &str, version: u32, offset: u64, length: u64) -> Result<Vec<u8>, Status> {
        let request = pb::ReadDocumentRequest { node: path(name), version, offset, length };
        let mut stream = self.client.read_document(with(&self.token, request)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.next().await {
            bytes.extend(message?.data);
        }
        Ok(bytes)
    }
}

fn header(name: &str) -> pb::WriteDocumentHeader {
    let Some(parent) = path("acme/marketing") else { unreachable!() };
    pb::WriteDocumentHeader { name: name.into(), target: Some(Target::Parent(parent)), ..Default::default() }
}

#[tokio::test]
async fn calls_without_a_token_with_a_wrong_one_or_by_nobody_enrolled_are_refused() {
    let fixture = Fixture::new().await;
    let mut library = LibraryServiceClient::new(fixture.channel(None).await);
    let request = || pb::GetNodeRequest { node: path("acme/marketing") };
    for request in [tonic::Request::new(request()), with("skyb_wrong", request())] {
        let refused = library.get_node(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    }
    let token = fixture.sign_in().await;
    let mut sync = pb::sync_service_client::SyncServiceClient::new(fixture.channel(None).await);
    let refused = sync.list_members(with(&token, pb::ListMembersRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut networks = NetworkServiceClient::new(fixture.channel(None).await);
    let refused = networks.create_network(with(&token, pb::CreateNetworkRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let request =
        pb::CreateNetworkRequest { name: "globex".into(), administrator_email: ADA.into(), administrator_password: String::new() };
    networks.create_network(with(OPERATOR, request)).await.unwrap();
}

#[tokio::test]
async fn a_document_is_written_read_in_ranges_and_kept_in_versions() {
    let fixture = Fixture::new().await;
    let mut library = Library::new(&fixture).await;
    let large: Vec<u8> =
        (0..3_000_000_u32).flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[..1].to_vec()).collect();
    let first = library.write(header("a.bin"), &large).await.unwrap();
    assert_eq!((first.version, first.content.as_ref().unwrap().size_bytes), (1, 3_000_000));
    assert_eq!(library.read("acme/marketing/a.bin", 0, 0, 0).await.unwrap(), large);
    assert_eq!(library.read("acme/marketing/a.bin", 0, 1_000_000, 500).await.unwrap(), large[1_000_000..1_000_500]);
    let beyond = library.read("acme/marketing/a.bin", 0, 2_999_999, 2).await.unwrap_err();
    assert_eq!(beyond.code(), Code::OutOfRange);

    let second = library.write(pb::WriteDocumentHeader { etag: first.etag.clone(), ..header("a.bin") }, b"small").await.unwrap();
    assert_eq!(second.version, 2);
    let stale = library.write(pb::WriteDocumentHeader { etag: first.etag, ..header("a.bin") }, b"other").await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "STALE_VERSION"));
    assert_eq!(library.read("acme/marketing/a.bin", 1, 0, 0).await.unwrap(), large);
    assert_eq!(library.read("acme/marketing/a.bin", 0, 0, 0).await.unwrap(), b"small");

    let empty = library.write(header("empty"), b"").await.unwrap();
    assert_eq!(empty.content.unwrap().size_bytes, 0);
    assert_eq!(library.read("acme/marketing/empty", 0, 0, 0).await.unwrap(), b"");
}

#[tokio::test]
async fn a_request_id_makes_a_folder_once() {
    let fixture = Fixture::new().await;
    let Library { mut client, token } = Library::new(&fixture).await;
    let request = |request_id: String| pb::CreateFolderRequest {
        parent: path("acme/marketing/New/Deep"),
        name: "Plans".into(),
        create_parents: true,
        request_id,
    };
    let id = Uuid::now_v7().to_string();
    let first = client.create_folder(with(&token, request(id.clone()))).await.unwrap().into_inner().node.unwrap();
    let again = client.create_folder(with(&token, request(id))).await.unwrap().into_inner().node.unwrap();
    assert_eq!((first.node_id, first.path.as_str()), (again.node_id, "acme/marketing/New/Deep/Plans"));
    let clash = client.create_folder(with(&token, request(String::new()))).await.unwrap_err();
    assert_eq!((clash.code(), reason(&clash).as_str()), (Code::AlreadyExists, "NAME_CLASH"));
}

#[tokio::test]
async fn deleted_documents_are_restored_out_of_the_trash() {
    let fixture = Fixture::new().await;
    let mut library = Library::new(&fixture).await;
    let written = library.write(header("a.txt"), b"hello").await.unwrap();
    let Library { mut client, token } = library;
    client.delete_node(with(&token, pb::DeleteNodeRequest { node: path("acme/marketing/a.txt"), etag: String::new() })).await.unwrap();
    let request = pb::ListTrashRequest { network: "acme".into(), site: "marketing".into(), ..Default::default() };
    let trash = client.list_trash(with(&token, request)).await.unwrap().into_inner().nodes;
    assert_eq!((trash.len(), trash[0].deleter_email.as_str()), (1, ADA));
    let request = pb::RestoreNodeRequest { network: "acme".into(), node_id: written.node_id.clone(), ..Default::default() };
    let restored = client.restore_node(with(&token, request)).await.unwrap().into_inner().node.unwrap();
    assert_eq!((restored.node_id, restored.path.as_str()), (written.node_id, "acme/marketing/a.txt"));
}

#[tokio::test]
async fn s_e05_what_is_malformed_is_named() {
    let fixture = Fixture::new().await;
    let mut library = Library::new(&fixture).await;
    let field = |status: &Status| {
        use tonic_types::StatusExt as _;
        assert_eq!((status.code(), reason(status).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
        status.get_error_details().bad_request().unwrap().field_violations[0].field.clone()
    };
    let token = library.token.clone();
    let none = library.client.get_node(with(&token, pb::GetNodeRequest { node: None })).await.unwrap_err();
    assert_eq!(field(&none), "node");
    let request = pb::ListNodesRequest { parent: path("acme/marketing"), page_size: -1, page_token: String::new() };
    assert_eq!(field(&library.client.list_nodes(with(&token, request)).await.unwrap_err()), "page_size");
    let request = pb::ListNodesRequest { parent: path("acme/marketing"), page_size: 0, page_token: "junk!".into() };
    assert_eq!(field(&library.client.list_nodes(with(&token, request)).await.unwrap_err()), "page_token");
    assert_eq!(field(&library.write(header("a/b"), b"").await.unwrap_err()), "header.name");
    let data = futures::stream::iter([pb::WriteDocumentRequest { kind: Some(Kind::Data(vec![1].into())) }]);
    assert_eq!(field(&library.client.write_document(with(&token, data)).await.unwrap_err()), "kind");
    let unknown = pb::PropertyEntry { property: "cm:creator".into(), ..Default::default() };
    let request = pb::UpdatePropertiesRequest { node: path("acme/marketing"), properties: vec![unknown], ..Default::default() };
    assert_eq!(field(&library.client.update_properties(with(&token, request)).await.unwrap_err()), "properties[0].property");
    let missing = library.client.get_node(with(&token, pb::GetNodeRequest { node: path("acme/marketing/none") })).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn properties_are_set_by_mask_and_removed_when_they_are_not_given() {
    let fixture = Fixture::new().await;
    let mut library = Library::new(&fixture).await;
    library.write(header("a.txt"), b"hello").await.unwrap();
    let Library { mut client, token } = library;
    let author = |text: &str| pb::PropertyEntry {
        property: "cm:author".into(),
        value: Some(pb::PropertyValue { kind: Some(pb::property_value::Kind::Text(text.into())) }),
        revision: 0,
    };
    let update = |properties, mask: Option<Vec<&str>>| pb::UpdatePropertiesRequest {
        node: path("acme/marketing/a.txt"),
        properties,
        update_mask: mask.map(|paths| prost_types::FieldMask { paths: paths.into_iter().map(Into::into).collect() }),
        etag: String::new(),
    };
    let node = client.update_properties(with(&token, update(vec![author("Ada")], None))).await.unwrap().into_inner().node.unwrap();
    assert_eq!(node.properties.len(), 1);
    let node =
        client.update_properties(with(&token, update(Vec::new(), Some(vec!["cm:author"])))).await.unwrap().into_inner().node.unwrap();
    assert!(node.properties.is_empty());
}

#[tokio::test]
async fn service_accounts_have_scoped_tokens_and_no_password() {
    let fixture = Fixture::new().await;
    let token = fixture.sign_in().await;
    let mut accounts = AccountServiceClient::new(fixture.channel(None).await);
    let robot = |password: &str| pb::CreateAccountRequest {
        network: "acme".into(),
        email: "robot@example.com".into(),
        password: password.into(),
        service: true,
        request_id: "0190b6f2-7a3c-7cc2-8f55-0d3a5f1f8a11".into(),
        ..Default::default()
    };
    assert_eq!(accounts.create_account(with(&token, robot(PASSWORD))).await.unwrap_err().code(), Code::InvalidArgument);
    let made = accounts.create_account(with(&token, robot(""))).await.unwrap().into_inner().account;
    assert_eq!(accounts.create_account(with(&token, robot(""))).await.unwrap().into_inner().account, made);
    let request = pb::CreateTokenRequest {
        email: "robot@example.com".into(),
        network: "acme".into(),
        label: "nightly".into(),
        scope: pb::TokenScope::Read.into(),
        lifetime: None,
    };
    let robots = accounts.create_token(with(&token, request)).await.unwrap().into_inner();
    accounts.get_self(with(&robots.token, pb::GetSelfRequest {})).await.unwrap();
    let mut library = LibraryServiceClient::new(fixture.channel(None).await);
    let request = pb::CreateFolderRequest { parent: path("acme/marketing"), name: "x".into(), ..Default::default() };
    assert_eq!(library.create_folder(with(&robots.token, request)).await.unwrap_err().code(), Code::PermissionDenied);
    let request = pb::SetAccountDisabledRequest { network: "acme".into(), email: "robot@example.com".into(), disabled: true };
    accounts.set_account_disabled(with(&token, request)).await.unwrap();
    assert_eq!(accounts.get_self(with(&robots.token, pb::GetSelfRequest {})).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn nobody_sees_another_network() {
    let fixture = Fixture::new().await;
    let mut networks = NetworkServiceClient::new(fixture.channel(None).await);
    let request = pb::CreateNetworkRequest {
        name: "globex".into(),
        administrator_email: "eve@example.com".into(),
        administrator_password: PASSWORD.into(),
    };
    networks.create_network(with(OPERATOR, request)).await.unwrap();
    let mut accounts = AccountServiceClient::new(fixture.channel(None).await);
    let request = pb::SignInRequest { email: "eve@example.com".into(), password: PASSWORD.into(), label: String::new() };
    let eve = accounts.sign_in(request).await.unwrap().into_inner().token;
    let listed = networks.list_networks(with(&eve, pb::ListNetworksRequest::default())).await.unwrap().into_inner().networks;
    assert_eq!(listed.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["globex"]);
    let mut library = LibraryServiceClient::new(fixture.channel(None).await);
    let hidden = library.get_node(with(&eve, pb::GetNodeRequest { node: path("acme/marketing") })).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    let hidden = networks.list_sites(with(&eve, pb::ListSitesRequest { network: "acme".into() })).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
}

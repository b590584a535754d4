//! `LibraryService`.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Service, decode_page, encode_page, node_ref, request_id, time};
use crate::coordinator::auth::{Caller, calling_account};
use crate::coordinator::content::{self, ContentGate, StagedContents};
use crate::coordinator::context::network_name;
use crate::coordinator::failure::Failure;
use crate::coordinator::library::{self, Actor, NodeRef, TrashCursor, Version, View, WriteTarget, request};
use crate::coordinator::{accounts, networks};
use crate::model::{AccountId, Fault, FoldedName, Kind, NodeId, Property, PropertyChange, Sequence, Value};
use crate::store::{Read, Transaction};
use crate::wire::{self, At as _, ProtocolError, field, pb};

/// Nodes that one transaction removes for good.
const PURGED_AT_ONCE: usize = 1_000;

#[tonic::async_trait]
impl pb::library_service_server::LibraryService for Service {
    type ReadDocumentStream = BoxStream<'static, Result<pb::ReadDocumentResponse, Status>>;

    async fn get_node(&self, request: Request<pb::GetNodeRequest>) -> Result<Response<pb::GetNodeResponse>, Status> {
        let caller = calling_account(&request)?;
        let node = node_ref("node", request.into_inner().node)?;
        let node = self.context.read(|read| encode(read, &library::get(read, caller.account, &node)?))?;
        Ok(Response::new(pb::GetNodeResponse { node: Some(node) }))
    }

    async fn list_nodes(&self, request: Request<pb::ListNodesRequest>) -> Result<Response<pb::ListNodesResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let parent = node_ref("parent", request.parent)?;
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let after = decode_page::<FoldedName>(&request.page_token)?;
        let (nodes, next) = self.context.read(|read| {
            let (views, next) = library::list(read, caller.account, &parent, after, limit)?;
            Ok((views.iter().map(|view| encode(read, view)).collect::<Result<_, _>>()?, next))
        })?;
        Ok(Response::new(pb::ListNodesResponse { nodes, next_page_token: encode_page(next.as_ref())? }))
    }

    async fn create_folder(&self, request: Request<pb::CreateFolderRequest>) -> Result<Response<pb::CreateFolderResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (parent, create_parents) = (node_ref("parent", request.parent)?, request.create_parents);
        let (name, id) = (field::name("name", request.name)?, request_id(&request.request_id)?);
        let node = self.change(caller, parent, id, StagedContents::default(), move |tx, change| {
            library::create_folder(tx, change.gate, change.actor, change.named, name.clone(), create_parents, change.mint)
        });
        Ok(Response::new(pb::CreateFolderResponse { node: Some(node.await?) }))
    }

    async fn write_document(
        &self,
        request: Request<Streaming<pb::WriteDocumentRequest>>,
    ) -> Result<Response<pb::WriteDocumentResponse>, Status> {
        let caller = calling_account(&request)?;
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.kind);
        let Some(pb::write_document_request::Kind::Header(header)) = first else {
            return Err(ProtocolError::new("kind", "the first message must be the header").into());
        };
        let header = Header::try_from(header)?;
        let network = self.context.read(|read| {
            // Refuses most of what cannot be written before its bytes are taken.
            library::get(read, caller.account, header.named())?;
            Ok(networks::visible(read, caller.account, network_name(header.named()))?.0)
        })?;
        let (content, staged) = content::store_document(&self.context, network, document_bytes(messages)).await?;
        let Header { target, etag, request } = header;
        let (named, id) = (target_ref(&target).clone(), self.context.mint());
        let node = self.change(caller, named, request, staged, move |tx, change| {
            library::write_document(tx, change.gate, change.actor, &target, content, etag, id)
        });
        Ok(Response::new(pb::WriteDocumentResponse { node: Some(node.await?) }))
    }

    async fn read_document(&self, request: Request<pb::ReadDocumentRequest>) -> Result<Response<Self::ReadDocumentStream>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let node = node_ref("node", request.node)?;
        let version = Some(request.version).filter(|version| *version != 0);
        let (network, content) = self.context.read(|read| {
            let (_, content) = library::content(read, caller.account, &node, version)?;
            Ok((networks::visible(read, caller.account, network_name(&node))?.0, content))
        })?;
        let end = if request.length == 0 { Some(content.size_bytes) } else { request.offset.checked_add(request.length) };
        let range =
            content::range_within(&content, request.offset, end).map_err(|fault| Fault { message: format!("offset: {fault}"), ..fault })?;
        let bytes = content::read_ranges(&self.context, network, content, vec![range])?;
        Ok(Response::new(bytes.map(|data| Ok(pb::ReadDocumentResponse { data: data? })).boxed()))
    }

    async fn update_properties(
        &self,
        request: Request<pb::UpdatePropertiesRequest>,
    ) -> Result<Response<pb::UpdatePropertiesResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (node, etag) = (node_ref("node", request.node)?, etag(&request.etag)?);
        let changes = masked(wire::property_changes(request.properties)?, request.update_mask)?;
        let node = self.change(caller, node, None, StagedContents::default(), move |tx, change| {
            library::update_properties(tx, change.gate, change.actor, change.named, changes.clone(), etag)
        });
        Ok(Response::new(pb::UpdatePropertiesResponse { node: Some(node.await?) }))
    }

    async fn move_node(&self, request: Request<pb::MoveNodeRequest>) -> Result<Response<pb::MoveNodeResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (node, etag) = (node_ref("node", request.node)?, etag(&request.etag)?);
        let parent = request.parent.map(|parent| node_ref("parent", Some(parent))).transpose()?;
        let name = field::optional_name("name", request.name)?;
        let node = self.change(caller, node, None, StagedContents::default(), move |tx, change| {
            library::move_node(tx, change.gate, change.actor, change.named, parent.as_ref(), name.clone(), etag)
        });
        Ok(Response::new(pb::MoveNodeResponse { node: Some(node.await?) }))
    }

    async fn copy_node(&self, request: Request<pb::CopyNodeRequest>) -> Result<Response<pb::CopyNodeResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (node, parent) = (node_ref("node", request.node)?, node_ref("parent", request.parent)?);
        let (name, id) = (field::optional_name("name", request.name)?, request_id(&request.request_id)?);
        let node = self.change(caller, parent, id, StagedContents::default(), move |tx, change| {
            library::copy_node(tx, change.gate, change.actor, &node, change.named, name.clone(), change.mint)
        });
        Ok(Response::new(pb::CopyNodeResponse { node: Some(node.await?) }))
    }

    async fn delete_node(&self, request: Request<pb::DeleteNodeRequest>) -> Result<Response<pb::DeleteNodeResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (node, etag) = (node_ref("node", request.node)?, etag(&request.etag)?);
        let actor = Actor::person(caller.account, self.context.now());
        let named = node.clone();
        self.context.change(&named, move |tx| library::delete_node(tx, actor, &node, etag)).await?;
        Ok(Response::new(pb::DeleteNodeResponse {}))
    }

    async fn list_versions(&self, request: Request<pb::ListVersionsRequest>) -> Result<Response<pb::ListVersionsResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let node = node_ref("node", request.node)?;
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let before = decode_page::<u32>(&request.page_token)?;
        let (versions, next) = self.context.read(|read| {
            let versions = library::list_versions(read, caller.account, &node, before, limit)?;
            let next = versions.last().map(|(number, _)| *number).filter(|_| versions.len() == limit);
            let versions = versions.into_iter().map(|(number, version)| encode_version(read, number, version));
            Ok((versions.collect::<Result<_, _>>()?, next))
        })?;
        Ok(Response::new(pb::ListVersionsResponse { versions, next_page_token: encode_page(next.as_ref())? }))
    }

    async fn restore_version(&self, request: Request<pb::RestoreVersionRequest>) -> Result<Response<pb::RestoreVersionResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::RestoreVersionRequest { node, version } = request.into_inner();
        let node = self.change(caller, node_ref("node", node)?, None, StagedContents::default(), move |tx, change| {
            library::restore_version(tx, change.gate, change.actor, change.named, version)
        });
        Ok(Response::new(pb::RestoreVersionResponse { node: Some(node.await?) }))
    }

    async fn list_trash(&self, request: Request<pb::ListTrashRequest>) -> Result<Response<pb::ListTrashResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let before = decode_page::<(u64, NodeId)>(&request.page_token)?;
        let before = before.map(|(deleted_micros, node)| TrashCursor { deleted_micros, node });
        let days = self.context.config.retention_days;
        let (nodes, next) = self.context.read(|read| {
            let (views, next) = library::list_trash(read, caller.account, &request.network, &request.site, before, limit)?;
            let nodes = views.iter().map(|trashed| {
                let deleted = trashed.trashed.deleted;
                let kept = std::time::Duration::from_secs(u64::from(days) * 24 * 3600);
                Ok::<_, Failure>(pb::TrashedNode {
                    node: Some(encode(read, &trashed.view)?),
                    delete_time: time(deleted.at),
                    deleter_email: email(read, deleted.by)?,
                    expire_time: time(accounts::after(deleted.at, kept)),
                    by_sync: trashed.trashed.by_sync,
                })
            });
            Ok((nodes.collect::<Result<_, _>>()?, next))
        })?;
        let next = next.map(|cursor| (cursor.deleted_micros, cursor.node));
        Ok(Response::new(pb::ListTrashResponse { nodes, next_page_token: encode_page(next.as_ref())? }))
    }

    async fn restore_node(&self, request: Request<pb::RestoreNodeRequest>) -> Result<Response<pb::RestoreNodeResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let node: NodeId = field::id("node_id", &request.node_id)?;
        let parent = request.parent.map(|parent| node_ref("parent", Some(parent))).transpose()?;
        let name = field::optional_name("name", request.name)?;
        let network = request.network;
        let named = NodeRef::Id { network: network.clone(), node };
        let node = self.change(caller, named, None, StagedContents::default(), move |tx, change| {
            library::restore_node(tx, change.actor, &network, node, parent.as_ref(), name.clone())
        });
        Ok(Response::new(pb::RestoreNodeResponse { node: Some(node.await?) }))
    }

    async fn empty_trash(&self, request: Request<pb::EmptyTrashRequest>) -> Result<Response<pb::EmptyTrashResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::EmptyTrashRequest { network, site, node_id } = request.into_inner();
        let node = field::optional_id::<NodeId>("node_id", &node_id)?;
        let keys = self.context.read(|read| library::trash_to_empty(read, caller.account, &network, &site, node))?;
        for key in &keys {
            let key = *key;
            while !self.context.transact(move |tx| library::purge(tx, key, PURGED_AT_ONCE)).await? {}
        }
        tracing::info!(network, site, node = node_id, count = keys.len(), by = %caller.account, "removed from the trash for good");
        Ok(Response::new(pb::EmptyTrashResponse { node_count: keys.len() as u64 }))
    }
}

/// What a change of a library is made with.
struct Change<'a> {
    gate: &'a ContentGate,
    actor: Actor,
    named: &'a NodeRef,
    mint: &'a mut dyn FnMut() -> NodeId,
}

impl Service {
    /// Makes a change of a library in one transaction and shows the node that it made or changed. With a request id it is made once.
    async fn change(
        &self,
        caller: Caller,
        named: NodeRef,
        request: Option<[u8; 16]>,
        staged: StagedContents,
        mut body: impl FnMut(&mut Transaction<'_>, Change<'_>) -> Result<View, Failure> + Send + 'static,
    ) -> Result<pb::Node, Fault> {
        let (context, now) = (self.context.clone(), self.context.now());
        let gate = ContentGate::new(&context, staged);
        let (account, actor) = (caller.account, Actor::person(caller.account, now));
        let target = named.clone();
        let change = move |tx: &mut Transaction<'_>| {
            if let Some(request) = request
                && let Some(node) = request::repeated(tx, account, request)?
            {
                let network = network_name(&named).to_owned();
                let view = library::get(tx, account, &NodeRef::Id { network, node })?;
                return encode(tx, &view);
            }
            gate.begin(tx)?;
            let view = body(tx, Change { gate: &gate, actor, named: &named, mint: &mut || context.mint() })?;
            if let Some(request) = request {
                request::remember(tx, account, request, view.id, now)?;
            }
            encode(tx, &view)
        };
        self.context.change(&target, change).await
    }
}

/// The header of a document that is written.
struct Header {
    target: WriteTarget,
    etag: Option<Sequence>,
    request: Option<[u8; 16]>,
}

fn target_ref(target: &WriteTarget) -> &NodeRef {
    match target {
        WriteTarget::Node(node) => node,
        WriteTarget::Named { parent, .. } => parent,
    }
}

impl Header {
    fn named(&self) -> &NodeRef {
        target_ref(&self.target)
    }
}

impl TryFrom<pb::WriteDocumentHeader> for Header {
    type Error = ProtocolError;

    fn try_from(pb: pb::WriteDocumentHeader) -> Result<Self, ProtocolError> {
        use pb::write_document_header::Target;
        let target = match field::required("target", pb.target).at("header")? {
            Target::Node(node) => WriteTarget::Node(node_ref("node", Some(node)).at("header")?),
            Target::Parent(parent) => WriteTarget::Named {
                parent: node_ref("parent", Some(parent)).at("header")?,
                name: field::name("name", pb.name).at("header")?,
                create_only: pb.create_only,
            },
        };
        Ok(Self { target, etag: etag(&pb.etag).at("header")?, request: request_id(&pb.request_id).at("header")? })
    }
}

/// The bytes of a document that is written; only data may follow the header.
fn document_bytes(messages: Streaming<pb::WriteDocumentRequest>) -> impl Stream<Item = Result<bytes::Bytes, Fault>> + Send + 'static {
    messages.map(|message| match message.map_err(|status| Fault::from_status(&status))?.kind {
        Some(pb::write_document_request::Kind::Data(data)) => Ok(data),
        Some(pb::write_document_request::Kind::Header(_)) => Err(Fault::invalid("header", "only the first message is the header")),
        None => Err(ProtocolError::missing("kind").into()),
    })
}

fn etag(text: &str) -> Result<Option<Sequence>, ProtocolError> {
    if text.is_empty() {
        return Ok(None);
    }
    let sequence = text.parse().map_err(|_| ProtocolError::new("etag", "is not one that this service gave"))?;
    Ok(Some(Sequence::new(sequence)))
}

/// Keeps of the changes what a mask names; what it names and is not given is removed.
fn masked(changes: Vec<PropertyChange>, mask: Option<prost_types::FieldMask>) -> Result<Vec<(Property, Option<Value>)>, ProtocolError> {
    let given = changes.into_iter().map(|change| (change.property, change.value));
    let Some(mask) = mask else { return Ok(given.collect()) };
    let mut given: BTreeMap<_, _> = given.collect();
    let named = mask.paths.iter().enumerate().map(|(index, path)| {
        let unknown = || ProtocolError::new(format!("update_mask.paths[{index}]"), "is not a synced property");
        let property = Property::from_name(path).ok_or_else(unknown)?;
        Ok((property, given.remove(&property).flatten()))
    });
    named.collect()
}

fn email(read: &(impl Read + ?Sized), account: AccountId) -> Result<String, Failure> {
    Ok(accounts::get(read, account)?.email)
}

fn encode(read: &(impl Read + ?Sized), view: &View) -> Result<pb::Node, Failure> {
    let target = view.node.target(view.id);
    let (kind, name) = match view.node.kind {
        Kind::Document => (pb::NodeKind::Document, "cm:content"),
        Kind::Folder => (pb::NodeKind::Folder, "cm:folder"),
    };
    let parent_id = match view.node.parent {
        library::Parent::Folder(folder) => folder.to_string(),
        library::Parent::Site(_) => String::new(),
    };
    let direct_member = view.is_direct_member();
    Ok(pb::Node {
        node_id: view.id.to_string(),
        kind: kind.into(),
        name: view.node.name.to_string(),
        path: view.path.clone(),
        parent_id,
        content: view.node.content.map(Into::into),
        properties: pb::NodeState::from(target.state).properties,
        etag: view.node.etag().to_string(),
        create_time: time(view.node.created.at),
        creator_email: email(read, view.node.created.by)?,
        update_time: time(view.node.modified.at),
        modifier_email: email(read, view.node.modified.by)?,
        version: view.node.version,
        set_id: field::optional_text(view.membership.as_ref().map(|membership| membership.set)),
        direct_member,
        r#type: name.to_owned(),
    })
}

fn encode_version(read: &(impl Read + ?Sized), number: u32, version: Version) -> Result<pb::Version, Failure> {
    Ok(pb::Version {
        version: number,
        content: Some(version.content.into()),
        name: version.name.to_string(),
        create_time: time(version.made.at),
        creator_email: email(read, version.made.by)?,
        by_sync: version.by_sync,
    })
}

//! `ContentService`.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use tonic::{Request, Response, Status, Streaming};

use super::Service;
use crate::content::{Blob, BlobKind};
use crate::coordinator::auth::calling_agent;
use crate::coordinator::content::{self, HASHES_MAX, MESSAGE_BLOBS_BYTES_MAX};
use crate::model::{ContentRef, Fault, Hash, NodeId, SetId};
use crate::wire::{At as _, ProtocolError, field, pb};

/// The most ranges of one call.
const RANGES_MAX: usize = 4_096;
/// The most small contents of one call, and the largest of them.
const SMALL_ITEMS_MAX: usize = 1_000;
const SMALL_BYTES_MAX: u64 = 256 * 1024;

#[tonic::async_trait]
impl pb::content_service_server::ContentService for Service {
    type ReadManifestStream = BoxStream<'static, Result<pb::ReadManifestResponse, Status>>;
    type ReadSmallContentsStream = BoxStream<'static, Result<pb::ReadSmallContentsResponse, Status>>;
    type ReadContentStream = BoxStream<'static, Result<pb::ReadContentResponse, Status>>;

    async fn find_missing(&self, request: Request<pb::FindMissingRequest>) -> Result<Response<pb::FindMissingResponse>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        if request.hashes.len() > HASHES_MAX {
            return Err(ProtocolError::new("hashes", format_args!("must be at most {HASHES_MAX}")).into());
        }
        let hashes = request.hashes.iter().enumerate().map(|(index, hash)| field::hash(&format!("hashes[{index}]"), hash));
        let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>()?;
        let missing_indices = content::find_missing(&self.context, caller, set, &hashes)?;
        Ok(Response::new(pb::FindMissingResponse { missing_indices }))
    }

    async fn upload(&self, request: Request<Streaming<pb::UploadRequest>>) -> Result<Response<pb::UploadResponse>, Status> {
        let caller = calling_agent(&request)?;
        let mut messages = request.into_inner();
        let mut upload = None;
        while let Some(message) = messages.message().await? {
            let set: Option<SetId> = field::optional_id("set_id", &message.set_id)?;
            let upload = match (&mut upload, set) {
                (None, None) => return Err(ProtocolError::missing("set_id").into()),
                (None, Some(set)) => upload.insert(content::Upload::begin(&self.context, caller, set)?),
                (Some(upload), Some(set)) if set != upload.set() => {
                    return Err(ProtocolError::new("set_id", "must be the same in all messages").into());
                }
                (Some(upload), _) => upload,
            };
            upload.add(blobs(message.blobs)?).await?;
        }
        let stored_count = match upload {
            Some(upload) => upload.finish().await?,
            None => 0,
        };
        Ok(Response::new(pb::UploadResponse { stored_count }))
    }

    async fn seal_content(&self, request: Request<pb::SealContentRequest>) -> Result<Response<pb::SealContentResponse>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let content: ContentRef = field::message("content", request.content)?;
        let base: Option<NodeId> = field::optional_id("base_node_id", &request.base_node_id)?;
        let missing = content::seal(&self.context, caller, set, content, base).await?;
        let missing = missing.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect();
        Ok(Response::new(pb::SealContentResponse { missing }))
    }

    async fn read_manifest(&self, request: Request<pb::ReadManifestRequest>) -> Result<Response<Self::ReadManifestStream>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let node: NodeId = field::id("node_id", &request.node_id)?;
        let content: ContentRef = field::message("content", request.content)?;
        let base: Option<ContentRef> = field::optional_message("base", request.base)?;
        let pages = content::read_manifest(&self.context, caller, set, node, content, base)?;
        let messages = pages.map(|pages| {
            let blobs = pages?.into_iter().map(|page| pb::Blob {
                page: true,
                hash: Bytes::copy_from_slice(page.hash().as_bytes()),
                data: page.into_bytes(),
            });
            Ok(pb::ReadManifestResponse { pages: blobs.collect() })
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn read_content(&self, request: Request<pb::ReadContentRequest>) -> Result<Response<Self::ReadContentStream>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let node: NodeId = field::id("node_id", &request.node_id)?;
        let content: ContentRef = field::message("content", request.content)?;
        if request.ranges.len() > RANGES_MAX {
            return Err(ProtocolError::new("ranges", format_args!("must be at most {RANGES_MAX}")).into());
        }
        let mut ranges = Vec::with_capacity(request.ranges.len());
        for (index, range) in request.ranges.iter().enumerate() {
            let end = range.offset.checked_add(range.length);
            let within = content::range_within(&content, range.offset, end);
            ranges.push(within.map_err(|fault| Fault { message: format!("ranges[{index}]: {fault}"), ..fault })?);
        }
        if ranges.is_empty() {
            ranges.push(0..content.size_bytes);
        }
        let network = content::require_held(&self.context, caller, set, node, &[content])?;
        let bytes = content::read_ranges(&self.context, network, content, ranges)?;
        Ok(Response::new(bytes.map(|data| Ok(pb::ReadContentResponse { data: data? })).boxed()))
    }

    async fn read_small_contents(
        &self,
        request: Request<pb::ReadSmallContentsRequest>,
    ) -> Result<Response<Self::ReadSmallContentsStream>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        if request.items.len() > SMALL_ITEMS_MAX {
            return Err(ProtocolError::new("items", format_args!("must be at most {SMALL_ITEMS_MAX}")).into());
        }
        let items = request.items.into_iter().enumerate().map(|(index, item)| small_item(item).at_index("items", index));
        let groups = content::read_small(&self.context, caller, set, items.collect::<Result<_, _>>()?)?;
        let messages = groups.map(|group| Ok(pb::ReadSmallContentsResponse { contents: group.into_iter().map(small_content).collect() }));
        Ok(Response::new(messages.boxed()))
    }
}

/// Checks what one message brings.
fn blobs(blobs: Vec<pb::Blob>) -> Result<Vec<Blob>, ProtocolError> {
    if blobs.iter().map(|blob| blob.data.len()).sum::<usize>() > MESSAGE_BLOBS_BYTES_MAX {
        return Err(ProtocolError::new("blobs", format_args!("must be at most {MESSAGE_BLOBS_BYTES_MAX} bytes in one message")));
    }
    let checked = blobs.into_iter().enumerate().map(|(index, blob)| {
        let hash = field::hash(&format!("blobs[{index}].hash"), &blob.hash)?;
        let kind = if blob.page { BlobKind::Page } else { BlobKind::Chunk };
        Blob::verified(kind, hash, blob.data)
            .ok_or_else(|| ProtocolError::new(format!("blobs[{index}].data"), "does not have the hash that was given"))
    });
    checked.collect()
}

fn small_content(read: Result<Option<Bytes>, Fault>) -> pb::SmallContent {
    use pb::small_content::Kind;
    let kind = match read {
        Ok(Some(data)) => Kind::Data(data),
        Ok(None) => Kind::Absent(true),
        Err(fault) => Kind::Failure(Status::from(fault).message().to_owned()),
    };
    pb::SmallContent { kind: Some(kind) }
}

fn small_item(item: pb::MemberContent) -> Result<(NodeId, ContentRef), ProtocolError> {
    let content: ContentRef = field::message("content", item.content)?;
    if content.height != 0 || content.size_bytes > SMALL_BYTES_MAX {
        return Err(ProtocolError::new("content", format_args!("must be one chunk of at most {SMALL_BYTES_MAX} bytes")));
    }
    Ok((field::id("node_id", &item.node_id)?, content))
}

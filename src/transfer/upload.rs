//! Sending a content ahead of the operation that refers to it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::net::Channel;
use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{AGENT_SCOPE, HASHES_MAX, MESSAGE_BYTES, RECEIVE_BYTES_MAX, is_single, page, timely};
use crate::content::{ChunkEntry, Difference, DifferenceStep, Tree};
use crate::depot::{Depot, DepotError};
use crate::model::{ContentRef, Fault, FaultKind, Hash, NodeId, SetId};
use crate::task;
use crate::telemetry::{Direction, metrics};
use crate::wire::pb;
use crate::wire::pb::content_service_client::ContentServiceClient;

/// How often what the coordinator still misses is sent again before it counts as a failure.
const ROUNDS: usize = 4;
/// Messages that wait for the network.
const QUEUE: usize = 4;

/// A document that can be read at any place; it must say at the end whether it stayed the same.
pub trait Bytewise: Send + Sync {
    /// Fills `buffer` from `offset` on; less than all of it only at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize>;

    /// Whether everything read so far belongs to one state of the document.
    fn is_unchanged(&self) -> bool;
}

/// Why a content was not uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The document is no longer what it was when it was last looked at.
    #[error("the document changed while it was uploaded")]
    Changed,
    /// The coordinator refused: waiting does not help by itself.
    #[error("{0}")]
    Refused(Fault),
    /// The coordinator cannot be reached, or has no time.
    #[error("{0}")]
    Away(Fault),
}

impl From<tonic::Status> for UploadError {
    fn from(status: tonic::Status) -> Self {
        let fault = Fault::from_status(&status);
        match fault.kind {
            FaultKind::Unavailable | FaultKind::Internal | FaultKind::Fenced | FaultKind::Unauthenticated => Self::Away(fault),
            _ => Self::Refused(fault),
        }
    }
}

impl From<DepotError> for UploadError {
    fn from(error: DepotError) -> Self {
        // Pages that cannot be read are made again by the next look at the document.
        tracing::warn!(%error, "the pages of a document cannot be read");
        Self::Changed
    }
}

/// What the coordinator may not have.
#[derive(Default)]
struct Parts {
    pages: Vec<Hash>,
    chunks: Vec<ChunkEntry>,
}

/// Sends what the coordinator does not have of a content, and has it sealed for this agent.
///
/// # Errors
/// When the document changed, or the coordinator refuses or is away.
pub async fn upload(
    channel: Channel,
    depot: &Depot,
    set: SetId,
    content: &ContentRef,
    base: Option<(NodeId, ContentRef)>,
    document: Arc<dyn Bytewise>,
) -> Result<(), UploadError> {
    let mut client = ContentServiceClient::new(channel).max_decoding_message_size(RECEIVE_BYTES_MAX);
    let all = parts(depot, content, base.map(|(_, content)| content)).await?;
    let mut wanted = missing(&mut client, set, &all).await?;
    for _ in 0..ROUNDS {
        send(&mut client, depot, set, &all, &wanted, &document).await?;
        let request = pb::SealContentRequest {
            set_id: set.to_string(),
            content: Some((*content).into()),
            base_node_id: base.map(|(node, _)| node.to_string()).unwrap_or_default(),
        };
        let answer = timely(client.seal_content(request)).await?.into_inner();
        if answer.missing.is_empty() {
            return Ok(());
        }
        // What was thought to be in the base is not: everything is compared again.
        wanted = answer.missing.iter().filter_map(|hash| Hash::from_slice(hash)).collect();
        if !covers(&all, &wanted) {
            let whole = parts(depot, content, None).await?;
            let wanted = missing(&mut client, set, &whole).await?;
            send(&mut client, depot, set, &whole, &wanted, &document).await?;
        }
    }
    Err(UploadError::Away(Fault::new(FaultKind::Unavailable, "the coordinator keeps missing parts of the content")))
}

fn covers(parts: &Parts, wanted: &HashSet<Hash>) -> bool {
    let known: HashSet<_> = parts.pages.iter().copied().chain(parts.chunks.iter().map(|chunk| chunk.hash)).collect();
    wanted.is_subset(&known)
}

/// Lists the pages and chunks of a content that are not in its base.
async fn parts(depot: &Depot, content: &ContentRef, base: Option<ContentRef>) -> Result<Parts, UploadError> {
    let mut parts = Parts::default();
    if is_single(content) {
        let length = u32::try_from(content.size_bytes).map_err(|_| UploadError::Changed)?;
        parts.chunks.push(ChunkEntry { offset: 0, hash: content.root, length });
        return Ok(parts);
    }
    let mut difference = Difference::new(base.as_ref(), content).map_err(|_| UploadError::Changed)?;
    while let Some(step) = difference.step().map_err(|_| UploadError::Changed)? {
        match step {
            DifferenceStep::Load(tree, hash) => match (page(depot, &hash).await?, tree) {
                (Some(bytes), _) => difference.supply(&bytes).map_err(|_| UploadError::Changed)?,
                (None, Tree::Base) => difference.skip(),
                (None, Tree::New) => return Err(UploadError::Changed),
            },
            DifferenceStep::Page(hash) => parts.pages.push(hash),
            DifferenceStep::Chunk(chunk) => parts.chunks.push(chunk),
        }
    }
    Ok(parts)
}

/// Asks which of the parts the coordinator does not have.
async fn missing(client: &mut ContentServiceClient<Channel>, set: SetId, parts: &Parts) -> Result<HashSet<Hash>, UploadError> {
    let all: Vec<Hash> = parts.pages.iter().copied().chain(parts.chunks.iter().map(|chunk| chunk.hash)).collect();
    let mut missing = HashSet::new();
    for hashes in all.chunks(HASHES_MAX) {
        let request = pb::FindMissingRequest {
            set_id: set.to_string(),
            hashes: hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect(),
        };
        let answer = timely(client.find_missing(request)).await?.into_inner();
        missing.extend(answer.missing_indices.iter().filter_map(|index| hashes.get(*index as usize)));
    }
    Ok(missing)
}

/// Sends the wanted ones of the parts. The answer means that they are durable.
async fn send(
    client: &mut ContentServiceClient<Channel>,
    depot: &Depot,
    set: SetId,
    parts: &Parts,
    wanted: &HashSet<Hash>,
    document: &Arc<dyn Bytewise>,
) -> Result<(), UploadError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let (messages, receiver) = mpsc::channel(QUEUE);
    let (last, all_sent) = oneshot::channel::<()>();
    let produce = async {
        let produced = produce(messages, depot, set, parts, wanted, document).await;
        drop(last);
        produced
    };
    let upload = async {
        tokio::select! {
            answered = client.upload(ReceiverStream::new(receiver)) => answered,
            // The sender is dropped, which is all that it is there for.
            silent = all_sent.then(|_| timely(std::future::pending())) => silent,
        }
    };
    let (produced, answered) = tokio::join!(produce, upload);
    // A document that changed is the reason for whatever the coordinator says of its chunks.
    produced?;
    match answered {
        Ok(_) => Ok(()),
        Err(_) if !document.is_unchanged() => Err(UploadError::Changed),
        Err(status) => Err(status.into()),
    }
}

async fn produce(
    messages: mpsc::Sender<pb::UploadRequest>,
    depot: &Depot,
    set: SetId,
    parts: &Parts,
    wanted: &HashSet<Hash>,
    document: &Arc<dyn Bytewise>,
) -> Result<(), UploadError> {
    let mut message = Message { messages, set, blobs: Vec::new(), bytes: 0 };
    let mut sent = HashSet::new();
    for group in group(parts.chunks.iter().filter(|chunk| wanted.contains(&chunk.hash) && sent.insert(chunk.hash)).copied()) {
        let document = Arc::clone(document);
        let read =
            task::blocking("read chunks", move || group.into_iter().map(|chunk| read(&*document, chunk)).collect::<Option<Vec<_>>>());
        for blob in read.await.ok().flatten().ok_or(UploadError::Changed)? {
            message.add(blob).await?;
        }
    }
    for hash in parts.pages.iter().filter(|hash| wanted.contains(hash)) {
        let bytes = depot.read(AGENT_SCOPE, *hash).await?;
        message.add(pb::Blob { page: true, hash: Bytes::copy_from_slice(hash.as_bytes()), data: bytes }).await?;
    }
    message.flush().await?;
    if document.is_unchanged() { Ok(()) } else { Err(UploadError::Changed) }
}

/// Groups chunks to about a message each, so that one trip to a thread reads many.
fn group(chunks: impl Iterator<Item = ChunkEntry>) -> Vec<Vec<ChunkEntry>> {
    let (mut groups, mut bytes) = (vec![Vec::new()], 0);
    for chunk in chunks {
        if bytes + chunk.length as usize > MESSAGE_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += chunk.length as usize;
        if let Some(group) = groups.last_mut() {
            group.push(chunk);
        }
    }
    groups
}

fn read(document: &dyn Bytewise, chunk: ChunkEntry) -> Option<pb::Blob> {
    let mut buffer = vec![0; chunk.length as usize];
    let count = document.read_at(chunk.offset, &mut buffer).ok()?;
    // Whether these are the chunk's bytes is checked by the receiver, which must do it anyhow.
    (count == buffer.len()).then(|| pb::Blob { page: false, hash: Bytes::copy_from_slice(chunk.hash.as_bytes()), data: buffer.into() })
}

struct Message {
    messages: mpsc::Sender<pb::UploadRequest>,
    set: SetId,
    blobs: Vec<pb::Blob>,
    bytes: usize,
}

impl Message {
    async fn add(&mut self, blob: pb::Blob) -> Result<(), UploadError> {
        if self.bytes + blob.data.len() > MESSAGE_BYTES {
            self.flush().await?;
        }
        self.bytes += blob.data.len();
        self.blobs.push(blob);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), UploadError> {
        if self.blobs.is_empty() {
            return Ok(());
        }
        let request = pb::UploadRequest { set_id: self.set.to_string(), blobs: std::mem::take(&mut self.blobs) };
        metrics().content(Direction::Up, std::mem::take(&mut self.bytes) as u64);
        // Closed when the call ended early; its status says why.
        Ok(timely(self.messages.send(request).map(|_closed| Ok(()))).await?)
    }
}

//! Fetching the content of members.

use std::collections::HashSet;
use std::time::Duration;

use crate::net::Channel;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::{AGENT_SCOPE, RECEIVE_BYTES_MAX, TransferError, is_single, page, timely};
use crate::content::page::pages_max;
use crate::content::{Blob, BlobKind, ChunkEntry, Step, Walk};
use crate::depot::Depot;
use crate::model::{ContentRef, Hash, NodeId, SetId};
use crate::telemetry::{Direction, metrics};
use crate::wire::pb;
use crate::wire::pb::content_service_client::ContentServiceClient;

/// The largest content that is fetched together with others, in bytes: one chunk.
pub(crate) const SMALL_BYTES_MAX: u64 = 256 * 1024;
/// Contents asked for in one call.
const ITEMS_MAX: usize = 1_000;
/// Ranges asked for in one call.
const RANGES_MAX: usize = 4_096;
/// How often what is left of a content is asked for again in a row without a single chunk coming, and how long to wait before. After that all
/// of it is fetched again, whenever its turn comes.
const TRIES: usize = 3;
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// The answer to one of many small contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Its chunk, verified.
    Chunk(Blob),
    /// The coordinator has no such content of this member, or not for this agent.
    Absent,
    /// It could not be had, for this reason, which does not concern others.
    Failed(String),
}

/// Whether a content can be fetched together with others.
#[must_use]
pub const fn is_small(content: &ContentRef) -> bool {
    is_single(content) && content.size_bytes <= SMALL_BYTES_MAX
}

/// Fetches small contents of a set's members, in their order.
///
/// # Errors
/// When the coordinator refuses, is away, or sends something else.
pub async fn fetch_small(channel: Channel, set: SetId, items: &[(NodeId, ContentRef)]) -> Result<Vec<Fetched>, TransferError> {
    let mut client = ContentServiceClient::new(channel).max_decoding_message_size(RECEIVE_BYTES_MAX);
    let mut fetched = Vec::with_capacity(items.len());
    for items in items.chunks(ITEMS_MAX) {
        let request = pb::ReadSmallContentsRequest {
            set_id: set.to_string(),
            items: items
                .iter()
                .map(|(node, content)| pb::MemberContent { node_id: node.to_string(), content: Some((*content).into()) })
                .collect(),
        };
        let mut wanted = items.iter();
        let mut answers = timely(client.read_small_contents(request)).await?.into_inner();
        while let Some(message) = timely(answers.message()).await? {
            not_empty(message.contents.len())?;
            for answer in message.contents {
                let (_, content) = wanted.next().ok_or_else(|| TransferError::Wrong("more contents than asked for".to_owned()))?;
                fetched.push(verify(answer, content));
            }
        }
        if wanted.next().is_some() {
            return Err(TransferError::Wrong("fewer contents than asked for".to_owned()));
        }
    }
    Ok(fetched)
}

/// Refuses messages that bring nothing, of which there could be any number.
fn not_empty(length: usize) -> Result<(), TransferError> {
    if length == 0 { Err(TransferError::Wrong("a message without anything in it".to_owned())) } else { Ok(()) }
}

fn verify(answer: pb::SmallContent, content: &ContentRef) -> Fetched {
    use pb::small_content::Kind;
    match answer.kind {
        Some(Kind::Data(bytes)) => Blob::verified(BlobKind::Chunk, content.root, bytes).map_or_else(
            || Fetched::Failed(TransferError::Wrong(format!("the bytes of {} have another hash", content.root)).to_string()),
            Fetched::Chunk,
        ),
        Some(Kind::Failure(why)) => Fetched::Failed(why),
        Some(Kind::Absent(_)) | None => Fetched::Absent,
    }
}

/// A part of a content that is being fetched, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Its bytes, verified.
    Fetched(Blob),
    /// It is among the chunks that the receiver said it has.
    Held(ChunkEntry),
}

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The set on whose behalf.
    pub set: SetId,
    /// The member.
    pub node: NodeId,
    /// Its content.
    pub content: &'a ContentRef,
    /// A content of the same member whose pages are here.
    pub base: Option<&'a ContentRef>,
}

/// Fetches a content of any size and sends its parts, in order, to `receiver`. Pages of its manifest are kept in the depot; chunks that
/// are `held` are not fetched.
///
/// # Errors
/// When the coordinator refuses, is away or sends something else, or the receiver is gone.
pub async fn fetch_large(
    channel: Channel,
    depot: &Depot,
    wanted: Wanted<'_>,
    held: &HashSet<Hash>,
    receiver: &mpsc::Sender<Part>,
) -> Result<(), TransferError> {
    let mut client = ContentServiceClient::new(channel).max_decoding_message_size(RECEIVE_BYTES_MAX);
    fetch_pages(&mut client, depot, wanted).await?;
    let mut absent = Vec::new();
    for entry in entries(depot, wanted.content).await? {
        if !held.contains(&entry.hash) {
            absent.push(entry);
            if absent.len() < RANGES_MAX {
                continue;
            }
        }
        fetch_chunks(&mut client, wanted, &absent, receiver).await?;
        absent.clear();
        if held.contains(&entry.hash) {
            give(receiver, Part::Held(entry)).await?;
        }
    }
    fetch_chunks(&mut client, wanted, &absent, receiver).await
}

async fn give(receiver: &mpsc::Sender<Part>, part: Part) -> Result<(), TransferError> {
    receiver.send(part).await.map_err(|_| TransferError::Receiver)
}

/// Fetches the pages of a manifest that are not here.
async fn fetch_pages(
    client: &mut ContentServiceClient<Channel>,
    depot: &Depot,
    Wanted { set, node, content, base }: Wanted<'_>,
) -> Result<(), TransferError> {
    if is_single(content) || page(depot, &content.root).await?.is_some() {
        return Ok(());
    }
    let request = pb::ReadManifestRequest {
        set_id: set.to_string(),
        node_id: node.to_string(),
        content: Some((*content).into()),
        base: base.filter(|base| !is_single(base)).map(|base| (*base).into()),
    };
    let mut answers = timely(client.read_manifest(request)).await?.into_inner();
    // Stored from the bottom up, so that a page that is here has all its pages here, too.
    let mut pages = Vec::new();
    let pages_max = pages_max(content.size_bytes);
    while let Some(message) = timely(answers.message()).await? {
        not_empty(message.pages.len())?;
        if (pages.len() + message.pages.len()) as u64 > pages_max {
            return Err(TransferError::Wrong(format!("more pages than a content of {} bytes can have", content.size_bytes)));
        }
        for blob in message.pages {
            let hash = Hash::from_slice(&blob.hash).ok_or_else(|| TransferError::Wrong("a hash of the wrong length".to_owned()))?;
            let page = Blob::verified(BlobKind::Page, hash, blob.data);
            pages.push(page.ok_or_else(|| TransferError::Wrong(format!("page {hash} has another hash")))?);
        }
    }
    depot.keep(AGENT_SCOPE, pages).await?;
    Ok(())
}

/// Lists the chunks of a content whose pages are here.
///
/// # Errors
/// When a page is missing or wrong.
pub async fn entries(depot: &Depot, content: &ContentRef) -> Result<Vec<ChunkEntry>, TransferError> {
    let wrong = |error: crate::content::InvalidManifest| TransferError::Wrong(error.to_string());
    let mut walk = Walk::new(content).map_err(wrong)?;
    let mut entries = Vec::new();
    while let Some(step) = walk.step() {
        match step {
            Step::Page { entry, .. } => {
                let bytes = depot.read(AGENT_SCOPE, entry.hash).await?;
                walk.supply(&bytes).map_err(wrong)?;
            }
            Step::Chunk(chunk) => entries.push(chunk),
        }
    }
    Ok(entries)
}

/// Fetches chunks; when the connection breaks, those that have not come yet are asked for anew.
async fn fetch_chunks(
    client: &mut ContentServiceClient<Channel>,
    wanted: Wanted<'_>,
    chunks: &[ChunkEntry],
    receiver: &mpsc::Sender<Part>,
) -> Result<(), TransferError> {
    let (mut come, mut in_vain) = (0, 0);
    while come < chunks.len() {
        let before = come;
        let Err(error) = fetch_left(client, wanted, &chunks[before..], &mut come, receiver).await else { return Ok(()) };
        in_vain = if come > before { 0 } else { in_vain + 1 };
        if !error.is_passing() || in_vain >= TRIES {
            return Err(error);
        }
        tracing::debug!(%error, come, all = chunks.len(), "the rest of a content is asked for again");
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Ok(())
}

/// Fetches chunks in one call, and counts those that have come.
async fn fetch_left(
    client: &mut ContentServiceClient<Channel>,
    Wanted { set, node, content, .. }: Wanted<'_>,
    chunks: &[ChunkEntry],
    come: &mut usize,
    receiver: &mpsc::Sender<Part>,
) -> Result<(), TransferError> {
    let request = pb::ReadContentRequest {
        set_id: set.to_string(),
        node_id: node.to_string(),
        content: Some((*content).into()),
        ranges: chunks.iter().map(|chunk| pb::ByteRange { offset: chunk.offset, length: u64::from(chunk.length) }).collect(),
    };
    let mut answers = timely(client.read_content(request)).await?.into_inner();
    let (mut buffer, mut wanted) = (BytesMut::new(), chunks.iter().peekable());
    while let Some(message) = timely(answers.message()).await? {
        not_empty(message.data.len())?;
        metrics().content(Direction::Down, message.data.len() as u64);
        buffer.extend_from_slice(&message.data);
        while let Some(chunk) = wanted.next_if(|chunk| buffer.len() >= chunk.length as usize) {
            let bytes: Bytes = buffer.split_to(chunk.length as usize).freeze();
            let blob = Blob::verified(BlobKind::Chunk, chunk.hash, bytes);
            let blob = blob.ok_or_else(|| TransferError::Wrong(format!("the bytes of chunk {} have another hash", chunk.hash)))?;
            give(receiver, Part::Fetched(blob)).await?;
            *come += 1;
        }
        if wanted.peek().is_none() && !buffer.is_empty() {
            return Err(TransferError::Wrong("more bytes than asked for".to_owned()));
        }
    }
    if wanted.peek().is_none() { Ok(()) } else { Err(TransferError::Wrong("fewer bytes than asked for".to_owned())) }
}

//! Documents that people and programs write as plain bytes: cut here, on a thread of its own, while they arrive.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{FLUSH_BYTES, StagedContents, failed, lease, not_committed, require_room, scope};
use crate::content::{Blob, ChunkerParameters, Cutter, ManifestBuilder};
use crate::coordinator::context::Context;
use crate::coordinator::networks;
use crate::depot::{Depot, Lease};
use crate::model::{ContentRef, Fault, NetworkId, NodeId};
use crate::task;

/// The most bytes in one message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A document that is being cut.
struct Cutting {
    cutter: Cutter,
    manifest: ManifestBuilder,
    /// Chunks and pages that were not staged yet.
    blobs: Vec<Blob>,
    bytes: usize,
}

impl Cutting {
    fn new() -> Self {
        let parameters = ChunkerParameters::DEFAULT;
        Self { cutter: Cutter::new(parameters), manifest: ManifestBuilder::new(parameters), blobs: Vec::new(), bytes: 0 }
    }

    fn take(&mut self, ended: bool) {
        while let Some(chunk) = self.cutter.take(ended) {
            let length = chunk.blob.bytes().len();
            // Chunks are at most 1 MiB long.
            self.manifest.push(chunk.blob.hash(), u32::try_from(length).unwrap_or(u32::MAX), &mut self.blobs);
            self.bytes += length;
            self.blobs.push(chunk.blob);
        }
    }

    fn feed(mut self, bytes: &[u8]) -> Self {
        self.cutter.feed(bytes);
        self.take(false);
        self
    }

    fn finish(mut self) -> (ContentRef, Vec<Blob>) {
        self.take(true);
        let content = self.manifest.finish(&mut self.blobs);
        (content, self.blobs)
    }
}

/// Takes a document's bytes and makes them durable, a few MiB at a time. The last of them wait, staged, for the transaction that
/// refers to the document.
///
/// # Errors
/// When the stream fails, the network has no room, or the depot fails. What was stored is collected later.
pub async fn store_document(
    context: &Context,
    network: NetworkId,
    bytes: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static,
) -> Result<(ContentRef, StagedContents), Fault> {
    let room = context.read(|read| networks::get(read, network))?;
    // Nobody else refers to it before it is whole.
    let lease = lease(context, context.mint::<NodeId>().as_bytes())?;
    let mut bytes = std::pin::pin!(bytes);
    let (mut cutting, mut total) = (Cutting::new(), 0_u64);
    while let Some(part) = bytes.next().await {
        let part = part?;
        if part.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::invalid("data", format!("a message has at most {MESSAGE_BYTES_MAX} bytes")));
        }
        total += part.len() as u64;
        require_room(&room, total)?;
        cutting = task::blocking("cut a document", move || cutting.feed(&part)).await.map_err(Fault::internal)?;
        if cutting.bytes >= FLUSH_BYTES {
            cutting.bytes = 0;
            keep(context, network, std::mem::take(&mut cutting.blobs), lease.clone()).await?;
        }
    }
    let (content, blobs) = task::blocking("cut a document", move || cutting.finish()).await.map_err(Fault::internal)?;
    let staged = match blobs.is_empty() {
        true => None,
        false => Some(context.depot.stage(scope(network), &blobs).await.map_err(failed)?),
    };
    Ok((content, StagedContents { staged, contents: HashMap::from([(content.root, content)]) }))
}

/// Makes blobs durable and keeps them for as long as a lease lasts.
pub(super) async fn keep(context: &Context, network: NetworkId, blobs: Vec<Blob>, lease: Lease) -> Result<(), Fault> {
    let staged = context.depot.stage(scope(network), &blobs).await.map_err(failed)?;
    context.transact(move |tx| Depot::commit(tx, &staged, Some(&lease)).map_err(not_committed)).await
}

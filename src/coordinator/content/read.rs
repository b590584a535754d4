//! Content that callers fetch: manifests, and ranges of bytes.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, try_unfold, unfold};

use super::{contradicts, failed, granted, scope};
use crate::content::{Blob, BlobKind, Difference, DifferenceStep, Tree};
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::failure::Failure;
use crate::coordinator::library::{Lineage, Version};
use crate::depot::{ContentReader, Depot, DepotError};
use crate::model::{ContentRef, Fault, FaultKind, NetworkId, NodeId, SetId};
use crate::store::{Read, ReadExt as _};

/// Versions of one document that are looked at.
const VERSIONS_MAX: usize = 10_000;
/// About how many bytes of small contents go into one message, and how many of them are read at one time.
const MESSAGE_SMALL_BYTES: usize = 768 * 1024;
const SMALL_AT_ONCE: usize = 8;
/// About how many bytes of pages go into one message.
const MESSAGE_PAGES_BYTES: usize = 512 * 1024;

/// Checks that a range ends within a content.
///
/// # Errors
/// [`FaultKind::OutOfRange`].
pub fn range_within(content: &ContentRef, start: u64, end: Option<u64>) -> Result<Range<u64>, Fault> {
    match end {
        Some(end) if start <= end && end <= content.size_bytes => Ok(start..end),
        _ => Err(Fault::new(FaultKind::OutOfRange, format!("the content ends at {} bytes", content.size_bytes))),
    }
}

/// Returns the network of a set that is granted to the agent, if each content is, or was, that of the member.
///
/// # Errors
/// [`FaultKind::NotFound`] when it is not in the set, or never held one of them.
pub fn require_held(
    context: &Context,
    caller: CallingAgent,
    set: SetId,
    node: NodeId,
    contents: &[ContentRef],
) -> Result<NetworkId, Fault> {
    context.read(|read| {
        let network = granted(read, caller, set)?.set.network;
        if is_held(read, network, set, node, contents)? {
            return Ok(network);
        }
        Err(Fault::not_found("the member never held that content, or is not in the set").into())
    })
}

/// Whether a node is a member of the set, and each content is, or was, its own.
fn is_held(read: &impl Read, network: NetworkId, set: SetId, node: NodeId, contents: &[ContentRef]) -> Result<bool, Failure> {
    let Some(lineage) = Lineage::read(read, network, node)? else { return Ok(false) };
    if lineage.membership(read)?.is_none_or(|membership| membership.set != set) {
        return Ok(false);
    }
    if contents.iter().all(|content| lineage.node.content == Some(*content)) {
        return Ok(true);
    }
    let versions = read.scan_back::<Version>(&(network, node), None, VERSIONS_MAX)?;
    Ok(contents.iter().all(|content| versions.iter().any(|(_, version)| version.content == *content)))
}

/// Returns the bytes of ranges of a content, in their order. The caller has checked who may read it.
///
/// # Errors
/// When the content's reference is impossible.
pub fn read_ranges(
    context: &Context,
    network: NetworkId,
    content: ContentRef,
    ranges: Vec<Range<u64>>,
) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
    let depot = context.depot.clone();
    let open = move |range| depot.content(scope(network), &content, range).map_err(failed);
    let state = (ranges.into_iter(), None::<ContentReader>);
    let bytes = try_unfold(state, move |(mut ranges, mut reader)| {
        let open = open.clone();
        async move {
            loop {
                if let Some(open) = &mut reader {
                    match open.next().await.map_err(failed)? {
                        Some(bytes) if bytes.is_empty() => {}
                        Some(bytes) => return Ok(Some((bytes, (ranges, reader)))),
                        None => reader = None,
                    }
                } else if let Some(range) = ranges.next() {
                    reader = Some(open(range)?);
                } else {
                    return Ok(None);
                }
            }
        }
    });
    Ok(bytes.boxed())
}

/// Returns many small contents of members in one go, in the order asked for; `None` for one that the agent may not read. One that cannot be
/// read is no reason to keep the others back.
///
/// # Errors
/// When the set is not granted to the agent.
pub fn read_small(
    context: &Context,
    caller: CallingAgent,
    set: SetId,
    items: Vec<(NodeId, ContentRef)>,
) -> Result<BoxStream<'static, Vec<Result<Option<Bytes>, Fault>>>, Fault> {
    let (network, readable) = context.read(|read| {
        let network = granted(read, caller, set)?.set.network;
        let mut readable = Vec::with_capacity(items.len());
        for (node, content) in items {
            readable.push(is_held(read, network, set, node, &[content])?.then_some(content));
        }
        Ok((network, readable))
    })?;
    let depot = context.depot.clone();
    let contents = futures::stream::iter(readable).map(move |content| {
        let depot = depot.clone();
        async move {
            match content {
                None => Ok(None),
                Some(content) if content.size_bytes == 0 => Ok(Some(Bytes::new())),
                Some(content) => depot.read(scope(network), content.root).await.map(Some).map_err(failed),
            }
        }
    });
    let groups = unfold(contents.buffered(SMALL_AT_ONCE).boxed(), |mut contents| async move {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < MESSAGE_SMALL_BYTES {
            let Some(content) = contents.next().await else { break };
            bytes += content.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len);
            group.push(content);
        }
        if group.is_empty() { None } else { Some((group, contents)) }
    });
    Ok(groups.boxed())
}

/// A manifest that is being read.
struct Manifest {
    depot: Depot,
    network: NetworkId,
    difference: Difference,
    /// The page that was supplied last, until it is reported.
    supplied: Option<Bytes>,
}

impl Manifest {
    /// Returns the next pages that the base does not have; empty at the end.
    async fn next(&mut self) -> Result<Vec<Blob>, Fault> {
        let (mut pages, mut bytes) = (Vec::new(), 0);
        while bytes < MESSAGE_PAGES_BYTES {
            match self.difference.step().map_err(|error| contradicts(&error))? {
                Some(DifferenceStep::Load(tree, hash)) => match self.depot.read(scope(self.network), hash).await {
                    Ok(page) => {
                        self.difference.supply(&page).map_err(Fault::internal)?;
                        self.supplied = Some(page);
                    }
                    // More than need be is sent then.
                    Err(DepotError::Missing(_) | DepotError::Damaged(_)) if tree == Tree::Base => self.difference.skip(),
                    Err(error) => return Err(failed(error)),
                },
                Some(DifferenceStep::Page(_)) => {
                    if let Some(page) = self.supplied.take() {
                        bytes += page.len();
                        pages.push(Blob::new(BlobKind::Page, page));
                    }
                }
                Some(DifferenceStep::Chunk(_)) => {}
                None => break,
            }
        }
        Ok(pages)
    }
}

/// Returns the pages of a member's manifest, top first, without those of another content of the member; all, if that is not known here.
///
/// # Errors
/// As [`require_held`].
pub fn read_manifest(
    context: &Context,
    caller: CallingAgent,
    set: SetId,
    node: NodeId,
    content: ContentRef,
    base: Option<ContentRef>,
) -> Result<BoxStream<'static, Result<Vec<Blob>, Fault>>, Fault> {
    let network = require_held(context, caller, set, node, &[content])?;
    // What is at the source need not have been in the cloud ever.
    let base = match base {
        Some(base) => context.read(|read| is_held(read, network, set, node, &[base]))?.then_some(base),
        None => None,
    };
    let difference = Difference::new(base.as_ref(), &content).map_err(|error| contradicts(&error))?;
    let manifest = Manifest { depot: context.depot.clone(), network, difference, supplied: None };
    let pages = try_unfold(manifest, |mut manifest| async move {
        let pages = manifest.next().await?;
        Ok(if pages.is_empty() { None } else { Some((pages, manifest)) })
    });
    Ok(pages.boxed())
}

//! Fetches what orders need before anything is touched at the source.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::net::Channel;
use tokio::sync::mpsc;

use super::batch::{at, content_of, ending, new_folder};
use crate::agent::context::Context;
use crate::agent::planner::Order;
use crate::agent::planner::applied::Ending;
use crate::agent::repository::{Document, Repository, RepositoryError, Staged};
use crate::content::{Blob, BlobKind, ChunkerParameters};
use crate::engine::reconcile::Apply;
use crate::model::{ContentRef, Hash, OpId, Reason, SetId};
use crate::task::{self, Lost};
use crate::transfer::{Fetched, Part, TransferError, Wanted, entries, fetch_large, fetch_small, is_small};

/// Parts that wait to be written.
const QUEUE: usize = 16;

/// An order with its content.
pub(super) struct Ready {
    pub(super) order: Order,
    /// The content, if it is small.
    pub(super) blobs: Vec<Blob>,
    /// The content, if it is large: written already, and not finished.
    pub(super) staged: Option<Staged>,
    pub(super) failed: Option<Ending>,
}

/// Fetches the contents of orders.
pub(super) async fn fetch(context: &Context, bulk: Channel, orders: Vec<Order>) -> Vec<Ready> {
    let mut ready = Vec::with_capacity(orders.len());
    for order in orders {
        // Else the content of what cannot have its name would be fetched at each try. A small one is fetched once without a look: most are free.
        let looks = order.retried || content_of(&order).is_some_and(|content| !is_small(&content));
        let failed = if looks { name_is_free(context, &order).await.err() } else { None };
        ready.push(Ready { blobs: Vec::new(), staged: None, failed, order });
    }
    let mut small = fetch_all_small(bulk.clone(), ready.iter().filter(|ready| ready.failed.is_none()).map(|ready| &ready.order)).await;
    for fetched in ready.iter_mut().filter(|ready| ready.failed.is_none()) {
        match content_of(&fetched.order) {
            None => {}
            Some(content) if is_small(&content) => match small.remove(&fetched.order.op) {
                Some(Ok(blob)) => fetched.blobs.push(blob),
                Some(Err(failed)) => fetched.failed = Some(failed),
                None => fetched.failed = Some(Ending::Changed),
            },
            Some(content) => match fetch_one_large(context, bulk.clone(), &fetched.order, &content).await {
                Ok(staged) => fetched.staged = Some(staged),
                Err(failed) => fetched.failed = Some(failed),
            },
        }
    }
    ready
}

type Small = BTreeMap<OpId, Result<Blob, Ending>>;

async fn fetch_all_small<'a>(bulk: Channel, orders: impl Iterator<Item = &'a Order>) -> Small {
    let mut by_set: BTreeMap<SetId, Vec<(&Order, ContentRef)>> = BTreeMap::new();
    for order in orders {
        if let Some(content) = content_of(order).filter(is_small) {
            by_set.entry(order.set_in_cloud).or_default().push((order, content));
        }
    }
    let mut small = Small::new();
    for (set, wanted) in by_set {
        let items: Vec<_> = wanted.iter().map(|(order, content)| (order.node, *content)).collect();
        match fetch_small(bulk.clone(), set, &items).await {
            Ok(fetched) => small.extend(wanted.iter().zip(fetched).map(|((order, _), fetched)| match fetched {
                Fetched::Chunk(blob) => (order.op, Ok(blob)),
                // It moved on in the cloud; the journal brings what it is now.
                Fetched::Absent => (order.op, Err(Ending::Changed)),
                Fetched::Failed(why) => (order.op, Err(Ending::Failed(Reason::Internal, why))),
            })),
            Err(error) => {
                let failed = failure(&error);
                small.extend(wanted.iter().map(|(order, _)| (order.op, Err(failed.clone()))));
            }
        }
    }
    small
}

fn failure(error: &TransferError) -> Ending {
    tracing::debug!(%error, "content could not be fetched");
    match error {
        TransferError::Fault(fault) => Ending::Failed(fault.reason.unwrap_or(Reason::Unavailable), fault.message.clone()),
        TransferError::Wrong(_) | TransferError::Depot(_) | TransferError::Receiver => Ending::Failed(Reason::Internal, error.to_string()),
    }
}

/// Fetches a large content straight into its staging place, taking from the old document what it already has.
async fn fetch_one_large(context: &Context, bulk: Channel, order: &Order, content: &ContentRef) -> Result<Staged, Ending> {
    let base = order.planned_on.as_ref().and_then(|state| state.content).filter(|base| base.height > 0);
    let held = match &base {
        Some(base) => entries(&context.depot, base).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let held: HashMap<Hash, u64> = held.into_iter().map(|entry| (entry.hash, entry.offset)).collect();
    let hashes: HashSet<Hash> = held.keys().copied().collect();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let write = write(context, order, held, receiver);
    let fetch = async move {
        let wanted = Wanted { set: order.set_in_cloud, node: order.node, content, base: base.as_ref() };
        fetch_large(bulk, &context.depot, wanted, &hashes, &sender).await
    };
    let (written, fetched) = tokio::join!(write, fetch);
    match (written, fetched) {
        (Ok(Ok(staged)), Ok(())) => Ok(staged),
        (Ok(Err(error)), _) => Err(ending(order, &error)),
        (_, Err(error)) => Err(failure(&error)),
        (Err(lost), _) => Err(Ending::Failed(Reason::Internal, lost.to_string())),
    }
}

/// Looks whether a new document can have its name.
async fn name_is_free(context: &Context, order: &Order) -> Result<(), Ending> {
    let Apply::Create(state) = &order.apply else { return Ok(()) };
    let (repository, wanted, name) = (context.repository.clone(), order.clone(), state.place.name.clone());
    let seen = task::blocking("look for a name", move || repository.look(&new_folder(&*repository, &wanted)?, &name)).await;
    match seen {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(_))) => Err(ending(order, &RepositoryError::Exists)),
        Ok(Err(error)) => Err(ending(order, &error)),
        Err(lost) => Err(Ending::Failed(Reason::Internal, lost.to_string())),
    }
}

/// A content that is being written into its staging place.
struct Writing {
    staged: Staged,
    /// Where chunks are taken from.
    old: Option<Box<dyn Document>>,
    held: HashMap<Hash, u64>,
}

/// Writes the parts as they come; those that have come meanwhile share a trip to a thread.
async fn write(
    context: &Context,
    order: &Order,
    held: HashMap<Hash, u64>,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Result<Staged, RepositoryError>, Lost> {
    let (repository, work) = (Arc::clone(&context.repository), order.clone());
    let mut writing = task::blocking("stage a document", move || Writing::begin(&*repository, &work, held)).await?;
    let mut taken = Vec::with_capacity(QUEUE);
    while parts.recv_many(&mut taken, QUEUE).await > 0 {
        let (repository, parts) = (Arc::clone(&context.repository), std::mem::take(&mut taken));
        writing = match writing {
            Ok(writing) => task::blocking("stage a document", move || writing.append(&*repository, parts)).await?,
            Err(error) => return Ok(Err(error)),
        };
    }
    Ok(writing.map(|writing| writing.staged))
}

impl Writing {
    fn begin(repository: &dyn Repository, order: &Order, held: HashMap<Hash, u64>) -> Result<Self, RepositoryError> {
        let folder = match at(order) {
            Some(at) => at.folder,
            None => new_folder(repository, order)?,
        };
        let old = match (at(order), order.at.as_ref()) {
            (Some(at), Some(source)) if !held.is_empty() => Some(repository.open(&at, &source.stamp)?),
            _ => None,
        };
        Ok(Self { staged: repository.stage_document(&folder, order.op, ChunkerParameters::DEFAULT)?, old, held })
    }

    fn append(mut self, repository: &dyn Repository, parts: Vec<Part>) -> Result<Self, RepositoryError> {
        for part in parts {
            let blob = match part {
                Part::Fetched(blob) => blob,
                Part::Held(entry) => {
                    let offset = self.held.get(&entry.hash).copied().ok_or(RepositoryError::Changed)?;
                    copy(self.old.as_deref(), offset, entry.length, entry.hash)?
                }
            };
            repository.append(&mut self.staged, &blob)?;
        }
        Ok(self)
    }
}

/// Takes a chunk out of the old document, if it still is what it was.
fn copy(old: Option<&dyn Document>, offset: u64, length: u32, hash: Hash) -> Result<Blob, RepositoryError> {
    let mut buffer = vec![0; length as usize];
    let count = old.ok_or(RepositoryError::Changed)?.read_at(offset, &mut buffer)?;
    buffer.truncate(count);
    Blob::verified(BlobKind::Chunk, hash, buffer.into()).ok_or(RepositoryError::Changed)
}

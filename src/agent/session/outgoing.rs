//! Operations on their way out: batches within the coordinator's window, content ahead of the operations that need it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::net::Channel;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::Ended;
use crate::agent::context::Context;
use crate::agent::planner::{committed, outcome};
use crate::agent::repository::{At, Document, RepositoryError};
use crate::agent::state::{InFlight, MemberRow, Pushed, members};
use crate::agent::tracker::Look;
use crate::content::BlobKind;
use crate::model::{ContentRef, NodeId, OpId, Outcome, Push, Reason, Refusal};
use crate::store::{ReadExt as _, StoreError, Transaction};
use crate::task;
use crate::telemetry::traceparent;
use crate::transfer::{Bytewise, UploadError, upload};
use crate::wire::{PushBatch, PushedOperation, Welcome};

/// How long to wait before an upload that failed for a passing cause is tried again.
const UPLOAD_AGAIN: Duration = Duration::from_secs(2);

/// The most bytes of a batch in a conversation after one that broke off with operations on their way: it may have done so because a larger batch
/// takes longer than the coordinator waits for a whole message.
const CAREFUL_BYTES: usize = 128 * 1024;

/// The most that a batch holds, and the most batches without outcomes, whatever more the coordinator would take: all of it is in memory.
const OPERATIONS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
const WINDOW_BATCHES_MAX: usize = 64;

/// What was found out about operations that were taken from the queue.
#[derive(Default)]
struct Prepared {
    ready: Vec<PushedOperation>,
    uploads: Vec<Upload>,
    /// Left in the queue because the batch is full.
    rest: Vec<OpId>,
    /// The source changed before they could leave.
    cancelled: Vec<OpId>,
    /// Known no more: their outcome came by the journal.
    gone: usize,
}

/// A content to send ahead of its operation.
struct Upload {
    op: OpId,
    operation: crate::model::Operation,
    content: ContentRef,
    base: Option<(NodeId, ContentRef)>,
    document: Box<dyn Document>,
}

type Uploaded = (OpId, Result<(), UploadError>);

/// A document of the repository, as an upload reads it.
struct Reading(Box<dyn Document>);

impl Bytewise for Reading {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(offset, buffer).map_err(std::io::Error::other)
    }

    fn is_unchanged(&self) -> bool {
        self.0.verify().is_ok()
    }
}

/// Operations on their way out of one conversation.
pub(super) struct Outgoing {
    context: Context,
    bulk: Channel,
    window: usize,
    limits: Limits,
    queue: VecDeque<OpId>,
    /// Their content was uploaded, or cannot be had any more: they leave as they are.
    bare: HashSet<OpId>,
    /// They may have left in an earlier conversation, so they must be asked about.
    perhaps_sent: HashSet<OpId>,
    preparing: Option<BoxFuture<'static, Result<Prepared, StoreError>>>,
    /// Something is written down that the planner should hear of, before anything else is done.
    writing: Option<BoxFuture<'static, Result<(), StoreError>>>,
    /// A batch that can leave once that is written down.
    ready: Option<PushBatch>,
    waiting_uploads: VecDeque<Upload>,
    uploads: FuturesUnordered<BoxFuture<'static, Uploaded>>,
    /// Batches that wait for their outcomes.
    batches: BTreeMap<u64, Vec<OpId>>,
    next_batch: u64,
    ended: usize,
}

/// What the coordinator takes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    operations: usize,
    bytes: usize,
    inline_bytes: u64,
}

impl Outgoing {
    pub(super) fn new(context: Context, bulk: Channel, welcome: &Welcome) -> Self {
        let limits = Limits {
            operations: (welcome.batch_operations_max as usize).clamp(1, OPERATIONS_MAX),
            bytes: (welcome.batch_bytes_max as usize).min(BATCH_BYTES_MAX),
            inline_bytes: u64::from(welcome.inline_bytes_max).min(context.config.inline_bytes_max),
        };
        Self {
            context,
            bulk,
            window: (welcome.window_batches as usize).clamp(1, WINDOW_BATCHES_MAX),
            limits,
            queue: VecDeque::new(),
            bare: HashSet::new(),
            perhaps_sent: HashSet::new(),
            preparing: None,
            writing: None,
            ready: None,
            waiting_uploads: VecDeque::new(),
            uploads: FuturesUnordered::new(),
            batches: BTreeMap::new(),
            next_batch: 1,
            ended: 0,
        }
    }

    /// Queues everything that is in flight in the store, in the order in which it was planned.
    pub(super) fn load(&mut self) -> Result<(), StoreError> {
        let stored = self.context.store.read(|read| read.scan::<InFlight>(&(), None, usize::MAX))?;
        self.queue = stored.into_iter().map(|(op, _)| op).collect();
        self.perhaps_sent = self.queue.iter().copied().collect();
        if !self.queue.is_empty() {
            self.limits.bytes = self.limits.bytes.min(CAREFUL_BYTES);
        }
        Ok(())
    }

    /// Queues a planned operation, and those that wait behind it.
    pub(super) fn queue(&mut self, op: OpId, more: &mut mpsc::UnboundedReceiver<OpId>) {
        let mut next = Some(op);
        while let Some(op) = next {
            // One that was planned while the conversation opened was found in the store.
            if !self.perhaps_sent.contains(&op) {
                self.queue.push_back(op);
            }
            next = more.try_recv().ok();
        }
    }

    /// Whether a batch waits for the outcomes of these operations, in this order.
    pub(super) fn is_waiting(&self, batch: u64, answered: impl Iterator<Item = OpId>) -> bool {
        self.batches.get(&batch).is_some_and(|sent| sent.iter().copied().eq(answered))
    }

    /// Takes note of an answered batch.
    pub(super) fn answered(&mut self, batch: u64, next: Vec<(OpId, outcome::Next)>) {
        self.batches.remove(&batch);
        for (op, next) in next {
            match next {
                outcome::Next::Ended | outcome::Next::Relist(_) => self.end(op),
                outcome::Next::Send(other) => {
                    self.end(op);
                    self.queue.push_front(other);
                }
                outcome::Next::Upload(op) => {
                    self.bare.remove(&op);
                    self.perhaps_sent.remove(&op);
                    self.queue.push_front(op);
                }
            }
        }
    }

    /// Returns how many operations ended since the last call.
    pub(super) fn take_ended(&mut self) -> usize {
        std::mem::take(&mut self.ended)
    }

    fn end(&mut self, op: OpId) {
        self.bare.remove(&op);
        self.perhaps_sent.remove(&op);
        self.ended += 1;
    }

    /// Returns the next batch once there is one, or `None` when something else ended that others must hear of. Loses nothing when dropped:
    /// between two awaits all that was taken is put where the next call finds it.
    pub(super) async fn next_batch(&mut self) -> Result<Option<PushBatch>, Ended> {
        loop {
            if let Some(writing) = &mut self.writing {
                let written = writing.await;
                self.writing = None;
                written?;
                return Ok(self.ready.take());
            }
            if let Some(batch) = self.ready.take() {
                return Ok(Some(batch));
            }
            self.start_uploads();
            self.start_preparing();
            let preparing = async {
                match &mut self.preparing {
                    Some(preparing) => preparing.await,
                    None => std::future::pending().await,
                }
            };
            let uploaded = async {
                match self.uploads.next().await {
                    Some(uploaded) => uploaded,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                prepared = preparing => {
                    self.preparing = None;
                    self.prepared(prepared?);
                }
                (op, result) = uploaded => self.uploaded(op, result),
            }
        }
    }

    fn start_preparing(&mut self) {
        if self.preparing.is_some() || self.queue.is_empty() || self.batches.len() >= self.window {
            return;
        }
        let count = self.queue.len().min(self.limits.operations);
        let ops: Vec<_> = self.queue.drain(..count).map(|op| (op, self.bare.contains(&op), self.perhaps_sent.contains(&op))).collect();
        let (context, limits) = (self.context.clone(), self.limits);
        let work = task::blocking("prepare operations", move || prepare(&context, limits, ops));
        self.preparing = Some(async move { work.await.unwrap_or(Err(StoreError::Closed)) }.boxed());
    }

    fn prepared(&mut self, prepared: Prepared) {
        for op in prepared.rest.into_iter().rev() {
            self.queue.push_front(op);
        }
        self.ended += prepared.gone;
        self.waiting_uploads.extend(prepared.uploads);
        self.cancel(prepared.cancelled);
        if prepared.ready.is_empty() {
            return;
        }
        let batch = self.next_batch;
        self.next_batch += 1;
        let ops: Vec<_> = prepared.ready.iter().map(|ready| ready.operation.op).collect();
        self.perhaps_sent.extend(&ops);
        self.batches.insert(batch, ops);
        let span = tracing::info_span!("push", batch, operations = prepared.ready.len());
        self.ready = Some(PushBatch { batch, operations: prepared.ready, traceparent: span.in_scope(traceparent) });
    }

    fn cancel(&mut self, ops: Vec<OpId>) {
        if ops.is_empty() {
            return;
        }
        for op in &ops {
            self.end(*op);
        }
        let world = std::sync::Arc::clone(&self.context.world);
        self.write(move |tx| ops.iter().try_for_each(|op| outcome::cancel(tx, *op, &*world)));
    }

    fn write(&mut self, body: impl FnMut(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static) {
        debug_assert!(self.writing.is_none(), "what is written down comes first");
        let store = self.context.store.clone();
        self.writing = Some(async move { committed(store.transact(body).await) }.boxed());
    }

    fn start_uploads(&mut self) {
        while self.uploads.len() < self.context.config.uploads.max(1) {
            let Some(work) = self.waiting_uploads.pop_front() else { return };
            let (channel, depot) = (self.bulk.clone(), self.context.depot.clone());
            self.uploads.push(
                async move {
                    let document: Arc<dyn Bytewise> = Arc::new(Reading(work.document));
                    let result = upload(channel, &depot, work.operation.set, &work.content, work.base, document).await;
                    if matches!(result, Err(UploadError::Away(_))) {
                        tokio::time::sleep(UPLOAD_AGAIN).await;
                    }
                    (work.op, result)
                }
                .boxed(),
            );
        }
    }

    fn uploaded(&mut self, op: OpId, result: Result<(), UploadError>) {
        match result {
            Ok(()) => {
                self.bare.insert(op);
                self.queue.push_back(op);
            }
            Err(UploadError::Away(fault)) => {
                tracing::debug!(%op, %fault, "upload failed, trying again");
                self.queue.push_back(op);
            }
            Err(UploadError::Changed) => self.cancel(vec![op]),
            Err(UploadError::Refused(fault)) => {
                self.end(op);
                let refusal = Refusal::Because(fault.reason.unwrap_or(Reason::Internal), fault.message);
                let world = self.context.world.clone();
                self.write(move |tx| outcome::record(tx, op, &Outcome::Refused(refusal.clone()), &*world).map(|_| ()));
            }
        }
    }

    /// Waits for what must not be torn.
    pub(super) async fn shutdown(&mut self) {
        if let Some(preparing) = self.preparing.take() {
            // Its result only matters to a conversation; what it prepared is in flight in the store.
            let _prepared = preparing.await;
        }
        if let Some(writing) = self.writing.take()
            && let Err(error) = writing.await
        {
            tracing::warn!(%error, "the end of an operation was not written down; it is asked about in the next conversation");
        }
        self.uploads.clear();
    }
}

/// Loads operations and the small contents that ride along. Blocks.
fn prepare(context: &Context, limits: Limits, ops: Vec<(OpId, bool, bool)>) -> Result<Prepared, StoreError> {
    let mut prepared = Prepared::default();
    let mut bytes = 0;
    for (op, bare, perhaps_sent) in ops {
        if bytes >= limits.bytes / 2 && !prepared.ready.is_empty() {
            prepared.rest.push(op);
            continue;
        }
        let loaded = context.store.read(|read| {
            let Some(pushed) = read.get::<InFlight>(&op)? else { return Ok::<_, StoreError>(None) };
            let row = members::load(read, pushed.operation.set, pushed.member)?;
            Ok(Some((pushed, row)))
        })?;
        let Some((pushed, row)) = loaded else {
            prepared.gone += 1;
            continue;
        };
        let (content, ready) = (content_of(&pushed).filter(|_| !bare), prepared.ready.len());
        match content.map(|content| (content, open(context, row.as_ref(), &content))) {
            None => prepared.ready.push(PushedOperation { operation: pushed.operation, inline: None }),
            Some((content, Ok(document))) if content.size_bytes <= limits.inline_bytes => match read_small(&*document, &content) {
                Some(small) => prepared.ready.push(PushedOperation { operation: pushed.operation, inline: Some(small) }),
                None => lost(context, &mut prepared, op, pushed, perhaps_sent),
            },
            Some((content, Ok(document))) => {
                let base = base_of(&pushed, row.as_ref());
                prepared.uploads.push(Upload { op, operation: pushed.operation, content, base, document });
            }
            Some((_, Err(_))) => lost(context, &mut prepared, op, pushed, perhaps_sent),
        }
        bytes += prepared.ready[ready..].iter().map(PushedOperation::message_bytes).sum::<usize>();
    }
    Ok(prepared)
}

/// The bytes are no longer at the source. What never left is planned again; what may have left is asked about.
fn lost(context: &Context, prepared: &mut Prepared, op: OpId, pushed: Pushed, perhaps_sent: bool) {
    context.looks.look(pushed.operation.set, Look::Member(pushed.member));
    if perhaps_sent {
        prepared.ready.push(PushedOperation { operation: pushed.operation, inline: None });
    } else {
        prepared.cancelled.push(op);
    }
}

/// The content that the coordinator must have before it can do the operation.
const fn content_of(pushed: &Pushed) -> Option<ContentRef> {
    match &pushed.operation.push {
        Push::Create(state) => state.content,
        Push::Update { content: Some((content, _)), .. } => Some(*content),
        Push::Update { .. } | Push::Delete { .. } | Push::Release { .. } | Push::Pair { .. } => None,
    }
}

fn base_of(pushed: &Pushed, row: Option<&MemberRow>) -> Option<(NodeId, ContentRef)> {
    let target = row.and_then(|row| row.member.target_node())?;
    Some((pushed.operation.node, target.state.content?))
}

fn open(context: &Context, row: Option<&MemberRow>, content: &ContentRef) -> Result<Box<dyn Document>, RepositoryError> {
    let (Some(source), Some(held)) = (row.and_then(|row| row.source.as_ref()), row.and_then(|row| row.member.source_node())) else {
        return Err(RepositoryError::Gone);
    };
    if held.state.content.as_ref() != Some(content) {
        return Err(RepositoryError::Changed);
    }
    let name = source.aside.clone().unwrap_or_else(|| held.state.place.name.clone());
    context.repository.open(&At { folder: source.folder.clone(), name, key: source.key.clone() }, &source.stamp)
}

/// Reads a small content, if it is still what was seen.
fn read_small(document: &dyn Document, content: &ContentRef) -> Option<Bytes> {
    let mut buffer = vec![0; usize::try_from(content.size_bytes).ok()?];
    let count = document.read_at(0, &mut buffer).ok()?;
    let whole = count == buffer.len() && content.height == 0 && BlobKind::Chunk.hash(&buffer) == content.root;
    whole.then(|| buffer.into())
}

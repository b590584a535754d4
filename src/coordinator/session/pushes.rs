//! Push batches on their way to the store: in order, several at a time.
//!
//! For each batch the contents that ride along are made durable with one flush, then all its operations are applied in one transaction,
//! and the answer is given after the commit. While one batch is committed the contents of the next are staged already.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use tracing::Instrument as _;

use crate::coordinator::agents;
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::content::{self, StagedContents};
use crate::coordinator::context::Context;
use crate::coordinator::operations::{Caller, apply_operation};
use crate::model::{Fault, FaultKind, Outcome};
use crate::telemetry::{adopt_traceparent, metrics};
use crate::wire::{INLINE_BYTES_MAX, PushBatch, PushOutcomes};

/// The most batches that may wait for their outcomes: enough to cover a round trip of 100 ms at 100 batches a second.
pub(super) const WINDOW_BATCHES: u32 = 16;
/// The most operations in one batch: one transaction's share of the writer.
pub(super) const BATCH_OPERATIONS_MAX: u32 = 500;
/// The most bytes of one batch. Half a message's limit, so that what the sender does not count fits too.
pub(super) const BATCH_BYTES_MAX: u32 = 1 << 20;

/// The push batches of one session.
pub(super) struct Pushes {
    context: Context,
    caller: CallingAgent,
    generation: u64,
    last_batch: u64,
    waiting: VecDeque<PushBatch>,
    staging: Option<BoxFuture<'static, Result<(PushBatch, StagedContents), Fault>>>,
    committing: FuturesOrdered<BoxFuture<'static, Result<PushOutcomes, Fault>>>,
}

impl Pushes {
    pub(super) fn new(context: Context, caller: CallingAgent, generation: u64) -> Self {
        Self { context, caller, generation, last_batch: 0, waiting: VecDeque::new(), staging: None, committing: FuturesOrdered::new() }
    }

    /// Whether every batch was answered.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.staging.is_none() && self.committing.is_empty()
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// When it breaks the rules of the conversation; that ends the session.
    pub(super) fn accept(&mut self, batch: PushBatch) -> Result<(), Fault> {
        if batch.batch != self.last_batch + 1 {
            let message = format!("batches are numbered without gaps: {} follows {}", batch.batch, self.last_batch);
            return Err(Fault::invalid("push.batch", message));
        }
        if batch.operations.len() > BATCH_OPERATIONS_MAX as usize {
            return Err(Fault::invalid("push.operations", format!("a batch has at most {BATCH_OPERATIONS_MAX} operations")));
        }
        let oversized = |inline: &bytes::Bytes| inline.len() > INLINE_BYTES_MAX as usize;
        if let Some(index) = batch.operations.iter().position(|operation| operation.inline.as_ref().is_some_and(oversized)) {
            let field = format!("push.operations[{index}].inline_content");
            return Err(Fault::invalid(field, format!("content of more than {INLINE_BYTES_MAX} bytes is uploaded first")));
        }
        let unanswered = self.waiting.len() + usize::from(self.staging.is_some()) + self.committing.len();
        if unanswered >= WINDOW_BATCHES as usize {
            return Err(Fault::new(FaultKind::Exhausted, format!("at most {WINDOW_BATCHES} batches may wait for their outcomes")));
        }
        self.last_batch = batch.batch;
        self.waiting.push_back(batch);
        Ok(())
    }

    /// Returns the next answer, in the order of the batches. Waits for ever while there is none to come. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the store or the depot failed, or the session was fenced; that ends the session.
    pub(super) async fn next(&mut self) -> Result<PushOutcomes, Fault> {
        loop {
            if self.staging.is_none()
                && let Some(batch) = self.waiting.pop_front()
            {
                self.staging = Some(stage(self.context.clone(), self.caller, batch).boxed());
            }
            tokio::select! {
                biased;
                Some(answer) = self.committing.next(), if !self.committing.is_empty() => return answer,
                staged = poll_staging(&mut self.staging) => {
                    self.staging = None;
                    let (batch, contents) = staged?;
                    self.committing.push_back(commit(self.context.clone(), self.caller, self.generation, batch, contents).boxed());
                }
            }
        }
    }
}

async fn poll_staging<T>(staging: &mut Option<BoxFuture<'static, T>>) -> T {
    match staging {
        Some(staging) => staging.await,
        None => std::future::pending().await,
    }
}

/// Makes the contents that ride along durable, with one flush.
async fn stage(context: Context, caller: CallingAgent, mut batch: PushBatch) -> Result<(PushBatch, StagedContents), Fault> {
    let inline = batch.operations.iter_mut().filter_map(|operation| operation.inline.take()).collect();
    let contents = content::stage_inline(&context, caller, inline).await?;
    Ok((batch, contents))
}

/// Applies the operations of a batch in one transaction.
async fn commit(
    context: Context,
    caller: CallingAgent,
    generation: u64,
    batch: PushBatch,
    contents: StagedContents,
) -> Result<PushOutcomes, Fault> {
    let span = tracing::info_span!("apply pushes", batch = batch.batch, operations = batch.operations.len(), done = tracing::field::Empty);
    adopt_traceparent(&span, &batch.traceparent);
    async {
        let number = batch.batch;
        let operations: Arc<[_]> = batch.operations.into_iter().map(|pushed| pushed.operation).collect();
        let now = context.now();
        let gate = content::ContentGate::for_agent(&context, caller, contents)?;
        let outcomes = context
            .transact(move |tx| {
                agents::require_session(tx, caller.agent, generation)?;
                gate.begin(tx)?;
                let caller = Caller { agent: caller.agent, now, gate: &gate };
                operations.iter().map(|operation| Ok((operation.op, apply_operation(tx, &caller, operation)?))).collect()
            })
            .await;
        let outcomes: Vec<_> = outcomes?;
        let done = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))).count();
        metrics().operations(done, outcomes.len() - done);
        tracing::Span::current().record("done", done);
        if done > 0 {
            context.notices.changed(caller.network);
        }
        Ok(PushOutcomes { batch: number, outcomes })
    }
    .instrument(span)
    .await
}

//! What a back end has to do, and a transaction as a back end sees it: a job that runs against rows and is answered once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::{Read, StoreError, TransactError, Transaction};

/// Where rows are kept. See the module's contract.
pub(crate) trait Backend: Send + Sync + std::fmt::Debug {
    /// Takes a transaction, waiting for room where the queue is full. From then on it is run and answered whoever waits.
    fn submit(&self, job: Box<dyn Job>) -> BoxFuture<'_, ()>;

    /// Returns what is committed, unmoved by later commits.
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError>;
}

/// What became of a job's writes. A job that asked for none to be kept hears of the others that it may have seen.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Durable,
    NotProcessed(StoreError),
    Unknown(StoreError),
}

/// A submitted transaction.
pub(crate) trait Job: Send {
    /// Runs the body. Returns whether to keep the writes. May be called again with a fresh transaction; the last run counts.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;

    /// Tells the caller.
    fn answer(self: Box<Self>, outcome: Outcome);
}

type Answer<T, E> = Result<T, TransactError<E>>;

/// The job of one call of [`super::Store::transact`].
pub(crate) struct Call<T, E, F> {
    body: F,
    /// What the last run returned; nothing if it panicked.
    returned: Option<Result<T, E>>,
    reply: oneshot::Sender<Answer<T, E>>,
}

impl<T, E, F> Call<T, E, F>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    pub(crate) fn queued(body: F) -> (Box<dyn Job>, oneshot::Receiver<Answer<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { body, returned: None, reply }), answer)
    }
}

impl<T, E, F> Job for Call<T, E, F>
where
    T: Send,
    E: Send,
    F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        // A panic is the body's, not the store's: what it may have left half-made are its own captures, and it is not run again.
        self.returned = catch_unwind(AssertUnwindSafe(|| (self.body)(transaction))).ok();
        matches!(self.returned, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let answer = match (self.returned, outcome) {
            (Some(Ok(value)), Outcome::Durable) => Ok(value),
            (Some(Err(refusal)), Outcome::Durable) => Err(TransactError::Aborted(refusal)),
            (None, Outcome::Durable) => Err(TransactError::NotProcessed(StoreError::Panicked)),
            (Some(Ok(_)), Outcome::Unknown(error)) => Err(TransactError::Unknown(error)),
            (_, Outcome::NotProcessed(error) | Outcome::Unknown(error)) => Err(TransactError::NotProcessed(error)),
        };
        // The caller may have gone away; the transaction is done all the same.
        drop(self.reply.send(answer));
    }
}

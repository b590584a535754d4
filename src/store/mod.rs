//! The transactional key-value interface that all durable state is written against, and its back ends.
//!
//! A [`Store`] is one ordered space of byte keys. Domain code says what its records are ([`Record`], with a [`Table`] and a [`Key`]),
//! reads them in short snapshots ([`Store::read`]) and changes them in transactions ([`Store::transact`]), through the typed
//! methods of [`ReadExt`] and [`WriteExt`]. Nothing outside this module knows which database is underneath, and nothing in this
//! module knows what the records mean.
//!
//! The contract, which one conformance suite holds for every back end:
//!
//! - Transactions are serializable. A body reads what is committed plus its own writes; it may run more than once, so it has no
//!   other effect. A transaction's writes are bounded by [`TRANSACTION_BYTES_MAX`].
//! - An answer, yes or no, is given only after everything that the body has seen is durable.
//! - Many waiting transactions share one durable commit. One that fails drops only its own writes.
//! - A caller that goes away does not tear its transaction. The outcome is *committed*, *not processed* or *unknown*.

mod backend;
mod embedded;
mod error;
mod key;
mod memory;
mod migrate;
mod record;
mod table;
pub mod testing;
mod transaction;

#[cfg(test)]
mod conformance;

use std::path::Path;
use std::sync::Arc;

use backend::{Backend, Call};

pub use embedded::RedbOptions;
pub use error::{CorruptKey, OpenError, StoreError, TransactError};
pub use key::{Key, KeyPrefix};
pub use record::{ReadExt, Record, WriteExt};
pub use table::Table;
pub use transaction::{Order, Read, Row, Snapshot, TRANSACTION_BYTES_MAX, Transaction, Write};

/// One ordered key space. Cheap to clone; the last clone that is dropped waits for what was submitted and closes the files.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

impl Store {
    /// Makes an empty store in memory, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::on(memory::Memory::default())
    }

    /// Opens the store in the file at `path`, or makes it, and migrates it to this program's format. Blocks on the disk.
    ///
    /// # Errors
    /// When another process has it open, a newer program wrote it, or it cannot be read.
    pub fn open(path: &Path, options: RedbOptions) -> Result<Self, OpenError> {
        embedded::open_file(path, options)
    }

    /// Opens a store over any storage that redb can use, and works in the callers' threads instead of one of its own, so that a
    /// simulation stays deterministic. `storage` is called again after the storage has failed.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_inline<S: redb::StorageBackend>(
        storage: impl Fn() -> std::io::Result<S> + Send + Sync + 'static,
        options: RedbOptions,
    ) -> Result<Self, OpenError> {
        embedded::open_inline(storage, options)
    }

    fn on(backend: impl Backend + 'static) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// Runs `body` in order with every other transaction, and returns when its writes are durable.
    ///
    /// `body` may run more than once, so its only effect may be on the transaction. Dropping the future leaves the transaction to
    /// happen in whole or not at all.
    ///
    /// # Errors
    /// [`TransactError::Aborted`] with what `body` returned, or why the store could not do it.
    pub async fn transact<T, E>(
        &self,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, TransactError<E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = Call::queued(body);
        self.backend.submit(job).await;
        answer.await.unwrap_or(Err(TransactError::Unknown(StoreError::Closed)))
    }

    /// Runs `body` on a consistent snapshot of what is committed. Synchronous, and meant to be short: a snapshot keeps old pages
    /// from being reused.
    ///
    /// # Errors
    /// What `body` returns, or that the store cannot be read.
    pub fn read<T, E: From<StoreError>>(&self, body: impl FnOnce(&Snapshot<'_>) -> Result<T, E>) -> Result<T, E> {
        let rows = self.backend.snapshot()?;
        body(&Snapshot::new(&*rows))
    }
}

//! How the store fails: opening it, one transaction, one row.

use std::path::PathBuf;
use std::sync::Arc;

use super::Table;

/// Why the store could not read or write.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The storage underneath failed.
    #[error("the store's storage failed: {0}")]
    Storage(Arc<dyn std::error::Error + Send + Sync>),
    /// A row is not what this program writes.
    #[error("the store holds a corrupt row in table {table:?}: {detail}")]
    Corrupt {
        /// Where the row is.
        table: Table,
        /// What is wrong with it.
        detail: String,
    },
    /// A row was written by a newer version of this program.
    #[error("the store holds a row of format {found} in table {table:?}, and this version knows formats up to {supported}")]
    NewerRow {
        /// Where the row is.
        table: Table,
        /// The format of the row.
        found: u8,
        /// The newest format that this version reads.
        supported: u8,
    },
    /// The transaction writes more than [`super::TRANSACTION_BYTES_MAX`].
    #[error("a transaction is too large: more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body of the transaction panicked; its writes are dropped.
    #[error("the body of a transaction panicked")]
    Panicked,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// A failure that a test asked for.
    #[error("a failure injected by a test")]
    Injected,
}

impl StoreError {
    pub(crate) fn storage(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// How a transaction ended, when it did not commit.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransactError<E> {
    /// The body refused; nothing was written.
    #[error(transparent)]
    Aborted(E),
    /// Nothing was written; it is safe to try again.
    #[error("not processed: {0}")]
    NotProcessed(#[source] StoreError),
    /// The writes may be durable or lost; look before trying again.
    #[error("it is unknown whether this was processed: {0}")]
    Unknown(#[source] StoreError),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("{} is in use by another process: stop that one, or use another data directory", path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("{} was written by a newer version of skybridge (format {found}, this version knows up to {supported}): use that version", path.display())]
    NewerFormat {
        /// The store's file.
        path: PathBuf,
        /// The format that it has.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
    /// The file cannot be opened, read or written.
    #[error("cannot open the store {}: {source}", path.display())]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a store, or is damaged.
    #[error("{} is not a store of skybridge or is damaged: {detail}", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Bringing it to this version's format failed; it stays in the format that it has.
    #[error("cannot migrate the store {}: {source}", path.display())]
    Migration {
        /// The store's file.
        path: PathBuf,
        /// What went wrong.
        source: StoreError,
    },
}

/// Bytes that are not a key of the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not {expected}")]
pub struct CorruptKey {
    /// What was expected.
    pub expected: &'static str,
}

/// Nobody but the log is told what a store said.
impl From<StoreError> for crate::model::Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

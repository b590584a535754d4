//! The database handle: groups of transactions under one commit, snapshots, and a new handle after the storage failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable, Table, TableDefinition};

use crate::store::backend::{Job, Outcome};
use crate::store::transaction::{Writes, bounds};
use crate::store::{Order, Read, Row, StoreError, Transaction};

/// The one table; records are told apart by the first byte of the key.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("kv-1");

/// Transactions in one commit: the first of a group waits for the last, and this many take a few milliseconds.
const GROUP_TRANSACTIONS_MAX: usize = 512;

/// Bytes written in one commit, after which no further transaction joins.
const GROUP_BYTES_MAX: usize = 8 << 20;

type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

pub(crate) struct Engine {
    opener: Opener,
    quick_repair: bool,
    /// Held by whoever runs a group. Taken before `database`.
    writer: Mutex<()>,
    /// Nothing while it could not be opened again.
    database: RwLock<Option<Database>>,
    /// The storage failed under this handle. redb refuses to use one after that, so the writer opens another.
    suspect: AtomicBool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("suspect", &self.suspect).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn open(opener: Opener, quick_repair: bool) -> Result<Self, DatabaseError> {
        let database = RwLock::new(Some(opener()?));
        Ok(Self { opener, quick_repair, writer: Mutex::default(), database, suspect: AtomicBool::new(false) })
    }

    /// Runs `first` and what `next` brings as one group, makes them durable, and answers them.
    pub(crate) fn process(&self, first: Box<dyn Job>, next: &mut dyn FnMut() -> Option<Box<dyn Job>>) {
        let mut ran = Vec::new();
        let outcome = {
            let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = self.commit(first, next, &mut ran);
            if let Outcome::NotProcessed(error) | Outcome::Unknown(error) = &outcome {
                self.suspect.store(true, Ordering::Relaxed);
                tracing::warn!(%error, transactions = ran.len(), "the store failed and is opened again");
                self.reopen().unwrap_or_else(|error| tracing::error!(%error, "the store cannot be opened again"));
            }
            outcome
        };
        for job in ran {
            job.answer(outcome.clone());
        }
    }

    /// Runs the group and commits. Everything before the commit is known not to have happened when it fails.
    fn commit(&self, first: Box<dyn Job>, next: &mut dyn FnMut() -> Option<Box<dyn Job>>, ran: &mut Vec<Box<dyn Job>>) -> Outcome {
        let mut first = Some(first);
        let prepared = self.begin().and_then(|transaction| {
            let mut rows = Rows { table: transaction.open_table(ROWS).map_err(StoreError::storage)?, suspect: &self.suspect };
            let mut bytes = 0;
            let mut dirty = false;
            while let Some(mut job) = first.take().or_else(&mut *next) {
                let mut overlay = Transaction::new(&rows);
                let keep = job.run(&mut overlay);
                let writes = overlay.into_writes();
                ran.push(job);
                if keep {
                    dirty |= !writes.is_empty();
                    bytes += rows.apply(writes)?;
                }
                if ran.len() >= GROUP_TRANSACTIONS_MAX || bytes >= GROUP_BYTES_MAX {
                    break;
                }
            }
            drop(rows);
            Ok((transaction, dirty))
        });
        ran.extend(first);
        match prepared {
            Err(error) => Outcome::NotProcessed(error),
            // A body may have taken a failed read for its answer; none of them can be trusted.
            Ok(_) if self.suspect.load(Ordering::Relaxed) => Outcome::NotProcessed(StoreError::storage(redb::StorageError::PreviousIo)),
            Ok((transaction, true)) => match transaction.commit() {
                Ok(()) => Outcome::Durable,
                Err(error) => Outcome::Unknown(StoreError::storage(error)),
            },
            Ok((transaction, false)) => match transaction.abort() {
                Ok(()) => Outcome::Durable,
                Err(error) => Outcome::NotProcessed(StoreError::storage(error)),
            },
        }
    }

    fn begin(&self) -> Result<redb::WriteTransaction, StoreError> {
        if self.suspect.load(Ordering::Relaxed) {
            self.reopen()?;
        }
        let mut transaction = self.with_database(|database| database.begin_write().map_err(StoreError::storage))?;
        transaction.set_quick_repair(self.quick_repair);
        Ok(transaction)
    }

    fn with_database<T>(&self, use_it: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        use_it(database.as_ref().ok_or(StoreError::Closed)?)
    }

    /// Closes the handle and opens another. Only while the writer is held and no write transaction is open.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
        *database = Some((self.opener)().map_err(StoreError::storage)?);
        self.suspect.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        // Whoever comes after a failed read gets a good handle, unless a group is running: it does that itself when it ends.
        if self.suspect.load(Ordering::Relaxed)
            && let Ok(_writer) = self.writer.try_lock()
        {
            self.reopen()?;
        }
        let table = self.with_database(|database| {
            let transaction = database.begin_read().map_err(StoreError::storage)?;
            transaction.open_table(ROWS).map_err(StoreError::storage)
        });
        let table = table.inspect_err(|_| self.suspect.store(true, Ordering::Relaxed))?;
        Ok(Box::new(Rows { table, suspect: &self.suspect }))
    }
}

/// A table of redb as rows; notices when the storage fails.
struct Rows<'e, T> {
    table: T,
    suspect: &'e AtomicBool,
}

impl<T> Rows<'_, T> {
    fn notice<V>(&self, result: Result<V, redb::StorageError>) -> Result<V, StoreError> {
        result.map_err(|error| {
            self.suspect.store(true, Ordering::Relaxed);
            StoreError::storage(error)
        })
    }
}

impl<T: ReadableTable<&'static [u8], &'static [u8]>> Read for Rows<'_, T> {
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.notice(self.table.get(key))?.map(|value| value.value().to_vec()))
    }

    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        let Some(range) = bounds(from_inclusive, to_exclusive) else { return Ok(Vec::new()) };
        let mut rows = self.notice(self.table.range::<&[u8]>(range))?;
        let next = || match order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        std::iter::from_fn(next)
            .take(limit)
            .map(|row| self.notice(row).map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
            .collect()
    }
}

impl Rows<'_, Table<'_, &'static [u8], &'static [u8]>> {
    /// Writes in key order, which redb likes best. Returns the bytes written.
    fn apply(&mut self, writes: Writes) -> Result<usize, StoreError> {
        let mut bytes = 0;
        for (key, value) in writes {
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => drop(self.table.insert(&*key, &*value).map_err(StoreError::storage)?),
                None => drop(self.table.remove(&*key).map_err(StoreError::storage)?),
            }
        }
        Ok(bytes)
    }
}

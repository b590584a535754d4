//! The back end in memory: a map that snapshots share until the next commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::backend::{Backend, Job, Outcome};
use super::transaction::bounds;
use super::{Order, Read, Row, StoreError, Transaction};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Held for a whole transaction, so that bodies run one after another while `rows` stays free for readers.
    writer: Mutex<()>,
    rows: Mutex<Arc<Rows>>,
}

impl Memory {
    fn rows(&self) -> MutexGuard<'_, Arc<Rows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self, mut job: Box<dyn Job>) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let base = Arc::clone(&self.rows());
        let mut transaction = Transaction::new(&*base);
        let keep = job.run(&mut transaction);
        let writes = transaction.into_writes();
        drop(base);
        if keep {
            let mut rows = self.rows();
            let rows = Arc::make_mut(&mut rows);
            for (key, value) in writes {
                match value {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
        }
        job.answer(Outcome::Durable);
    }
}

impl Backend for Memory {
    fn submit(&self, job: Box<dyn Job>) -> BoxFuture<'_, ()> {
        self.process(job);
        ready(()).boxed()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(Arc::clone(&self.rows())))
    }
}

impl Read for Rows {
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get(key).cloned())
    }

    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        let Some(range) = bounds(from_inclusive, to_exclusive) else { return Ok(Vec::new()) };
        let rows = self.range::<[u8], _>(range);
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match order {
            Order::Ascending => rows.take(limit).map(owned).collect(),
            Order::Descending => rows.rev().take(limit).map(owned).collect(),
        })
    }
}

impl Read for Arc<Rows> {
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get_raw(key)
    }

    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        (**self).scan_raw(from_inclusive, to_exclusive, limit, order)
    }
}

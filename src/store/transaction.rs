//! Reading and writing rows of bytes: a transaction is an overlay of its own writes on the rows beneath it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use super::StoreError;

/// The most that one transaction may write, keys and values together. A commit group is held in memory, and larger work must not keep
/// others waiting: split it.
pub const TRANSACTION_BYTES_MAX: usize = 16 << 20;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Which end of a range comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The least key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

/// Reads rows. Prefer the typed methods of [`super::ReadExt`].
pub trait Read {
    /// Returns the value under `key`.
    ///
    /// # Errors
    /// When the storage fails.
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns at most `limit` rows of a range, from the end that `order` says. Without `to_exclusive` the range has no end.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError>;
}

/// Writes rows. Prefer the typed methods of [`super::WriteExt`].
pub trait Write: Read {
    /// Puts a row, replacing what is there.
    ///
    /// # Errors
    /// When the transaction becomes too large.
    fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError>;

    /// Deletes a row, if it is there.
    ///
    /// # Errors
    /// When the transaction becomes too large.
    fn delete_raw(&mut self, key: Vec<u8>) -> Result<(), StoreError>;
}

/// Returns the bounds of a range, or nothing where the range is empty (`BTreeMap::range` panics on a backward one).
pub(crate) fn bounds<'a>(from_inclusive: &'a [u8], to_exclusive: Option<&'a [u8]>) -> Option<(Bound<&'a [u8]>, Bound<&'a [u8]>)> {
    match to_exclusive {
        Some(to) if to <= from_inclusive => None,
        Some(to) => Some((Bound::Included(from_inclusive), Bound::Excluded(to))),
        None => Some((Bound::Included(from_inclusive), Bound::Unbounded)),
    }
}

/// A consistent look at what is committed.
pub struct Snapshot<'a> {
    rows: &'a dyn Read,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(rows: &'a dyn Read) -> Self {
        Self { rows }
    }
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Read for Snapshot<'_> {
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get_raw(key)
    }

    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        self.rows.scan_raw(from_inclusive, to_exclusive, limit, order)
    }
}

/// Writes in key order; `None` deletes.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A running transaction: the committed rows with its own writes on top.
pub struct Transaction<'a> {
    base: &'a dyn Read,
    writes: Writes,
    bytes: usize,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(base: &'a dyn Read) -> Self {
        Self { base, writes: Writes::new(), bytes: 0 }
    }

    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let added = size(&value);
        match self.writes.entry(key) {
            Entry::Occupied(mut entry) => self.bytes = self.bytes - size(&entry.insert(value)) + added,
            Entry::Vacant(entry) => {
                self.bytes += entry.key().len() + added;
                entry.insert(value);
            }
        }
        if self.bytes > TRANSACTION_BYTES_MAX { Err(StoreError::TooLarge { limit: TRANSACTION_BYTES_MAX }) } else { Ok(()) }
    }

    fn own(&self, from: &[u8], to: Option<&[u8]>, order: Order) -> Box<dyn Iterator<Item = (&Vec<u8>, &Option<Vec<u8>>)> + '_> {
        match (bounds(from, to), order) {
            (None, _) => Box::new(std::iter::empty()),
            (Some(range), Order::Ascending) => Box::new(self.writes.range::<[u8], _>(range)),
            (Some(range), Order::Descending) => Box::new(self.writes.range::<[u8], _>(range).rev()),
        }
    }
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("writes", &self.writes.len()).field("bytes", &self.bytes).finish()
    }
}

impl Read for Transaction<'_> {
    fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(own) => Ok(own.clone()),
            None => self.base.get_raw(key),
        }
    }

    fn scan_raw(&self, from_inclusive: &[u8], to_exclusive: Option<&[u8]>, limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        let mut own = self.own(from_inclusive, to_exclusive, order).peekable();
        if own.peek().is_none() {
            return self.base.scan_raw(from_inclusive, to_exclusive, limit, order);
        }
        let mut merged = Vec::new();
        let (mut from, mut to) = (from_inclusive.to_vec(), to_exclusive.map(<[u8]>::to_vec));
        let mut page_rows = limit;
        while merged.len() < limit {
            let page = self.base.scan_raw(&from, to.as_deref(), page_rows, order)?;
            let base_ends = page.len() < page_rows;
            if let Some((last, _)) = page.last() {
                match order {
                    Order::Ascending => from = [last, &[0][..]].concat(),
                    Order::Descending => to = Some(last.clone()),
                }
            }
            for (key, value) in page {
                while let Some(row) = own.next_if(|(next, _)| precedes(next, &key, order)) {
                    merged.extend(kept(row));
                }
                match own.next_if(|(next, _)| **next == key) {
                    Some(row) => merged.extend(kept(row)),
                    None => merged.push((key, value)),
                }
            }
            if base_ends {
                merged.extend(own.by_ref().filter_map(kept).take(limit.saturating_sub(merged.len())));
                break;
            }
            // Rows that this transaction deletes hide others: look further each time, so that many of them cost few looks.
            page_rows = page_rows.saturating_mul(2);
        }
        merged.truncate(limit);
        Ok(merged)
    }
}

fn precedes(key: &[u8], other: &[u8], order: Order) -> bool {
    match order {
        Order::Ascending => key < other,
        Order::Descending => key > other,
    }
}

fn kept((key, value): (&Vec<u8>, &Option<Vec<u8>>)) -> Option<Row> {
    value.as_ref().map(|value| (key.clone(), value.clone()))
}

impl Write for Transaction<'_> {
    fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.write(key, Some(value))
    }

    fn delete_raw(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.write(key, None)
    }
}

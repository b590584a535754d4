//! What the applier is about to put in place, by the key that it has already and keeps there.
//!
//! Between the placing of a new item and its record, the members do not say whose it is, and somebody may have renamed it by then. Whoever
//! meets such an item waits for the record; after a crash, recovery makes the record.

use super::Order;
use crate::agent::repository::RepoKey;
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The orders that new items are for, by the items' keys.
#[derive(Debug)]
pub struct Placing;

impl Record for Placing {
    const TABLE: Table = Table::Placing;
    const FORMAT: u8 = 1;
    type Key = (Vec<u8>,);
    type Value = Order;
}

fn row(key: &RepoKey) -> (Vec<u8>,) {
    (key.as_bytes().to_vec(),)
}

/// Says what an item is for, before it is put in place.
///
/// # Errors
/// When the store fails.
pub fn begin(tx: &mut Transaction<'_>, key: &RepoKey, order: &Order) -> Result<(), StoreError> {
    tx.put::<Placing>(&row(key), order)
}

/// Forgets an item, in the transaction that says what became of its order.
///
/// # Errors
/// When the store fails.
pub fn end(tx: &mut Transaction<'_>, key: &RepoKey) -> Result<(), StoreError> {
    tx.delete::<Placing>(&row(key))
}

/// Whether an item is, or is about to be, put in place without a record of it.
///
/// # Errors
/// When the store fails.
pub fn is_under_way(read: &(impl Read + ?Sized), key: &RepoKey) -> Result<bool, StoreError> {
    read.exists::<Placing>(&row(key))
}

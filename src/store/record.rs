//! Typed records over rows of bytes.
//!
//! A row's key is the byte of its [`Table`] and the encoding of its [`Key`]; its value is a format byte and the postcard encoding of
//! the record's value. Stored types are the record's own, never those of the wire.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Key, KeyPrefix, Order, Read, Row, StoreError, Table, Write};

/// A kind of record. Changing what `Value` looks like needs another `FORMAT` and a migration.
pub trait Record {
    /// Where the records are.
    const TABLE: Table;
    /// The number of the value's encoding, from 1.
    const FORMAT: u8;
    /// What a record is found by.
    type Key: Key;
    /// What it holds.
    type Value: Serialize + DeserializeOwned;
}

/// Typed reading, for snapshots and transactions alike.
pub trait ReadExt: Read {
    /// Returns the record under `key`.
    ///
    /// # Errors
    /// When the storage fails or the row is corrupt.
    fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R::Value>, StoreError> {
        self.get_raw(&encode_key::<R>(key))?.map(|value| decode_value::<R>(&value)).transpose()
    }

    /// Returns the records under `keys`, in their order.
    ///
    /// # Errors
    /// As [`ReadExt::get`].
    fn get_many<'k, R: Record<Key: 'k>>(&self, keys: impl IntoIterator<Item = &'k R::Key>) -> Result<Vec<Option<R::Value>>, StoreError> {
        keys.into_iter().map(|key| self.get::<R>(key)).collect()
    }

    /// Returns whether there is a record under `key`.
    ///
    /// # Errors
    /// When the storage fails.
    fn exists<R: Record>(&self, key: &R::Key) -> Result<bool, StoreError> {
        Ok(self.get_raw(&encode_key::<R>(key))?.is_some())
    }

    /// Returns at most `limit` records whose keys begin with `prefix` and come after `after`, in key order.
    ///
    /// # Errors
    /// As [`ReadExt::get`].
    fn scan<R: Record>(
        &self,
        prefix: &impl KeyPrefix<R::Key>,
        after_exclusive: Option<&R::Key>,
        limit: usize,
    ) -> Result<Vec<(R::Key, R::Value)>, StoreError> {
        let start = encode_prefix::<R>(prefix);
        let end = successor(&start);
        let from = match after_exclusive {
            Some(after) => {
                let mut key = encode_key::<R>(after);
                key.push(0);
                key.max(start)
            }
            None => start,
        };
        self.scan_raw(&from, end.as_deref(), limit, Order::Ascending)?.into_iter().map(decode_row::<R>).collect()
    }

    /// Returns at most `limit` records whose keys begin with `prefix` and come before `before`, the greatest key first.
    ///
    /// # Errors
    /// As [`ReadExt::get`].
    fn scan_back<R: Record>(
        &self,
        prefix: &impl KeyPrefix<R::Key>,
        before_exclusive: Option<&R::Key>,
        limit: usize,
    ) -> Result<Vec<(R::Key, R::Value)>, StoreError> {
        let start = encode_prefix::<R>(prefix);
        let end = match (before_exclusive.map(encode_key::<R>), successor(&start)) {
            (Some(before), Some(end)) => Some(before.min(end)),
            (before, end) => before.or(end),
        };
        self.scan_raw(&start, end.as_deref(), limit, Order::Descending)?.into_iter().map(decode_row::<R>).collect()
    }

    /// Returns the record with the greatest key that begins with `prefix`.
    ///
    /// # Errors
    /// As [`ReadExt::get`].
    fn last<R: Record>(&self, prefix: &impl KeyPrefix<R::Key>) -> Result<Option<(R::Key, R::Value)>, StoreError> {
        Ok(self.scan_back::<R>(prefix, None, 1)?.pop())
    }
}

impl<T: Read + ?Sized> ReadExt for T {}

/// Typed writing.
pub trait WriteExt: Write {
    /// Puts a record, replacing what is there.
    ///
    /// # Errors
    /// When the transaction becomes too large.
    fn put<R: Record>(&mut self, key: &R::Key, value: &R::Value) -> Result<(), StoreError> {
        self.put_raw(encode_key::<R>(key), encode_value::<R>(value)?)
    }

    /// Deletes a record, if it is there.
    ///
    /// # Errors
    /// When the transaction becomes too large.
    fn delete<R: Record>(&mut self, key: &R::Key) -> Result<(), StoreError> {
        self.delete_raw(encode_key::<R>(key))
    }
}

impl<T: Write + ?Sized> WriteExt for T {}

fn encode_prefix<R: Record>(prefix: &impl Key) -> Vec<u8> {
    let mut bytes = vec![R::TABLE.byte()];
    prefix.encode(&mut bytes);
    bytes
}

fn encode_key<R: Record>(key: &R::Key) -> Vec<u8> {
    encode_prefix::<R>(key)
}

/// Returns the least key that is greater than every key that begins with `prefix`; nothing when there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn corrupt<R: Record>(detail: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table: R::TABLE, detail: detail.to_string() }
}

fn encode_value<R: Record>(value: &R::Value) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, vec![R::FORMAT]).map_err(corrupt::<R>)
}

fn decode_value<R: Record>(bytes: &[u8]) -> Result<R::Value, StoreError> {
    match bytes.split_first() {
        Some((&format, value)) if format == R::FORMAT => {
            let (value, rest) = postcard::take_from_bytes(value).map_err(corrupt::<R>)?;
            if rest.is_empty() { Ok(value) } else { Err(corrupt::<R>("bytes after the value")) }
        }
        Some((&found, _)) if found > R::FORMAT => Err(StoreError::NewerRow { table: R::TABLE, found, supported: R::FORMAT }),
        Some((&found, _)) => Err(corrupt::<R>(format_args!("format {found} was not migrated"))),
        None => Err(corrupt::<R>("an empty value")),
    }
}

fn decode_row<R: Record>((key, value): Row) -> Result<(R::Key, R::Value), StoreError> {
    let key = R::Key::decode(key.get(1..).unwrap_or_default()).map_err(corrupt::<R>)?;
    Ok((key, decode_value::<R>(&value)?))
}

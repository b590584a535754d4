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

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use serde::Deserialize;

    use super::*;
    use crate::store::{Snapshot, Store};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Page {
        title: String,
        words: u32,
    }

    fn page(title: &str) -> Page {
        Page { title: title.to_owned(), words: 300 }
    }

    struct Pages;

    impl Record for Pages {
        const TABLE: Table = Table::Test;
        const FORMAT: u8 = 2;
        type Key = (String, u8);
        type Value = Page;
    }

    /// In the table after that of the pages, with keys that look like theirs.
    struct Index;

    impl Record for Index {
        const TABLE: Table = Table::TestIndex;
        const FORMAT: u8 = 1;
        type Key = (String, u8);
        type Value = ();
    }

    fn key(book: &str, number: u8) -> (String, u8) {
        (book.to_owned(), number)
    }

    fn library() -> Store {
        let store = Store::memory();
        block_on(store.transact(|transaction| {
            for book in ["a", "ab", "b"] {
                for number in [1, 2, 255] {
                    transaction.put::<Pages>(&key(book, number), &page(book))?;
                    transaction.put::<Index>(&key(book, number), &())?;
                }
            }
            Ok::<_, StoreError>(())
        }))
        .unwrap();
        store
    }

    fn keys<V>(rows: Vec<((String, u8), V)>) -> Vec<String> {
        rows.into_iter().map(|((book, number), _)| format!("{book}{number}")).collect()
    }

    #[test]
    fn records_are_found_by_key() {
        library()
            .read(|rows| {
                assert_eq!(rows.get::<Pages>(&key("ab", 2))?, Some(page("ab")));
                assert_eq!(rows.get::<Pages>(&key("ab", 3))?, None);
                assert!(rows.exists::<Index>(&key("b", 255))? && !rows.exists::<Index>(&key("c", 1))?);
                let many = rows.get_many::<Pages>([&key("b", 1), &key("c", 1), &key("a", 1)])?;
                assert_eq!(many, [Some(page("b")), None, Some(page("a"))]);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    #[test]
    fn ranges_keep_to_their_prefix_and_table() {
        library()
            .read(|rows| {
                let a = ("a".to_owned(),);
                assert_eq!(keys(rows.scan::<Pages>(&a, None, 9)?), ["a1", "a2", "a255"]);
                assert_eq!(keys(rows.scan::<Pages>(&a, Some(&key("a", 1)), 1)?), ["a2"]);
                assert_eq!(keys(rows.scan::<Pages>(&a, Some(&key("a", 255)), 9)?), [""; 0]);
                assert_eq!(keys(rows.scan::<Pages>(&a, Some(&key("b", 1)), 9)?), [""; 0]);
                assert_eq!(keys(rows.scan::<Pages>(&("ab".to_owned(),), Some(&key("a", 1)), 2)?), ["ab1", "ab2"]);
                assert_eq!(rows.scan::<Pages>(&(), None, 99)?.len(), 9);
                assert_eq!(keys(rows.scan_back::<Pages>(&a, None, 2)?), ["a255", "a2"]);
                assert_eq!(keys(rows.scan_back::<Pages>(&a, Some(&key("a", 2)), 9)?), ["a1"]);
                assert_eq!(keys(rows.scan_back::<Pages>(&a, Some(&key("b", 2)), 1)?), ["a255"]);
                assert_eq!(keys(rows.last::<Pages>(&())?.into_iter().collect()), ["b255"]);
                assert!(rows.last::<Pages>(&("c".to_owned(),))?.is_none());
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    #[test]
    fn a_deleted_record_is_gone() {
        let store = library();
        block_on(store.transact::<_, StoreError>(|transaction| transaction.delete::<Pages>(&key("a", 1)))).unwrap();
        let found = |rows: &Snapshot<'_>| Ok::<_, StoreError>((rows.exists::<Pages>(&key("a", 1))?, rows.exists::<Index>(&key("a", 1))?));
        assert_eq!(store.read(found).unwrap(), (false, true));
    }

    #[test]
    fn rows_are_pinned_and_other_formats_are_told_apart() {
        assert_eq!(encode_key::<Pages>(&key("ab", 7)), b"\xfaab\0\0\x07");
        let row = encode_value::<Pages>(&page("ab")).unwrap();
        assert_eq!(row, b"\x02\x02ab\xac\x02");
        assert_eq!(decode_value::<Pages>(&row).unwrap(), page("ab"));

        assert!(matches!(decode_value::<Pages>(b"\x03"), Err(StoreError::NewerRow { found: 3, supported: 2, .. })));
        for corrupt in [&b""[..], b"\x01\x02ab\xac\x02", b"\x02\x02ab\xac\x02!", b"\x02\x02a", b"\x02\x02\xff\xff\x01"] {
            assert!(matches!(decode_value::<Pages>(corrupt), Err(StoreError::Corrupt { .. })), "{corrupt:?}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_that_does_not_have_it() {
        assert_eq!(successor(b"\x01\x02"), Some(b"\x01\x03".to_vec()));
        assert_eq!(successor(b"\x01\xff\xff"), Some(b"\x02".to_vec()));
        assert_eq!(successor(b"\xff"), None);
    }
}

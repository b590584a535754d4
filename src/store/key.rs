//! Keys as bytes whose order is the order of the keys, so that a range of keys is a range of rows.
//!
//! A tuple is the concatenation of its parts, each of which says itself where it ends; so the encoding of the leading parts is a
//! prefix of every key that begins with them, and of no other key.

use super::CorruptKey;
use crate::model::{AccountId, AgentId, FoldedName, Hash, NetworkId, NodeId, OpId, PairingId, Sequence, SetId, SiteId, TokenId};

/// A key, or a part of one. Encoded keys compare as the keys do.
pub trait Key: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one from the front of `bytes` and moves `bytes` past it.
    ///
    /// # Errors
    /// When `bytes` does not begin with the encoding of one.
    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey>;

    /// Reads one that is all of `bytes`.
    ///
    /// # Errors
    /// When `bytes` is not the encoding of one.
    fn decode(mut bytes: &[u8]) -> Result<Self, CorruptKey> {
        let key = Self::take(&mut bytes)?;
        if bytes.is_empty() { Ok(key) } else { Err(CorruptKey { expected: "the end of a key" }) }
    }
}

/// The leading parts of the keys of type `K`: `()` for all keys, `(A,)` or `(A, B)` for the keys that begin so.
pub trait KeyPrefix<K>: Key {}

fn split<'a>(bytes: &mut &'a [u8], length: usize, expected: &'static str) -> Result<&'a [u8], CorruptKey> {
    let (head, tail) = bytes.split_at_checked(length).ok_or(CorruptKey { expected })?;
    *bytes = tail;
    Ok(head)
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        let expected = "an array of bytes";
        split(bytes, N, expected)?.try_into().map_err(|_| CorruptKey { expected })
    }
}

macro_rules! number_keys {
    ($($number:ty),*) => { $(
        impl Key for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
                Key::take(bytes).map(Self::from_be_bytes)
            }
        }
    )* };
}
number_keys!(u8, u16, u32, u64);

macro_rules! id_keys {
    ($($id:ty),*) => { $(
        impl Key for $id {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
                let expected = "an id";
                Self::from_bytes(split(bytes, 16, expected)?).map_err(|_| CorruptKey { expected })
            }
        }
    )* };
}
id_keys!(NetworkId, SiteId, NodeId, SetId, AccountId, AgentId, OpId, PairingId, TokenId);

impl Key for Sequence {
    fn encode(&self, out: &mut Vec<u8>) {
        self.get().encode(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Key::take(bytes).map(Self::new)
    }
}

impl Key for Hash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Key::take(bytes).map(Self::from_bytes)
    }
}

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        match u8::take(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CorruptKey { expected: "a truth value" }),
        }
    }
}

/// The bytes with each 0 followed by 255, then two zeros: `a` stays before `a\0` and before `ab`, whatever part comes next.
impl Key for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        let mut value = Self::new();
        loop {
            match **bytes {
                [0, 0, ..] => {
                    *bytes = &bytes[2..];
                    return Ok(value);
                }
                [0, 255, ..] => {
                    value.push(0);
                    *bytes = &bytes[2..];
                }
                [byte, ..] if byte != 0 => {
                    value.push(byte);
                    *bytes = &bytes[1..];
                }
                _ => return Err(CorruptKey { expected: "escaped bytes" }),
            }
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(255);
        }
    }
    out.extend([0, 0]);
}

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Self::from_utf8(Key::take(bytes)?).map_err(|_| CorruptKey { expected: "text" })
    }
}

impl Key for FoldedName {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_str().as_bytes(), out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Key::take(bytes).map(Self::from_stored)
    }
}

impl Key for () {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn take(_bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
        Ok(())
    }
}

impl<K: Key> KeyPrefix<K> for () {}

macro_rules! tuple_keys {
    ($($part:ident)*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                #[allow(non_snake_case, reason = "the parts are bound under the names of their types")]
                let ($($part,)*) = self;
                $($part.encode(out);)*
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, CorruptKey> {
                Ok(($($part::take(bytes)?,)*))
            }
        }
    };
}
tuple_keys!(A);
tuple_keys!(A B);
tuple_keys!(A B C);
tuple_keys!(A B C D);
tuple_keys!(A B C D E);

impl<A: Key, B: Key> KeyPrefix<(A, B)> for (A,) {}
impl<A: Key, B: Key, C: Key> KeyPrefix<(A, B, C)> for (A,) {}
impl<A: Key, B: Key, C: Key> KeyPrefix<(A, B, C)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D: Key> KeyPrefix<(A, B, C, D)> for (A,) {}
impl<A: Key, B: Key, C: Key, D: Key> KeyPrefix<(A, B, C, D)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D: Key> KeyPrefix<(A, B, C, D)> for (A, B, C) {}
impl<A: Key, B: Key, C: Key, D: Key, E: Key> KeyPrefix<(A, B, C, D, E)> for (A,) {}
impl<A: Key, B: Key, C: Key, D: Key, E: Key> KeyPrefix<(A, B, C, D, E)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D: Key, E: Key> KeyPrefix<(A, B, C, D, E)> for (A, B, C) {}
impl<A: Key, B: Key, C: Key, D: Key, E: Key> KeyPrefix<(A, B, C, D, E)> for (A, B, C, D) {}

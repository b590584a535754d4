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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn encode(key: &impl Key) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        bytes
    }

    fn check<K: Key + Ord + std::fmt::Debug>(one: &K, other: &K) -> Result<(), TestCaseError> {
        let (a, b) = (encode(one), encode(other));
        prop_assert_eq!(a.cmp(&b), one.cmp(other));
        prop_assert_eq!(&K::decode(&a).unwrap(), one);
        prop_assert!(a == b || !b.starts_with(&a), "no key is a prefix of another");
        Ok(())
    }

    /// Short, of few letters: neighbours, prefixes, zeros and the greatest bytes come up often.
    fn text() -> impl Strategy<Value = String> {
        "[\0\u{1}ab\u{ff}\u{10ffff}]{0,4}"
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(254), Just(255), any::<u8>()], 0..4)
    }

    fn node() -> impl Strategy<Value = NodeId> {
        any::<u128>().prop_map(|number| NodeId::from_uuid(Uuid::from_u128(number | 1)))
    }

    proptest! {
        #[test]
        fn encoded_keys_compare_as_keys(
            a in (text(), bytes(), any::<u64>(), node(), text()),
            b in (text(), bytes(), any::<u64>(), node(), text()),
            same in any::<bool>(),
        ) {
            // Equal leading parts, so that the later ones decide.
            let b = if same { (a.0.clone(), a.1.clone(), b.2, b.3, b.4) } else { b };
            check(&a.0, &b.0)?;
            check(&a.1, &b.1)?;
            check(&(a.0.clone(), a.2), &(b.0.clone(), b.2))?;
            check(&(a.1.clone(), a.0.clone(), Sequence::new(a.2)), &(b.1.clone(), b.0.clone(), Sequence::new(b.2)))?;
            check(&(a.3, FoldedName::from_stored(a.4.clone())), &(b.3, FoldedName::from_stored(b.4.clone())))?;
            check(&a, &b)?;
        }

        #[test]
        fn a_prefix_begins_the_keys_with_those_parts_and_no_others(a in (text(), text()), b in (text(), text())) {
            prop_assert_eq!(encode(&b).starts_with(&encode(&(a.0.clone(),))), a.0 == b.0);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(junk in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(key) = <(bool, String, Hash)>::decode(&junk) {
                prop_assert_eq!(encode(&key), junk.clone());
            }
            if let Ok(key) = <(NodeId, Vec<u8>)>::decode(&junk) {
                prop_assert_eq!(encode(&key), junk);
            }
        }
    }

    #[test]
    fn encodings_are_pinned() {
        let name = FoldedName::from_stored("a\0b".to_owned());
        let id = SetId::from_uuid(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
        assert_eq!(encode(&(name, 258_u16, true)), b"a\0\xffb\0\0\x01\x02\x01");
        assert_eq!(encode(&(id, Sequence::new(5))), b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\0\0\0\0\0\0\0\x05");
        assert_eq!(encode(&()), b"");
    }
}

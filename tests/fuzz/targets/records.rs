//! Rows of a store that a disk has damaged: an error, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skybridge::agent::state::{LocalSet, MemberRow, MineRow, Pushed};
use skybridge::model::{FoldedName, NodeId, Operation, SetId};
use skybridge::store::Key;

fn key<K: Key>(bytes: &[u8]) {
    let mut input = bytes;
    if let Ok(key) = K::take(&mut input) {
        let mut encoded = Vec::new();
        key.encode(&mut encoded);
        assert_eq!(encoded, bytes[..bytes.len() - input.len()], "a key has one encoding");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = postcard::from_bytes::<MemberRow>(bytes);
    let _ = postcard::from_bytes::<LocalSet>(bytes);
    let _ = postcard::from_bytes::<MineRow>(bytes);
    let _ = postcard::from_bytes::<Pushed>(bytes);
    let _ = postcard::from_bytes::<Operation>(bytes);
    key::<(SetId, NodeId)>(bytes);
    key::<(SetId, [u8; 16], FoldedName, Vec<u8>, NodeId)>(bytes);
    key::<(u64, SetId, NodeId)>(bytes);
});

//! Rows of a store that a disk has damaged: an error, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skybridge::agent::state;
use skybridge::coordinator::{accounts, agents, journal, library, networks, operations, sets};
use skybridge::store::{Key, Record};

fn row<R: Record>(bytes: &[u8]) {
    // Junk is refused, which is all that is asked for here.
    let _read = postcard::from_bytes::<R::Value>(bytes);
    let mut input = bytes;
    if let Ok(key) = R::Key::take(&mut input) {
        let mut encoded = Vec::new();
        key.encode(&mut encoded);
        assert_eq!(encoded, bytes[..bytes.len() - input.len()], "a key has one encoding");
    }
}

macro_rules! rows {
    ($bytes:ident: $($record:ty),* $(,)?) => { $(row::<$record>($bytes);)* };
}

fuzz_target!(|bytes: &[u8]| {
    rows!(bytes: state::Mine, state::EarlierLives, state::LocalSets, state::Members, state::Keys, state::SourceNames, state::TargetNames,
        state::Dirty, state::InFlight, state::Applying);
    rows!(bytes: library::Trash, library::Child, library::Version, library::Node, library::Trail, library::request::Request);
    rows!(bytes: journal::Entry, agents::Agent, sets::Definition, sets::DirectMember, sets::Pending, sets::Acknowledged,
        sets::MemberReport, sets::Counts, operations::StoredOutcome);
    rows!(bytes: accounts::Account, accounts::Token, networks::Network, networks::Site);
});

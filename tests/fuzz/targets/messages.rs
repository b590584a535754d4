//! Messages of the conversation, as either side may send them: what is taken is taken again the same from its own encoding.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use skybridge::wire::{AgentMessage, CoordinatorMessage, MemberPage, pb};

fn read<P: Message + Default, M: TryFrom<P> + Into<P> + Clone + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = P::decode(bytes) else { return };
    let Ok(taken) = M::try_from(message) else { return };
    let encoded: P = taken.clone().into();
    let again = P::decode(encoded.encode_to_vec().as_slice()).ok().and_then(|message| M::try_from(message).ok());
    // What is no number is not equal to itself; its text is.
    assert_eq!(again.map(|again| format!("{again:?}")), Some(format!("{taken:?}")));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => read::<pb::SynchronizeRequest, AgentMessage>(bytes),
        1 => read::<pb::SynchronizeResponse, CoordinatorMessage>(bytes),
        _ => read::<pb::ListMembersResponse, MemberPage>(bytes),
    }
});

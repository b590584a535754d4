//! What is on its way out is not lost, however often waiting for it is given up.

use std::time::Duration;

use futures::FutureExt as _;
use prost::Message as _;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::outgoing::Outgoing;
use super::testing::WELCOME;
use crate::agent::planner::tests::Bench;
use crate::agent::state::{InFlight, Pushed};
use crate::content::BlobKind;
use crate::model::{
    ContentRef, Kind, Name, NodeId, NodeState, OpId, Operation, PairingId, Place, Properties, Property, Push, SetId, SetShape, Value,
};
use crate::net::channel::{ChannelOptions, Trust, Use};
use crate::store::{StoreError, WriteExt as _};
use crate::wire::{AgentMessage, pb};

fn pushed(number: u128, push: Push) -> Pushed {
    let (op, node) = (OpId::from_uuid(Uuid::from_u128(number)), NodeId::from_uuid(Uuid::from_u128(number)));
    let (set, pairing) = (SetId::from_uuid(Uuid::from_u128(1)), PairingId::from_uuid(Uuid::from_u128(number)));
    Pushed { member: node, operation: Operation { op, set, node, pairing, push } }
}

/// What leaves in a conversation with a coordinator that cannot be reached for content.
fn outgoing(bench: &Bench) -> Outgoing {
    let trust = Trust::Fingerprint("0".repeat(64).parse().unwrap());
    let nowhere = ChannelOptions { address: "https://localhost:1".to_owned(), trust, identity: None, proxy: None };
    Outgoing::new(bench.context.clone(), nowhere.channel(Use::Bulk).unwrap(), &WELCOME)
}

#[tokio::test]
async fn an_operation_leaves_although_another_is_cancelled_and_nobody_waits_for_long() {
    let bench = Bench::new(SetShape::Documents).await;
    // Its document is gone from the source before it could leave.
    let gone = NodeState {
        kind: Kind::Document,
        place: Place { parent: None, name: Name::new("gone").unwrap() },
        content: Some(ContentRef { root: BlobKind::Chunk.hash(b"gone"), size_bytes: 4, height: 0 }),
        properties: Properties::default(),
    };
    let both = [pushed(1, Push::Create(gone)), pushed(2, Push::Release { through: None })];
    let stored = both.clone();
    let stored = bench.context.store.transact(move |tx| {
        stored.iter().try_for_each(|pushed| tx.put::<InFlight>(&pushed.operation.op, pushed))?;
        Ok::<_, StoreError>(())
    });
    stored.await.unwrap();

    let mut outgoing = outgoing(&bench);
    let (_sender, mut more) = mpsc::unbounded_channel();
    for pushed in &both {
        outgoing.queue(pushed.operation.op, &mut more);
    }
    let batch = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            // Given up after the first look, as when something else happens all the time.
            let looked = outgoing.next_batch().now_or_never();
            if let Some(Some(batch)) = looked.map(Result::unwrap) {
                return batch;
            }
            tokio::task::yield_now().await;
        }
    });
    let sent: Vec<_> = batch.await.expect("it leaves").operations.iter().map(|pushed| pushed.operation.op).collect();
    assert_eq!(sent, [both[1].operation.op]);
}

#[tokio::test]
async fn edge_w06_w07_operations_with_long_properties_leave_in_batches_of_a_bounded_size() {
    const OPERATIONS: u128 = 300;
    let bench = Bench::new(SetShape::Documents).await;
    let mut properties = Properties::default();
    properties.set(Property::Author, Some(Value::Text("x".repeat(32 * 1024)))).unwrap();
    let state = |number: u128| NodeState {
        kind: Kind::Folder,
        place: Place { parent: None, name: Name::new(number.to_string()).unwrap() },
        content: None,
        properties: properties.clone(),
    };
    let all: Vec<_> = (1..=OPERATIONS).map(|number| pushed(number, Push::Create(state(number)))).collect();
    let ops: Vec<_> = all.iter().map(|pushed| pushed.operation.op).collect();
    let stored = bench.context.store.transact(move |tx| {
        all.iter().try_for_each(|pushed| tx.put::<InFlight>(&pushed.operation.op, pushed))?;
        Ok::<_, StoreError>(())
    });
    stored.await.unwrap();
    // Those that may have been too much for the link in an earlier conversation leave in smaller ones.
    for (was_sent, least, most) in [(false, 400_000, 600_000), (true, 30_000, 110_000)] {
        let mut outgoing = outgoing(&bench);
        if was_sent {
            outgoing.load().unwrap();
        } else {
            let (more, mut rest) = mpsc::unbounded_channel();
            ops[1..].iter().for_each(|op| more.send(*op).unwrap());
            outgoing.queue(ops[0], &mut rest);
        }
        let (mut sent, mut largest) = (Vec::new(), 0);
        while sent.len() < ops.len() {
            let Some(batch) = outgoing.next_batch().await.unwrap() else { continue };
            sent.extend(batch.operations.iter().map(|pushed| pushed.operation.op));
            outgoing.answered(batch.batch, Vec::new());
            largest = pb::SynchronizeRequest::from(AgentMessage::Push(batch)).encoded_len().max(largest);
        }
        assert_eq!(sent, ops, "each once, in their order");
        assert!((least..most).contains(&largest), "{largest} bytes in one message");
    }
}

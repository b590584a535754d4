//! The agent's side of the conversation with a coordinator that does what a test tells it to: cases that sync systems are known to fail at,
//! by the ids of `tests/EDGE_CASES.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use tonic::Status;
use uuid::Uuid;

use super::testing::{HEARTBEAT, Talk, WELCOME, set};
use super::*;
use crate::agent::planner::tests::Bench;
use crate::agent::state::{InFlight, LocalSets, Pushed, members};
use crate::engine::{Activity, Target};
use crate::model::{
    Change, Cursor, Epoch, JournalEntry, Kind, Name, NodeId, NodeState, OpId, Operation, PairingId, Place, Properties, Push, Revisions,
    Sequence, SetShape, TargetNode,
};
use crate::task::Tasks;
use crate::wire::{AgentMessage, ChangeBatch, CoordinatorMessage, HELLO_SUBSCRIPTIONS_MAX, MemberPage, Welcome, pb};

fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

#[tokio::test(start_paused = true)]
async fn edge_w01_w02_a_coordinator_that_says_nothing_any_more_is_left_though_its_connection_is_alive() {
    let (bench, tasks) = (Bench::new(SetShape::Documents).await, Tasks::new());
    let mut talk = Talk::begin(&bench, &tasks, Vec::new());
    for _ in 0..10 {
        tokio::time::sleep(HEARTBEAT).await;
        talk.say(CoordinatorMessage::Heartbeat);
    }
    let mut beats = 0;
    while let Ok(heard) = talk.heard.try_recv() {
        beats += u32::from(heard == AgentMessage::Heartbeat);
    }
    assert!(beats >= 18, "while it is heard of, it hears of the agent: {beats}");
    let silent_since = tokio::time::Instant::now();
    assert!(matches!(talk.end().await, Ended::Silent));
    assert!(silent_since.elapsed() <= HEARTBEAT * 3);
}

#[tokio::test(start_paused = true)]
async fn edge_z08_an_agent_of_more_sets_than_its_greeting_holds_follows_all() {
    let (bench, tasks) = (Bench::new(SetShape::Documents).await, Tasks::new());
    let local = bench.context.store.read(|read| members::load_set(read, set(1))).unwrap().unwrap();
    let all = 2..=HELLO_SUBSCRIPTIONS_MAX as u128 + 500;
    let stored = bench.context.store.transact(move |tx| all.clone().try_for_each(|number| tx.put::<LocalSets>(&set(number), &local)));
    stored.await.unwrap();
    let mut talk = Talk::begin(&bench, &tasks, Vec::new());
    let mut followed = BTreeSet::new();
    while followed.len() < HELLO_SUBSCRIPTIONS_MAX + 500 {
        match talk.heard.recv().await.expect("it goes on") {
            AgentMessage::Hello(hello) => followed.extend(hello.subscriptions.into_iter().map(|subscription| subscription.set)),
            AgentMessage::Subscribe(subscription) => assert!(followed.insert(subscription.set)),
            _ => {}
        }
    }
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn edge_w11_a_listing_that_breaks_off_or_makes_no_sense_deletes_nothing() {
    let (bench, tasks, node) = (Bench::new(SetShape::Documents).await, Tasks::new(), node(7));
    bench.document(node, "doc", "text").await;
    let page = |token: &str, sequence| pb::ListMembersResponse {
        next_page_token: token.to_owned(),
        as_of_sequence: Some(Cursor { epoch: Epoch::new(1), sequence: Sequence::new(sequence) }.into()),
        ..Default::default()
    };
    let nameless = pb::MemberNode { node_id: node.to_string(), ..Default::default() };
    let broken = [
        vec![Err(Status::unavailable("away"))],
        vec![Err(Status::not_found("gone"))],
        vec![Err(Status::permission_denied("no"))],
        vec![Ok(page("more", 5)), Err(Status::internal("oops"))],
        vec![Ok(pb::ListMembersResponse { as_of_sequence: None, ..page("", 5) })],
        vec![Ok(pb::ListMembersResponse { members: vec![nameless], ..page("", 5) })],
    ];
    for (number, pages) in broken.into_iter().enumerate() {
        let talk = Talk::begin(&bench, &tasks, pages);
        talk.say(CoordinatorMessage::ResyncRequired { set: set(1), detail: String::new() });
        let end = talk.end().await;
        assert!(matches!(end, Ended::Fault(_) | Ended::Protocol(_)), "{number}: {end:?}");
        let (local, row) = bench
            .context
            .store
            .read(|read| Ok::<_, StoreError>((members::load_set(read, set(1))?, members::load(read, set(1), node)?)))
            .unwrap();
        assert!(!local.unwrap().target_complete, "{number}: nothing is planned before a listing came to its end");
        assert!(matches!(row.unwrap().member.target, Target::Present(_)), "{number}");
    }
    // What one that comes to its end does not name is offered again, not deleted.
    let talk = Talk::begin(&bench, &tasks, vec![Ok(page("more", 5)), Ok(page("", 5))]);
    talk.say(CoordinatorMessage::ResyncRequired { set: set(1), detail: String::new() });
    let complete = || bench.context.store.read(|read| members::load_set(read, set(1))).unwrap().unwrap().target_complete;
    while !complete() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let row = bench.context.store.read(|read| members::load(read, set(1), node)).unwrap().unwrap();
    assert_eq!((&row.member.target, &row.member.base), (&Target::Never, &None));
    assert!(row.member.source_node().is_some());
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn edge_z08_when_too_much_comes_in_with_a_folder_the_set_is_listed_anew_page_by_page() {
    let (bench, tasks) = (Bench::new(SetShape::Folder { subfolders: true }).await, Tasks::new());
    let at = |sequence| Cursor { epoch: Epoch::new(1), sequence: Sequence::new(sequence) };
    bench.context.store.transact(move |tx| members::update_set(tx, set(1), |local| local.cursor = Some(at(5)))).await.unwrap();
    let folder = |number: u128, parent: Option<u128>| TargetNode {
        node: node(number),
        state: NodeState {
            kind: Kind::Folder,
            place: Place { parent: parent.map(node), name: Name::new(number.to_string()).unwrap() },
            content: None,
            properties: Properties::default(),
        },
        revisions: Revisions::default(),
    };
    let within: Vec<_> = (100..=200).map(|number| folder(number, Some(8))).collect();
    let page = |members: Vec<TargetNode>| Ok(MemberPage { members, next_page_token: String::new(), as_of: at(9) }.into());
    let all = [folder(7, None), folder(8, Some(7))].into_iter().chain(within.clone()).collect();
    let mut talk = Talk::begin(&bench, &tasks, vec![page(within), page(all)]);
    let entered = Change::Entered { node: folder(8, Some(7)), lists: true };
    talk.say(CoordinatorMessage::Changes(ChangeBatch {
        set: set(1),
        from_exclusive: at(5),
        to_inclusive: at(6),
        changes: vec![JournalEntry { sequence: Sequence::new(6), op: None, change: entered }],
        more_follows: false,
        traceparent: String::new(),
    }));
    let goes_on = |heard: &AgentMessage| matches!(heard, AgentMessage::Subscribe(asked) if asked.cursor == Some(at(9)));
    while !goes_on(&talk.heard.recv().await.unwrap()) {}
    assert!((100..=200).all(|number| bench.row(node(number)).is_some()));
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

#[test]
fn edge_w10_agents_come_back_after_growing_and_different_times() {
    let delays = |failures: u32| (0..100).map(|agent| delay(failures, agent * 7)).collect::<BTreeSet<_>>();
    for failures in 0..20 {
        let spread = delays(failures);
        assert!(spread.len() > 50, "{failures}: {} different ones", spread.len());
        assert!(spread.last().unwrap() <= &(RECONNECT_LAST * 3 / 2), "{failures}");
        assert!(failures >= 8 || spread.first() < delays(failures + 1).first(), "{failures}: they grow");
    }
    assert!(delays(0).first().unwrap() >= &(RECONNECT_FIRST / 2), "nobody comes back at once");
}

/// An agent of set 1 at sequence 5 of epoch 1, with one document that it has asked to have deleted.
async fn with_a_delete_under_way(op: OpId) -> Bench {
    let bench = Bench::new(SetShape::Documents).await;
    bench.document(node(7), "doc", "text").await;
    let push = Push::Delete { through: Sequence::new(5) };
    let operation = Operation { op, set: set(1), node: node(7), pairing: PairingId::from_uuid(Uuid::from_u128(3)), push };
    let stored = bench.context.store.transact(move |tx| {
        tx.put::<InFlight>(&op, &Pushed { member: node(7), operation: operation.clone() })?;
        members::update_set(tx, set(1), |local| local.cursor = Some(Cursor { epoch: Epoch::new(1), sequence: Sequence::new(5) }))?;
        members::update(tx, set(1), node(7), |row| {
            row.map(|mut row| {
                (row.operation, row.member.activity) = (Some(op), Activity::Pushing);
                row
            })
        })
    });
    stored.await.unwrap();
    bench
}

#[tokio::test(start_paused = true)]
async fn edge_k08_to_a_coordinator_that_was_restored_nothing_is_sent_that_builds_on_what_it_forgot() {
    let op = OpId::from_uuid(Uuid::from_u128(9));
    for epoch in [1, 2] {
        let (bench, tasks) = (with_a_delete_under_way(op).await, Tasks::new());
        let reborn = Cursor { epoch: Epoch::new(epoch), sequence: Sequence::new(3) };
        let page = pb::ListMembersResponse { as_of_sequence: Some(reborn.into()), ..Default::default() };
        let mut talk = Talk::open(&bench, &tasks, vec![Ok(page)]);
        talk.say(CoordinatorMessage::Welcome(Welcome { epoch: Some(reborn.epoch), ..WELCOME }));
        talk.say(CoordinatorMessage::ResyncRequired { set: set(1), detail: String::new() });
        loop {
            match talk.heard.recv().await.expect("it goes on") {
                AgentMessage::Subscribe(subscription) if subscription.cursor == Some(reborn) => break,
                // Where nobody says that the journal went back, what is under way may be on its way before that is seen.
                AgentMessage::Push(batch) => assert_eq!(epoch, 1, "{batch:?}"),
                _ => {}
            }
        }
        let (row, in_flight) = bench
            .context
            .store
            .read(|read| Ok::<_, StoreError>((members::load(read, set(1), node(7))?.unwrap(), read.scan::<InFlight>(&(), None, 10)?)))
            .unwrap();
        assert!(row.operation.is_none() && row.member.activity == Activity::Idle && in_flight.is_empty(), "{epoch}");
        talk.cancel.cancel();
        assert!(matches!(talk.end().await, Ended::Cancelled));
    }
}

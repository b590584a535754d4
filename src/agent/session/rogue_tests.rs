//! A coordinator that breaks the rules: the agent leaves it by name, and nothing of what it said is done.

use tonic::Status;
use uuid::Uuid;

use super::testing::{Talk, WELCOME, set};
use super::*;
use crate::agent::planner::tests::Bench;
use crate::agent::state::{InFlight, LocalSets, MemberRow, Members, Pushed, members};
use crate::model::{
    Change, Cursor, Departure, Epoch, JournalEntry, NodeId, Operation, Outcome, PairingId, Push, Reason, Refusal, Sequence, SetShape,
};
use crate::store::StoreError;
use crate::task::Tasks;
use crate::wire::{AgentMessage, ChangeBatch, CoordinatorMessage, PushOutcomes, Welcome, pb};

const OP: OpId = OpId::from_uuid(Uuid::from_u128(9));

fn node() -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(7))
}

fn cursor(epoch: u64, sequence: u64) -> Cursor {
    Cursor { epoch: Epoch::new(epoch), sequence: Sequence::new(sequence) }
}

/// Changes of set 1 that delete a node at each of the sequences.
fn changes(from: Cursor, to: Cursor, sequences: impl IntoIterator<Item = u64>) -> pb::SynchronizeResponse {
    let delete = |sequence| JournalEntry {
        sequence: Sequence::new(sequence),
        op: None,
        change: Change::Left { node: node(), departure: Departure::Deleted },
    };
    CoordinatorMessage::Changes(ChangeBatch {
        set: set(1),
        from_exclusive: from,
        to_inclusive: to,
        changes: sequences.into_iter().map(delete).collect(),
        more_follows: false,
        traceparent: String::new(),
    })
    .into()
}

/// A document that came into set 1, under whatever name.
fn entered(name: &str) -> pb::SynchronizeResponse {
    let state = pb::NodeState { kind: pb::NodeKind::Folder.into(), name: name.to_owned(), ..Default::default() };
    let node = pb::MemberNode { node_id: node().to_string(), state: Some(state), ..Default::default() };
    let entered = pb::change_entry::Kind::Entered(pb::EnteredNode { node: Some(node), lists: false });
    let mut response = changes(cursor(1, 5), cursor(1, 9), [6]);
    if let Some(pb::synchronize_response::Kind::Changes(batch)) = &mut response.kind {
        batch.changes[0].kind = Some(entered);
    }
    response
}

fn outcomes(batch: u64, ops: &[OpId]) -> pb::SynchronizeResponse {
    let outcomes = ops.iter().map(|op| (*op, Outcome::Done(Sequence::new(6)))).collect();
    CoordinatorMessage::Outcomes(PushOutcomes { batch, outcomes }).into()
}

/// An agent of set 1 at sequence 5 of epoch 1, with one document, and the delete of another on its way.
async fn agent() -> Bench {
    let bench = Bench::new(SetShape::Documents).await;
    bench.document(node(), "doc", "text").await;
    let gone = NodeId::from_uuid(Uuid::from_u128(8));
    let push = Push::Delete { through: Sequence::new(5) };
    let operation = Operation { op: OP, set: set(1), node: gone, pairing: PairingId::from_uuid(Uuid::from_u128(3)), push };
    let pushed = Pushed { member: gone, operation };
    let stored = bench.context.store.transact(move |tx| {
        tx.put::<InFlight>(&OP, &pushed)?;
        members::update_set(tx, set(1), |local| local.cursor = Some(cursor(1, 5)))
    });
    stored.await.unwrap();
    bench
}

/// All that the agent holds.
fn held(bench: &Bench) -> impl PartialEq + std::fmt::Debug + use<> {
    let all = bench.context.store.read(|read| {
        let members = read.scan::<Members>(&(), None, 100)?;
        Ok::<_, StoreError>((members, read.scan::<InFlight>(&(), None, 100)?, read.scan::<LocalSets>(&(), None, 100)?))
    });
    all.unwrap()
}

#[tokio::test(start_paused = true)]
async fn edge_w15_a_coordinator_that_breaks_a_rule_is_left_and_nothing_of_it_is_done() {
    let (bench, tasks) = (agent().await, Tasks::new());
    let before = held(&bench);
    let (here, other) = (cursor(1, 5), OpId::from_uuid(Uuid::from_u128(10)));
    let cases = [
        ("a second welcome", CoordinatorMessage::Welcome(WELCOME).into(), "a second welcome"),
        ("nothing at all", pb::SynchronizeResponse { kind: None }, "kind"),
        ("outcomes of a batch that was never sent", outcomes(2, &[OP]), "outcomes of batch 2"),
        ("outcomes of another operation", outcomes(1, &[other]), "outcomes of batch 1"),
        ("more outcomes than operations", outcomes(1, &[OP, other]), "outcomes of batch 1"),
        ("no outcomes", outcomes(1, &[]), "outcomes of batch 1"),
        ("changes that go back", changes(here, cursor(1, 4), []), "to_cursor_inclusive"),
        ("changes that lead into another epoch", changes(here, cursor(2, 9), []), "to_cursor_inclusive"),
        ("a change that is not after the last", changes(here, cursor(1, 9), [6, 6]), "changes[1].sequence"),
        ("a change from before", changes(here, cursor(1, 9), [5]), "changes[0].sequence"),
        ("a change from beyond the end", changes(here, cursor(1, 9), [10]), "changes[0].sequence"),
        ("too many changes", changes(here, cursor(1, 900), 6..=506), "changes.changes"),
        ("a path for a name", entered("../../etc/passwd"), "name"),
        ("a name that is a way up", entered(".."), "name"),
        ("no name", entered(""), "name"),
    ];
    for (case, message, complaint) in cases {
        let mut talk = Talk::begin(&bench, &tasks, Vec::new());
        while !matches!(talk.heard.recv().await.unwrap(), AgentMessage::Push(_)) {}
        talk.say_raw(message);
        let end = talk.end().await;
        assert!(matches!(&end, Ended::Protocol(said) if said.contains(complaint)), "{case}: {end:?}");
        assert_eq!(held(&bench), before, "{case}");
    }
    let mut talk = Talk::begin(&bench, &tasks, Vec::new());
    while !matches!(talk.heard.recv().await.unwrap(), AgentMessage::Push(_)) {}
    talk.say_raw(outcomes(1, &[OP]));
    talk.say_raw(changes(here, cursor(1, 9), [7]));
    while !matches!(talk.heard.recv().await.unwrap(), AgentMessage::Ack(_)) {}
    assert_ne!(held(&bench), before, "one that keeps to the rules is heard");
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn edge_w14_edge_w15_no_conversation_begins_otherwise_than_with_a_welcome_in_a_version_that_was_offered() {
    let (bench, tasks) = (agent().await, Tasks::new());
    let another = Welcome { version: crate::wire::VERSION_CURRENT + 1, ..WELCOME };
    let cases: [(pb::SynchronizeResponse, &str); 3] = [
        (CoordinatorMessage::Heartbeat.into(), "something else than a welcome"),
        (CoordinatorMessage::Welcome(another).into(), "which was not offered"),
        (CoordinatorMessage::Welcome(Welcome { window_batches: 0, ..WELCOME }).into(), "window_batches"),
    ];
    for (message, complaint) in cases {
        let talk = Talk::open(&bench, &tasks, Vec::new());
        talk.say_raw(message);
        let end = talk.end().await;
        assert!(matches!(&end, Ended::Protocol(said) if said.contains(complaint)), "{end:?}");
    }
    let silent = Talk::open(&bench, &tasks, Vec::new());
    assert!(matches!(silent.end().await, Ended::Silent));
}

#[tokio::test(start_paused = true)]
async fn edge_w15_a_listing_that_leads_in_a_circle_comes_to_an_end() {
    let (bench, tasks) = (agent().await, Tasks::new());
    let page = |token: &str| pb::ListMembersResponse {
        next_page_token: token.to_owned(),
        as_of_sequence: Some(cursor(1, 5).into()),
        ..Default::default()
    };
    let circle = (0..2_000).map(|turn| Ok::<_, Status>(page(if turn % 2 == 0 { "there" } else { "back" }))).collect();
    let talk = Talk::begin(&bench, &tasks, circle);
    talk.say(CoordinatorMessage::ResyncRequired { set: set(1), detail: String::new() });
    let end = talk.end().await;
    assert!(matches!(&end, Ended::Protocol(said) if said.contains("nothing new")), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn edge_w15_of_a_set_that_is_not_here_nothing_is_written_down() {
    let (bench, tasks) = (agent().await, Tasks::new());
    let before = held(&bench);
    let mut talk = Talk::begin(&bench, &tasks, Vec::new());
    // It would be listed, and there is no page.
    talk.say(CoordinatorMessage::ResyncRequired { set: set(77), detail: String::new() });
    let mut foreign = changes(cursor(1, 0), cursor(1, 9), [6]);
    if let Some(pb::synchronize_response::Kind::Changes(batch)) = &mut foreign.kind {
        batch.set_id = set(77).to_string();
    }
    talk.say_raw(foreign);
    // What is said after it is heard, and asked about.
    talk.say_raw(changes(cursor(1, 8), cursor(1, 9), []));
    while !matches!(talk.heard.recv().await.unwrap(), AgentMessage::Subscribe(asked) if asked.set == set(1)) {}
    assert_eq!(held(&bench), before);
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn edge_w15_no_more_of_an_explanation_is_kept_than_a_person_reads() {
    let (bench, tasks) = (agent().await, Tasks::new());
    let mut talk = Talk::begin(&bench, &tasks, Vec::new());
    while !matches!(talk.heard.recv().await.unwrap(), AgentMessage::Push(_)) {}
    let refusal = Refusal::Because(Reason::Internal, "ä".repeat(1_000_000));
    let gone = NodeId::from_uuid(Uuid::from_u128(8));
    let stored = bench.context.store.transact(move |tx| {
        let row = MemberRow { operation: Some(OP), ..MemberRow::new(gone, PairingId::from_uuid(Uuid::from_u128(3))) };
        members::save(tx, set(1), None, Some(&row))
    });
    stored.await.unwrap();
    talk.say(CoordinatorMessage::Outcomes(PushOutcomes { batch: 1, outcomes: vec![(OP, Outcome::Refused(refusal))] }));
    let said = loop {
        match bench.context.store.read(|read| members::load(read, set(1), gone)).unwrap().map(|row| row.status.now.detail) {
            Some(said) if !said.is_empty() => break said,
            _ => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    };
    assert_eq!(said, "ä".repeat(2_048));
    talk.cancel.cancel();
    assert!(matches!(talk.end().await, Ended::Cancelled));
}

//! The conversation as an agent has it, over a connection in the process.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::content::BlobKind;
use crate::coordinator::agents;
use crate::coordinator::fixture::{Fixture, reason, with};
use crate::model::*;
use crate::wire::pb::sync_service_client::SyncServiceClient;
use crate::wire::*;

mod rogue;

struct Agent {
    sender: mpsc::Sender<pb::SynchronizeRequest>,
    receiver: Streaming<pb::SynchronizeResponse>,
}

impl Agent {
    /// Opens the stream without a word.
    async fn connect(fixture: &Fixture) -> Self {
        let mut client = SyncServiceClient::new(fixture.channel(Some(fixture.agent)).await);
        let (sender, receiver) = mpsc::channel(64);
        let receiver = client.synchronize(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { sender, receiver }
    }

    async fn greet(fixture: &Fixture, subscriptions: Vec<Subscription>) -> (Self, Welcome) {
        let mut agent = Self::connect(fixture).await;
        agent.send(hello(subscriptions)).await;
        match agent.next().await.unwrap() {
            CoordinatorMessage::Welcome(welcome) => (agent, welcome),
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, message: AgentMessage) {
        self.sender.send(message.into()).await.unwrap();
    }

    /// Returns what comes next but heartbeats.
    async fn next(&mut self) -> Result<CoordinatorMessage, Status> {
        loop {
            let message = self.receiver.message().await?.expect("the stream ended without a status");
            match CoordinatorMessage::try_from(message).unwrap() {
                CoordinatorMessage::Heartbeat => {}
                message => return Ok(message),
            }
        }
    }

    async fn outcomes(&mut self) -> Vec<Outcome> {
        loop {
            if let CoordinatorMessage::Outcomes(answer) = self.next().await.unwrap() {
                return answer.outcomes.into_iter().map(|(_, outcome)| outcome).collect();
            }
        }
    }

    async fn changes(&mut self) -> ChangeBatch {
        loop {
            if let CoordinatorMessage::Changes(batch) = self.next().await.unwrap() {
                return batch;
            }
        }
    }
}

fn hello(subscriptions: Vec<Subscription>) -> AgentMessage {
    AgentMessage::Hello(Hello {
        version_min: 1,
        version_max: 1,
        incarnation: Fixture::incarnation(),
        earlier: Vec::new(),
        software: "test/1".into(),
        window_batches: 4,
        subscriptions,
    })
}

fn create(node: NodeId, set: SetId, parent: Option<NodeId>, name: &str, bytes: Option<&'static [u8]>) -> PushedOperation {
    let content = bytes.map(|bytes| ContentRef { root: BlobKind::Chunk.hash(bytes), size_bytes: bytes.len() as u64, height: 0 });
    let state = NodeState {
        kind: if bytes.is_some() { Kind::Document } else { Kind::Folder },
        place: Place { parent, name: Name::new(name).unwrap() },
        content,
        properties: Properties::default(),
    };
    let operation = Operation {
        op: OpId::from_uuid(Uuid::now_v7()),
        set,
        node,
        pairing: PairingId::from_uuid(Uuid::now_v7()),
        push: Push::Create(state),
    };
    PushedOperation { operation, inline: bytes.map(Bytes::from_static) }
}

/// Creates of the set's folder and a document in it.
fn creates(fixture: &Fixture, set: SetId) -> Vec<PushedOperation> {
    let folder = fixture.mint_node();
    vec![create(folder, set, None, "Plans", None), create(fixture.mint_node(), set, Some(folder), "a.txt", Some(b"hello"))]
}

fn push(batch: u64, operations: Vec<PushedOperation>) -> AgentMessage {
    AgentMessage::Push(PushBatch { batch, operations, traceparent: String::new() })
}

#[tokio::test(start_paused = true)]
async fn edge_w14_hello_comes_first_and_soon_and_in_a_version_that_is_spoken() {
    let fixture = Fixture::new().await;
    let mut silent = Agent::connect(&fixture).await;
    assert_eq!(silent.next().await.unwrap_err().code(), Code::Unavailable);

    let mut early = Agent::connect(&fixture).await;
    early.send(AgentMessage::Heartbeat).await;
    let refused = early.next().await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));

    let mut newer = Agent::connect(&fixture).await;
    let AgentMessage::Hello(hello) = hello(Vec::new()) else { unreachable!() };
    newer.send(AgentMessage::Hello(Hello { version_min: 7, version_max: 9, ..hello })).await;
    assert_eq!(reason(&newer.next().await.unwrap_err()), "VERSION_UNSUPPORTED");
}

#[tokio::test(start_paused = true)]
async fn edge_k03_w08_a_batch_that_is_repeated_in_a_later_session_has_no_second_effect() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let operations = creates(&fixture, set);
    let (mut agent, first) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(1, operations.clone())).await;
    let answers = agent.outcomes().await;
    assert!(answers.iter().all(|outcome| matches!(outcome, Outcome::Done(_))), "{answers:?}");

    let (mut agent, second) = Agent::greet(&fixture, Vec::new()).await;
    assert!(second.session_generation > first.session_generation);
    agent.send(push(1, operations)).await;
    assert_eq!(agent.outcomes().await, answers);
}

#[tokio::test(start_paused = true)]
async fn edge_w08_batches_are_numbered_without_gaps() {
    let fixture = Fixture::new().await;
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(2, Vec::new())).await;
    assert_eq!(agent.next().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn changes_come_without_asking_and_wait_for_acknowledgements() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let (mut agent, _) = Agent::greet(&fixture, vec![Subscription { set, cursor: None }]).await;
    assert!(matches!(agent.next().await.unwrap(), CoordinatorMessage::ResyncRequired { set: of, .. } if of == set));

    let mut client = SyncServiceClient::new(fixture.channel(Some(fixture.agent)).await);
    let request = pb::ListMembersRequest { set_id: set.to_string(), ..Default::default() };
    let page = MemberPage::try_from(client.list_members(request).await.unwrap().into_inner()).unwrap();
    assert!(page.members.is_empty() && page.next_page_token.is_empty());
    agent.send(AgentMessage::Subscribe(Subscription { set, cursor: Some(page.as_of) })).await;

    let operations = creates(&fixture, set);
    let folder = operations[0].operation.node;
    agent.send(push(1, operations)).await;
    assert_eq!(agent.changes().await.changes.len(), 2);
    for batch in 2..=5_u64 {
        let name = format!("{batch}.txt");
        agent.send(push(batch, vec![create(fixture.mint_node(), set, Some(folder), &name, Some(b"hello"))])).await;
        assert!(matches!(agent.outcomes().await[..], [Outcome::Done(_)]));
        if batch <= 4 {
            assert_eq!(agent.changes().await.changes.len(), 1);
        }
    }
    // The window of four batches is full: the fifth comes after an acknowledgement.
    let quiet = tokio::time::timeout(Duration::from_secs(5), agent.changes()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let head = fixture.context.read(|read| crate::coordinator::journal::head(read, fixture.network)).unwrap();
    let cursor = Cursor { sequence: Sequence::new(head.sequence.get() - 1), ..head };
    agent.send(AgentMessage::Ack(Ack { set, cursor })).await;
    assert_eq!(agent.changes().await.to_inclusive, head);
    let held = || fixture.context.read(|read| Ok(crate::coordinator::sets::acknowledged(read, set)?)).unwrap();
    while held().map(|held| held.cursor) != Some(cursor) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn edge_k08_a_cursor_of_another_life_of_the_journal_needs_a_resync() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let cursor = Some(Cursor { epoch: Epoch::new(1), sequence: Sequence::new(1) });
    let (mut agent, _) = Agent::greet(&fixture, vec![Subscription { set, cursor }]).await;
    assert!(matches!(agent.next().await.unwrap(), CoordinatorMessage::ResyncRequired { .. }));
}

#[tokio::test(start_paused = true)]
async fn edge_w17_a_later_session_displaces_the_earlier_one() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let (mut earlier, _) = Agent::greet(&fixture, Vec::new()).await;
    let (mut later, _) = Agent::greet(&fixture, Vec::new()).await;
    let displaced = earlier.next().await.unwrap_err();
    assert_eq!((displaced.code(), reason(&displaced).as_str()), (Code::FailedPrecondition, "FENCED"));
    later.send(push(1, creates(&fixture, set))).await;
    assert!(matches!(later.outcomes().await[0], Outcome::Done(_)));
}

#[tokio::test(start_paused = true)]
async fn s_i01_edge_k10_w17_a_copy_of_an_agents_state_is_refused_until_a_person_lets_it_in() {
    let fixture = Fixture::new().await;
    let agent = fixture.agent;
    let begin = |now: u64, earlier: &'static [u64]| {
        let earlier: Vec<_> = earlier.iter().copied().map(Incarnation::new).collect();
        fixture.context.transact(move |tx| {
            agents::begin_session(tx, agent, (Incarnation::new(now), &earlier), "test/1", Timestamp { seconds: 1, nanoseconds: 0 })
        })
    };
    begin(1, &[]).await.unwrap();
    begin(3, &[1, 2]).await.unwrap();
    begin(3, &[1, 2]).await.unwrap();
    let refused = begin(4, &[1, 2]).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Fenced, "copied in life 2, when the original is in life 3");
    assert!(refused.message.contains("readmit"), "{}", refused.message);
    let token = fixture.sign_in().await;
    let mut client = pb::agent_service_client::AgentServiceClient::new(fixture.channel(None).await);
    let request = pb::ReadmitAgentRequest { network: "acme".into(), agent: "fileserver".into() };
    client.readmit_agent(with(&token, request)).await.unwrap();
    begin(4, &[1, 2]).await.unwrap();
    assert_eq!(begin(3, &[1, 2]).await.unwrap_err().kind, FaultKind::Fenced, "now it is the original's turn");
}

#[tokio::test(start_paused = true)]
async fn s_c11_revoking_an_agent_ends_its_session_at_once() {
    let fixture = Fixture::new().await;
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    assert!(fixture.context.sessions.is_connected(fixture.agent));
    let token = fixture.sign_in().await;
    let mut client = pb::agent_service_client::AgentServiceClient::new(fixture.channel(None).await);
    let request = pb::RevokeAgentRequest { network: "acme".into(), agent: "fileserver".into() };
    client.revoke_agent(with(&token, request)).await.unwrap();
    assert_eq!(agent.next().await.unwrap_err().code(), Code::Unauthenticated);
    let mut client = SyncServiceClient::new(fixture.channel(Some(fixture.agent)).await);
    let refused = client.list_members(pb::ListMembersRequest::default()).await.unwrap_err();
    assert_eq!(reason(&refused), "UNAUTHENTICATED");
}

#[tokio::test(start_paused = true)]
async fn edge_w01_w02_w04_an_agent_that_is_silent_or_does_not_read_is_let_go() {
    let fixture = Fixture::new().await;
    let (mut agent, welcome) = Agent::greet(&fixture, Vec::new()).await;
    tokio::time::sleep(welcome.heartbeat * 2 + Duration::from_secs(1)).await;
    assert_eq!(agent.next().await.unwrap_err().code(), Code::Unavailable);

    let (agent, _) = Agent::greet(&fixture, Vec::new()).await;
    let Agent { sender, receiver: _unread } = agent;
    let operations: Vec<_> = (0..10).flat_map(|_| creates(&fixture, SetId::from_uuid(Uuid::now_v7()))).collect();
    // As many as it takes to fill what lies between, on however slow a machine; sending waits once that is full.
    for batch in 1..=20_000 {
        if !fixture.context.sessions.is_connected(fixture.agent) || sender.send(push(batch, operations.clone()).into()).await.is_err() {
            break;
        }
        // Virtual time: passes when the batch was answered.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!fixture.context.sessions.is_connected(fixture.agent));
}

#[tokio::test(start_paused = true)]
async fn edge_w10_a_stopping_coordinator_answers_says_when_to_come_back_and_goes() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(1, creates(&fixture, set))).await;
    agent.outcomes().await;
    fixture.context.tasks.cancel().cancel();
    assert!(matches!(agent.next().await.unwrap(), CoordinatorMessage::Drain { .. }));
    assert_eq!(agent.next().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn s_c05_a_request_reaches_the_agent_live_and_again_until_it_was_surely_seen() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let token = fixture.sign_in().await;
    let mut client = pb::sync_set_service_client::SyncSetServiceClient::new(fixture.channel(None).await);
    let request = || pb::RequestSyncRequest { set_id: set.to_string(), node_id: String::new() };
    assert!(!client.request_sync(with(&token, request())).await.unwrap().into_inner().agent_connected);

    let asked = CoordinatorMessage::Directive(Directive::RequestSync { set, node: None });
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    assert_eq!(agent.next().await.unwrap(), asked);
    drop(agent);
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    assert_eq!(agent.next().await.unwrap(), asked);
    assert!(client.request_sync(with(&token, request())).await.unwrap().into_inner().agent_connected);
    assert_eq!(agent.next().await.unwrap(), asked);
}

#[tokio::test(start_paused = true)]
async fn s_e02_edge_q02_a_revoked_grant_stops_the_set_with_its_reason_and_heals() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let token = fixture.sign_in().await;
    let mut client = pb::sync_set_service_client::SyncSetServiceClient::new(fixture.channel(None).await);
    client.revoke_grant(with(&token, pb::RevokeGrantRequest { set_id: set.to_string() })).await.unwrap();
    let operations = creates(&fixture, set);
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(1, operations.clone())).await;
    let refused = agent.outcomes().await;
    assert!(matches!(&refused[0], Outcome::Refused(Refusal::Because(Reason::AuthenticationFailed, _))), "{refused:?}");
    client.restore_grant(with(&token, pb::RestoreGrantRequest { set_id: set.to_string() })).await.unwrap();
    agent.send(push(2, operations)).await;
    assert!(agent.outcomes().await.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
}

#[tokio::test(start_paused = true)]
async fn edge_w03_a_stream_that_was_cut_goes_on_from_its_cursor() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let head = || fixture.context.read(|read| crate::coordinator::journal::head(read, fixture.network)).unwrap();
    let follow = |cursor| vec![Subscription { set, cursor: Some(cursor) }];
    let operations = creates(&fixture, set);
    let folder = operations[0].operation.node;
    let (mut agent, _) = Agent::greet(&fixture, follow(head())).await;
    agent.send(push(1, operations)).await;
    let mut held = agent.changes().await.to_inclusive;
    for number in 0..3 {
        // Cut at once, so that what was sent and not acknowledged comes again.
        drop(agent);
        let (other, _) = Agent::greet(&fixture, Vec::new()).await;
        agent = other;
        agent.send(push(1, vec![create(fixture.mint_node(), set, Some(folder), &number.to_string(), Some(b"hello"))])).await;
        agent.outcomes().await;
        drop(agent);
        let (again, _) = Agent::greet(&fixture, follow(held)).await;
        agent = again;
        match agent.next().await.unwrap() {
            CoordinatorMessage::Changes(batch) => {
                assert_eq!((batch.from_exclusive, batch.changes.len()), (held, 1), "what it does not hold, and nothing else");
                held = batch.to_inclusive;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(held, head());
}

#[tokio::test(start_paused = true)]
async fn edge_w05_content_that_is_on_its_way_holds_up_no_push() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let mut client = pb::content_service_client::ContentServiceClient::new(fixture.channel(Some(fixture.agent)).await);
    let bytes = Bytes::from(vec![7; 1 << 20]);
    let hash = Bytes::copy_from_slice(BlobKind::Chunk.hash(&bytes).as_bytes());
    let message = pb::UploadRequest { set_id: set.to_string(), blobs: vec![pb::Blob { page: false, hash, data: bytes }] };
    // More than any window holds, and then it stands still.
    let messages = futures::stream::iter(vec![message; 64]).chain(futures::stream::pending());
    let upload = client.upload(messages);
    let pushed = async {
        let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
        for batch in 1..=20 {
            agent.send(push(batch, creates(&fixture, SetId::from_uuid(Uuid::now_v7())))).await;
            assert_eq!(agent.outcomes().await.len(), 2);
        }
    };
    tokio::select! {
        ended = upload => panic!("the upload ended: {ended:?}"),
        () = pushed => {}
    }
}

#[tokio::test(start_paused = true)]
async fn edge_w06_many_large_changes_come_in_messages_of_a_bounded_size() {
    use prost::Message as _;
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let from = fixture.context.read(|read| crate::coordinator::journal::head(read, fixture.network)).unwrap();
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    let mut operations = creates(&fixture, set);
    let folder = operations[0].operation.node;
    for number in 0..60 {
        let mut one = create(fixture.mint_node(), set, Some(folder), &number.to_string(), Some(b"hello"));
        if let Push::Create(state) = &mut one.operation.push {
            state.properties.set(Property::Author, Some(Value::Text("x".repeat(32 * 1024)))).unwrap();
        }
        operations.push(one);
    }
    agent.send(push(1, operations)).await;
    assert!(agent.outcomes().await.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
    let (mut agent, _) = Agent::greet(&fixture, vec![Subscription { set, cursor: Some(from) }]).await;
    let (mut taken, mut batches) = (0, 0);
    while taken < 62 {
        let batch = agent.changes().await;
        taken += batch.changes.len();
        batches += 1;
        agent.send(AgentMessage::Ack(Ack { set, cursor: batch.to_inclusive })).await;
        assert!(pb::ChangeBatch::from(batch).encoded_len() <= 128 * 1024);
    }
    assert!(batches > 1);

    // A message that no rule allows is refused, and the stream with it.
    let huge = create(fixture.mint_node(), set, Some(folder), &"x".repeat(200), None);
    let mut huge = pb::SynchronizeRequest::from(push(1, vec![huge]));
    if let Some(pb::synchronize_request::Kind::Push(batch)) = &mut huge.kind {
        batch.traceparent = "x".repeat(5 << 20);
    }
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.sender.send(huge).await.unwrap();
    let refused = agent.next().await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"), "{refused:?}");
}

//! An agent that breaks the rules: refused by name, and without effect on anybody else.

use tonic_types::StatusExt as _;

use super::*;
use crate::coordinator::fixture::ADA;
use crate::coordinator::{administration, journal};

/// An agent of another network on the same coordinator.
async fn stranger(fixture: &Fixture) -> AgentId {
    let context = &fixture.context;
    let network = administration::ensure_site(context, "other", "theirs", "mallory@example.com", "another horse".into()).await.unwrap();
    let enrolment = administration::create_enrolment(context, network, "rogue".into(), None).await.unwrap();
    let (agent, secret, now) = (context.mint(), enrolment.secret, context.now());
    let secret = crate::coordinator::accounts::hash(&secret);
    context.transact(move |tx| agents::enrol(tx, secret, agent, now)).await.unwrap();
    agent
}

fn head(fixture: &Fixture) -> Cursor {
    fixture.context.read(|read| journal::head(read, fixture.network)).unwrap()
}

fn asks(op: OpId, set: SetId, node: NodeId, push: Push) -> PushedOperation {
    let operation = Operation { op, set, node, pairing: PairingId::from_uuid(Uuid::now_v7()), push };
    PushedOperation { operation, inline: None }
}

/// Says something that is not allowed, and returns how the session ends.
async fn refused(fixture: &Fixture, messages: Vec<pb::SynchronizeRequest>) -> Status {
    let (mut agent, _) = Agent::greet(fixture, Vec::new()).await;
    for message in messages {
        // The session may end before all of it is sent.
        if agent.sender.send(message).await.is_err() {
            break;
        }
    }
    loop {
        match agent.next().await {
            Ok(_) => {}
            Err(status) => return status,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn edge_w15_edge_w16_an_agent_of_another_network_reaches_nothing() {
    let mut fixture = Fixture::new().await;
    let set = fixture.set().await;
    let operations = creates(&fixture, set);
    let (folder, document) = (operations[0].operation.node, operations[1].operation.node);
    let op = operations[1].operation.op;
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(1, operations)).await;
    agent.outcomes().await;
    let before = head(&fixture);

    fixture.agent = stranger(&fixture).await;
    let rogue = fixture;
    let mut client = SyncServiceClient::new(rogue.channel(Some(rogue.agent)).await);
    let request = pb::ListMembersRequest { set_id: set.to_string(), ..Default::default() };
    assert_eq!(client.list_members(request).await.unwrap_err().code(), Code::NotFound);
    let (mut agent, _) = Agent::greet(&rogue, vec![Subscription { set, cursor: Some(before) }]).await;
    assert_eq!(agent.next().await.unwrap(), CoordinatorMessage::Directive(Directive::SetEnded { set }));

    let update = Push::Update {
        content: None,
        place: Some((Place { parent: None, name: Name::new("taken").unwrap() }, before.sequence)),
        properties: Vec::new(),
    };
    let tries = [update, Push::Delete { through: before.sequence }, Push::Release { through: None }, Push::Pair { content: None }];
    let mut tries: Vec<_> = tries.into_iter().map(|push| asks(OpId::from_uuid(Uuid::now_v7()), set, folder, push)).collect();
    tries.push(create(rogue.mint_node(), set, Some(folder), "planted", None));
    // Under the name of an operation that somebody else has done, the answer to that one is not given away.
    tries.push(asks(op, set, document, Push::Release { through: None }));
    let count = tries.len();
    agent.send(push(1, tries)).await;
    let outcomes = agent.outcomes().await;
    assert_eq!(outcomes.len(), count);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused(_))), "{outcomes:?}");
    agent.send(AgentMessage::Ack(Ack { set, cursor: before })).await;
    let status = Some(MemberStatus { state: MemberState::Failed, reason: None, detail: "planted".to_owned() });
    let time = Timestamp { seconds: 1, nanoseconds: 0 };
    let said = MemberUpdate { node: folder, status, source_path: None, time, times: MemberTimes::default() };
    agent.send(AgentMessage::Report(MemberReport { set, members: vec![said] })).await;
    agent.send(push(2, Vec::new())).await;
    assert!(agent.outcomes().await.is_empty());
    drop(agent);
    while rogue.context.sessions.is_connected(rogue.agent) {
        tokio::task::yield_now().await;
    }

    assert_eq!(head(&rogue), before, "nothing happened in {ADA}'s network");
    let token = rogue.sign_in().await;
    let mut client = pb::sync_set_service_client::SyncSetServiceClient::new(rogue.channel(None).await);
    let request = pb::ListMemberStatusesRequest { set_id: set.to_string(), ..Default::default() };
    assert!(client.list_member_statuses(with(&token, request)).await.unwrap().into_inner().members.is_empty());
}

#[tokio::test(start_paused = true)]
async fn edge_w15_an_agent_that_breaks_a_rule_is_told_which_and_nothing_of_it_is_done() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let before = head(&fixture);
    let raw = |message: AgentMessage| pb::SynchronizeRequest::from(message);
    let named = |name: &str| {
        let AgentMessage::Push(batch) = push(1, creates(&fixture, set)) else { unreachable!() };
        let mut raw = pb::PushBatch::from(batch);
        if let Some(pb::operation::Push::Create(pb::CreateNode { state: Some(state), .. })) = &mut raw.operations[0].push {
            name.clone_into(&mut state.name);
        }
        pb::SynchronizeRequest { kind: Some(pb::synchronize_request::Kind::Push(raw)) }
    };
    let many = |count: usize| (0..count).map(|_| create(fixture.mint_node(), set, None, "x", None)).collect::<Vec<_>>();
    let large = create(fixture.mint_node(), set, None, "x", Some(&[7; INLINE_BYTES_MAX as usize + 1]));
    let time = Timestamp { seconds: 1, nanoseconds: 0 };
    let gone = || MemberUpdate { node: fixture.mint_node(), status: None, source_path: None, time, times: MemberTimes::default() };
    let cases = [
        ("a second hello", vec![raw(hello(Vec::new()))], "hello"),
        ("nothing at all", vec![pb::SynchronizeRequest { kind: None }], "kind"),
        ("a batch out of turn", vec![raw(push(7, Vec::new()))], "push.batch"),
        ("a batch again", vec![raw(push(1, Vec::new())), raw(push(1, Vec::new()))], "push.batch"),
        ("too many operations", vec![raw(push(1, many(501)))], "push.operations"),
        ("too much content in a message", vec![raw(push(1, vec![large]))], "push.operations[0].inline_content"),
        ("a path for a name", vec![named("../../etc/passwd")], "name"),
        ("a name that is a way up", vec![named("..")], "name"),
        ("no name", vec![named("")], "name"),
        (
            "too many members",
            vec![raw(AgentMessage::Report(MemberReport { set, members: (0..501).map(|_| gone()).collect() }))],
            "report.members",
        ),
    ];
    for (case, messages, field) in cases {
        let status = refused(&fixture, messages).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"), "{case}: {status:?}");
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert!(violations.iter().any(|violation| violation.field.contains(field)), "{case}: {violations:?}");
        assert_eq!(head(&fixture), before, "{case}");
    }
    let (mut agent, _) = Agent::greet(&fixture, Vec::new()).await;
    agent.send(push(1, creates(&fixture, set))).await;
    assert!(
        agent.outcomes().await.iter().all(|outcome| matches!(outcome, Outcome::Done(_))),
        "it is let in again when it keeps to the rules"
    );
}

#[tokio::test(start_paused = true)]
async fn edge_w15_nobody_acknowledges_what_was_not_sent() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let ahead = Cursor { sequence: Sequence::new(u64::MAX), ..head(&fixture) };
    let (mut agent, _) = Agent::greet(&fixture, vec![Subscription { set, cursor: Some(head(&fixture)) }]).await;
    agent.send(AgentMessage::Ack(Ack { set, cursor: ahead })).await;
    let refused = agent.next().await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("not sent"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn edge_w17_what_a_displaced_session_still_sends_has_no_effect() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let (earlier, _) = Agent::greet(&fixture, Vec::new()).await;
    let (mut later, _) = Agent::greet(&fixture, Vec::new()).await;
    let before = head(&fixture);
    // The stream may be closed already, which is as good.
    let _closed = earlier.sender.send(push(1, creates(&fixture, set)).into()).await;
    later.send(push(1, Vec::new())).await;
    assert!(later.outcomes().await.is_empty());
    assert_eq!(head(&fixture), before);
}

//! What the wire holds: golden bytes of the stream's messages, round trips, junk, and every fault as a status.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::model::*;

use super::*;

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn content(size_bytes: u64) -> ContentRef {
    ContentRef { root: Hash::from_bytes([7; 32]), size_bytes, height: 0 }
}

fn document(name: &str) -> NodeState {
    let mut properties = Properties::default();
    properties.set(Property::Author, Some(Value::Text("Ada".into()))).unwrap();
    NodeState {
        kind: Kind::Document,
        place: Place { parent: Some(NodeId::from_uuid(uuid(9))), name: Name::new(name).unwrap() },
        content: Some(content(2)),
        properties,
    }
}

fn operation(push: Push, inline: Option<Bytes>) -> PushedOperation {
    let operation = Operation {
        op: OpId::from_uuid(uuid(1)),
        set: SetId::from_uuid(uuid(2)),
        node: NodeId::from_uuid(uuid(3)),
        pairing: PairingId::from_uuid(uuid(4)),
        push,
    };
    PushedOperation { operation, inline }
}

fn pushes() -> Vec<PushedOperation> {
    let place = Place { parent: None, name: Name::new("b.txt").unwrap() };
    let removed = PropertyChange { property: Property::Title, value: None, base: Sequence::new(5) };
    vec![
        operation(Push::Create(document("a.txt")), Some(Bytes::from_static(b"hi"))),
        operation(
            Push::Update {
                content: Some((content(9), Sequence::new(3))),
                place: Some((place, Sequence::new(4))),
                properties: vec![removed],
            },
            None,
        ),
        operation(Push::Delete { through: Sequence::new(8) }, None),
        operation(Push::Release { through: None }, None),
        operation(Push::Pair { content: Some(content(1)) }, None),
    ]
}

fn target_node() -> TargetNode {
    let state = document("a.txt");
    let mut revisions = Revisions::all_at(Sequence::new(6), &state.properties);
    revisions.properties.insert(Property::Title, Sequence::new(4));
    TargetNode { node: NodeId::from_uuid(uuid(3)), state, revisions }
}

fn cursor(sequence: u64) -> Cursor {
    Cursor { epoch: Epoch::new(0x0102_0304), sequence: Sequence::new(sequence) }
}

fn agent_messages() -> Vec<AgentMessage> {
    let set = SetId::from_uuid(uuid(2));
    let update = |status| MemberUpdate {
        node: NodeId::from_uuid(uuid(3)),
        status,
        source_path: Some("Plans/a.txt".into()),
        time: Timestamp { seconds: 1_700_000_000, nanoseconds: 5 },
        times: MemberTimes { success: None, attempt: Some(Timestamp { seconds: 6, nanoseconds: 7 }), retry: None },
    };
    let failed = MemberStatus { state: MemberState::Failed, reason: Some(Reason::NameClash), detail: "a.txt".into() };
    vec![
        AgentMessage::Hello(Hello {
            version_min: 1,
            version_max: 1,
            incarnation: Incarnation::new(77),
            earlier: Vec::new(),
            software: "skybridge/0.1.0".into(),
            window_batches: 16,
            subscriptions: vec![Subscription { set, cursor: Some(cursor(3)) }, Subscription { set, cursor: None }],
        }),
        AgentMessage::Subscribe(Subscription { set, cursor: None }),
        AgentMessage::Push(PushBatch { batch: 1, operations: pushes(), traceparent: String::new() }),
        AgentMessage::Ack(Ack { set, cursor: cursor(4) }),
        AgentMessage::Report(MemberReport { set, members: vec![update(Some(failed)), update(None)] }),
        AgentMessage::Heartbeat,
    ]
}

fn coordinator_messages() -> Vec<CoordinatorMessage> {
    let set = SetId::from_uuid(uuid(2));
    let op = OpId::from_uuid(uuid(1));
    let outcomes = [
        Outcome::Done(Sequence::new(6)),
        Outcome::Refused(Refusal::Stale),
        Outcome::Refused(Refusal::NameTaken { holder: Some(NodeId::from_uuid(uuid(5))) }),
        Outcome::Refused(Refusal::Missing),
        Outcome::Refused(Refusal::NotEmpty),
        Outcome::Refused(Refusal::ContentMissing),
        Outcome::Refused(Refusal::Because(Reason::QuotaExceeded, "full".into())),
    ];
    let changes = [
        Change::Present(target_node()),
        Change::Entered { node: target_node(), lists: true },
        Change::Left { node: NodeId::from_uuid(uuid(3)), departure: Departure::Deleted },
    ];
    vec![
        CoordinatorMessage::Welcome(Welcome {
            version: 1,
            session_generation: 3,
            heartbeat: Duration::from_secs(15),
            window_batches: 8,
            batch_operations_max: 500,
            batch_bytes_max: 1 << 20,
            inline_bytes_max: INLINE_BYTES_MAX,
            epoch: Some(Epoch::new(5)),
        }),
        CoordinatorMessage::Outcomes(PushOutcomes { batch: 1, outcomes: outcomes.map(|outcome| (op, outcome)).into() }),
        CoordinatorMessage::Changes(ChangeBatch {
            set,
            from_exclusive: cursor(3),
            to_inclusive: cursor(6),
            changes: (4..).zip(changes).map(|(at, change)| JournalEntry { sequence: Sequence::new(at), op: Some(op), change }).collect(),
            more_follows: true,
            traceparent: String::new(),
        }),
        CoordinatorMessage::ResyncRequired { set, detail: "another epoch".into() },
        CoordinatorMessage::Directive(Directive::RequestSync { set, node: None }),
        CoordinatorMessage::Directive(Directive::SetEnded { set }),
        CoordinatorMessage::Heartbeat,
        CoordinatorMessage::Drain { reconnect_after: Duration::from_millis(1500) },
    ]
}

#[test]
fn every_message_of_the_stream_round_trips() {
    for message in agent_messages() {
        let bytes = pb::SynchronizeRequest::from(message.clone()).encode_to_vec();
        assert_eq!(AgentMessage::try_from(pb::SynchronizeRequest::decode(&*bytes).unwrap()), Ok(message));
    }
    for message in coordinator_messages() {
        let bytes = pb::SynchronizeResponse::from(message.clone()).encode_to_vec();
        assert_eq!(CoordinatorMessage::try_from(pb::SynchronizeResponse::decode(&*bytes).unwrap()), Ok(message));
    }
}

/// A change of these hashes is a change of the protocol: it needs a new version of the conversation or a compatible reading.
#[test]
fn the_bytes_of_the_stream_are_pinned() {
    let requests: Vec<_> = agent_messages().into_iter().map(|m| digest(&pb::SynchronizeRequest::from(m).encode_to_vec())).collect();
    let responses: Vec<_> = coordinator_messages().into_iter().map(|m| digest(&pb::SynchronizeResponse::from(m).encode_to_vec())).collect();
    assert_eq!(requests, GOLDEN_REQUESTS);
    assert_eq!(responses, GOLDEN_RESPONSES);
    let ack = pb::SynchronizeRequest::from(agent_messages()[3].clone()).encode_to_vec();
    let expected =
        [b"\x22\x33\x0a\x2400000000-0000-0000-0000-000000000002\x12\x0b\x09\x04\x03\x02\x01\0\0\0\0\x10\x04".as_slice()].concat();
    assert_eq!(ack, expected);
}

fn digest(bytes: &[u8]) -> String {
    format!("{}:{}", bytes.len(), &blake3::hash(bytes).to_hex()[..12])
}

const GOLDEN_REQUESTS: [&str; 6] =
    ["127:0b7b2f0d75eb", "40:c95467a789bb", "1006:8ce46859ddbd", "53:7e83f8fb84be", "192:a646db97df79", "2:86f47da60dcf"];
const GOLDEN_RESPONSES: [&str; 8] = [
    "32:02c9c9237f40",
    "357:5ad5ef7b206e",
    "584:a4cd55fdfc02",
    "55:d1f6c8a63ab9",
    "42:291e200d06bf",
    "42:3504fbee232c",
    "2:86f47da60dcf",
    "12:592ced4b2cff",
];

#[test]
fn edge_w15_junk_is_refused_with_the_path_of_the_field() {
    let good = pb::Operation::from(pushes().remove(0));
    let request = |operation| pb::SynchronizeRequest {
        kind: Some(pb::synchronize_request::Kind::Push(pb::PushBatch {
            batch: 1,
            operations: vec![good.clone(), operation],
            traceparent: String::new(),
        })),
    };
    let with = |change: fn(&mut pb::Operation)| {
        let mut operation = good.clone();
        change(&mut operation);
        AgentMessage::try_from(request(operation)).map_err(|error| error.field).err()
    };
    fn create(operation: &mut pb::Operation) -> &mut pb::CreateNode {
        match operation.push.as_mut() {
            Some(pb::operation::Push::Create(create)) => create,
            other => panic!("{other:?}"),
        }
    }
    fn state(operation: &mut pb::Operation) -> &mut pb::NodeState {
        create(operation).state.as_mut().unwrap()
    }
    let cases: [(&str, fn(&mut pb::Operation)); 12] = [
        ("node_id", |o| o.node_id = "7".into()),
        ("op_id", |o| o.op_id.clear()),
        ("push", |o| o.push = None),
        ("create.state", |o| create(o).state = None),
        ("create.state.name", |o| state(o).name = "a/b".into()),
        ("create.state.kind", |o| state(o).kind = 9),
        ("create.state.content", |o| state(o).content = None),
        ("create.state.content.root", |o| state(o).content = Some(pb::ContentRef::default())),
        ("create.state.properties[0].property", |o| state(o).properties[0].property = "cm:creator".into()),
        ("create.state.properties[0].value", |o| state(o).properties[0].value = None),
        ("create.state.properties[1].property", |o| {
            let again = state(o).properties[0].clone();
            state(o).properties.push(again);
        }),
        ("create.inline_content", |o| create(o).inline_content = Some(Bytes::from_static(b"longer"))),
    ];
    for (field, change) in cases {
        assert_eq!(with(change), Some(format!("push.operations[1].{field}")));
    }
    assert_eq!(AgentMessage::try_from(pb::SynchronizeRequest { kind: None }), Err(ProtocolError::missing("kind")));
}

#[test]
fn edge_w15_a_heartbeat_that_no_clock_can_keep_is_refused() {
    let welcome = |heartbeat: prost_types::Duration| {
        Welcome::try_from(pb::Welcome {
            version: 1,
            heartbeat: Some(heartbeat),
            window_batches: 1,
            batch_operations_max: 1,
            batch_bytes_max: 1,
            ..Default::default()
        })
    };
    assert!(welcome(prost_types::Duration { seconds: 15, nanos: 0 }).is_ok());
    for (seconds, nanos) in [(0, 0), (0, 1), (-1, 0), (3_601, 0), (i64::MAX, 0)] {
        let refused = welcome(prost_types::Duration { seconds, nanos }).unwrap_err();
        assert!(refused.to_string().contains("heartbeat"), "{seconds} s {nanos} ns: {refused}");
    }
}

#[test]
fn edge_w15_a_coordinator_that_stops_keeps_no_agent_away_for_long() {
    let away = CoordinatorMessage::Drain { reconnect_after: Duration::from_secs(1 << 40) };
    let read = CoordinatorMessage::try_from(pb::SynchronizeResponse::from(away));
    assert_eq!(read, Ok(CoordinatorMessage::Drain { reconnect_after: Duration::from_secs(300) }));
}

#[test]
fn a_refused_id_survives_the_wire() {
    let refusal = pb::Refusal::from(Refusal::IdInUse);
    assert_eq!(refusal.kind, pb::refusal::Kind::IdInUse as i32);
    assert_eq!(Refusal::try_from(refusal), Ok(Refusal::IdInUse));
}

#[test]
fn edge_w14_what_a_newer_peer_says_has_a_defined_meaning() {
    assert_eq!(common::reason(0), None);
    assert_eq!(common::reason(4711), Some(Reason::Internal));
    let refusal = pb::Refusal { kind: 99, detail: "new".into(), ..Default::default() };
    assert_eq!(Refusal::try_from(refusal), Ok(Refusal::Because(Reason::Internal, "new".into())));
    let left = pb::LeftNode { node_id: uuid(3).to_string(), departure: 99 };
    let entry = pb::ChangeEntry { sequence: 1, op_id: String::new(), kind: Some(pb::change_entry::Kind::Left(left)) };
    let entry = JournalEntry::try_from(entry).unwrap();
    assert_eq!(entry.change, Change::Left { node: NodeId::from_uuid(uuid(3)), departure: Departure::MovedOut });
}

#[test]
fn s_a04_a05_choices_that_contradict_each_other_are_refused() {
    let options = |no_delete_on_cloud, delete_source, no_subfolders| {
        Some(pb::SyncOptions { lock_source: false, no_delete_on_cloud, delete_source, no_subfolders })
    };
    assert_eq!(set_choices(true, None), Ok((SetShape::Folder { subfolders: true }, SetOptions::default())));
    assert_eq!(set_choices(true, options(true, true, false)).unwrap_err().field, "options.delete_source");
    assert_eq!(set_choices(false, options(false, false, true)).unwrap_err().field, "options.no_subfolders");
    let (shape, chosen) = set_choices(true, options(false, true, true)).unwrap();
    assert_eq!(Some(sync_options(shape, chosen)), options(false, true, true));
}

fn kinds() -> Vec<FaultKind> {
    use FaultKind::*;
    let all = vec![
        Invalid { field: "operations[3].node_id".into() },
        NotFound,
        AlreadyExists,
        Stale,
        Precondition,
        Fenced,
        CursorCompacted,
        OutOfRange,
        VersionUnsupported,
        Unauthenticated,
        Denied,
        Exhausted,
        Unavailable,
        Internal,
    ];
    // A new kind does not compile here until it is listed above.
    for kind in &all {
        match kind {
            Invalid { .. } | NotFound | AlreadyExists | Stale | Precondition | Fenced | CursorCompacted | OutOfRange => {}
            VersionUnsupported | Unauthenticated | Denied | Exhausted | Unavailable | Internal => {}
        }
    }
    all
}

#[test]
fn s_e05_every_fault_is_a_status_with_a_reason_and_comes_back() {
    for kind in kinds() {
        let reasons = std::iter::once(None).chain(Reason::ALL.into_iter().map(Some));
        for reason in reasons {
            let fault = Fault { reason, internal: Some("secret cause".into()), ..Fault::new(kind.clone(), "told") };
            let status = Status::from(fault.clone());
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!(info.domain, DOMAIN);
            assert!(Some(info.reason.as_str()) == reason.map(Reason::code) || info.reason == kind_code(&kind), "{kind:?} {reason:?}");
            assert!(!format!("{status:?}").contains("secret cause"));
            assert_eq!(details.bad_request().is_some(), matches!(kind, FaultKind::Invalid { .. }));
            assert_eq!(details.request_info().is_some(), kind == FaultKind::Internal);
            assert_eq!(details.quota_failure().is_some(), kind == FaultKind::Exhausted);
            let back = Fault::from_status(&status);
            assert_eq!(back.kind, kind);
            assert!(back.message.starts_with("told") && back.internal.is_none());
        }
    }
}

#[test]
fn what_the_transport_says_is_unavailable() {
    for code in [Code::Unknown, Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable] {
        assert_eq!(Fault::from_status(&Status::new(code, "h2 protocol error")).kind, FaultKind::Unavailable);
    }
    let limited = Fault::new(FaultKind::Exhausted, "too many").retry_after(Duration::from_secs(7));
    assert_eq!(Fault::from_status(&limited.clone().into()).retry_after, limited.retry_after);
}

fn value(property: Property) -> BoxedStrategy<Option<Value>> {
    let text = "[a-zA-Z]{1,20}".prop_map(Value::Text);
    let localized = prop::collection::btree_map("[a-z]{2}", ".{0,20}", 1..4).prop_map(Value::Localized);
    let candidates = prop_oneof![
        text,
        localized,
        (-90.0..90.0f64).prop_map(Value::Double),
        any::<i32>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanoseconds)| Value::Time(Timestamp { seconds, nanoseconds })),
    ];
    candidates.prop_map(move |value| Properties::default().set(property, Some(value.clone())).is_ok().then_some(value)).boxed()
}

fn any_target_node() -> impl Strategy<Value = TargetNode> {
    let properties = Property::ALL.map(|property| (Just(property), value(property), any::<u64>())).to_vec();
    let name = "[^\\x00-\\x1f\"*\\\\><?/:|]{1,40}".prop_filter_map("allowed", |text| Name::new(text).ok());
    let content = prop::option::of((any::<[u8; 32]>(), any::<u64>(), 0..=8u8));
    (any::<[u64; 4]>(), name, content, properties, any::<bool>()).prop_map(|(numbers, name, content, entries, nested)| {
        let mut properties = Properties::default();
        let mut revisions = BTreeMap::new();
        for (property, value, revision) in entries {
            revisions.insert(property, Sequence::new(revision));
            properties.set(property, value).unwrap();
        }
        let [existence, place, content_revision, id] = numbers;
        let node = NodeId::from_uuid(uuid(u128::from(id) + 1));
        TargetNode {
            node,
            state: NodeState {
                kind: if content.is_some() { Kind::Document } else { Kind::Folder },
                place: Place { parent: nested.then_some(node), name },
                content: content.map(|(root, size_bytes, height)| ContentRef { root: Hash::from_bytes(root), size_bytes, height }),
                properties,
            },
            revisions: Revisions {
                existence: Sequence::new(existence),
                place: Sequence::new(place),
                content: Sequence::new(content_revision),
                properties: revisions,
            },
        }
    })
}

proptest! {
    #[test]
    fn members_round_trip(node in any_target_node()) {
        let bytes = pb::MemberNode::from(node.clone()).encode_to_vec();
        prop_assert_eq!(TargetNode::try_from(pb::MemberNode::decode(&*bytes).unwrap()), Ok(node));
    }

    #[test]
    fn edge_w15_no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = pb::SynchronizeRequest::decode(&*bytes) {
            drop(AgentMessage::try_from(message));
        }
        if let Ok(message) = pb::SynchronizeResponse::decode(&*bytes) {
            drop(CoordinatorMessage::try_from(message));
        }
    }
}

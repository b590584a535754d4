//! What agents report and acknowledge, what waits for them, and reading the journal from a cursor.

use super::*;
use crate::coordinator::journal::{self, ReadError};
use crate::coordinator::testing::{World, document_state, time};
use crate::model::{Cursor, Epoch, MemberState, MemberStatus, MemberTimes, Push, Sequence};

fn report(node: NodeId, state: Option<MemberState>, source_path: &str) -> Report {
    let status = state.map(|state| MemberStatus { state, reason: None, detail: String::new() });
    Report { node, status, source_path: source_path.to_owned(), at: time(5), times: MemberTimes::default() }
}

#[test]
fn s_c03_s_c04_reports_are_counted_and_found_by_state() {
    let world = World::new();
    let set = world.set("site/A", SetShape::Documents, SetOptions::default());
    let id = set.set.id;
    let nodes: Vec<_> = (0..4).map(|_| world.node_id()).collect();
    let say = |reports: Vec<Report>| world.change(move |tx| Ok(record_reports(tx, id, &reports)?)).unwrap();
    say(nodes.iter().map(|node| report(*node, Some(MemberState::Pending), "a/b")).collect());
    say(vec![
        report(nodes[0], Some(MemberState::Failed), ""),
        report(nodes[1], Some(MemberState::Synced), "c"),
        report(nodes[2], None, ""),
    ]);
    let counted: Vec<_> = world.read(|read| Ok(counts(read, id)?)).iter().collect();
    assert_eq!(counted, [(MemberState::Pending, 1), (MemberState::Synced, 1), (MemberState::Failed, 1)]);

    let listed = |state, after| world.read(|read| Ok(list_reports(read, id, state, after, 2)?));
    let ids = |page: &[(NodeId, MemberReport)]| page.iter().map(|(node, _)| *node).collect::<Vec<_>>();
    let (first, next) = listed(None, None);
    assert_eq!((ids(&first), first[0].1.source_path.as_str()), (vec![nodes[0], nodes[1]], "a/b"));
    assert_eq!(ids(&listed(None, next).0), [nodes[3]]);
    assert_eq!(ids(&listed(Some(MemberState::Failed), None).0), [nodes[0]]);
    assert_eq!(ids(&listed(Some(MemberState::Synced), None).0), [nodes[1]]);
    let failed = |only| world.read(|read| list(read, world.owner, "acme", only, None, 10)).0.len();
    assert_eq!((failed(true), failed(false)), (1, 1));
    say(vec![report(nodes[0], None, "")]);
    assert_eq!(failed(true), 0);
}

#[test]
fn s_c05_a_request_waits_until_it_was_passed_on() {
    let world = World::new();
    let set = world.set("site/A", SetShape::Documents, SetOptions::default());
    let (id, agent, definition) = (set.set.id, world.agent, set.clone());
    let ask = |at| {
        let definition = definition.clone();
        world.change(move |tx| Ok(direct(tx, &definition, Directive::RequestSync { node: None }, time(at))?)).unwrap();
    };
    let pending = || world.read(|read| Ok(pending_directives(read, agent)?));
    ask(1);
    ask(2);
    let [(_, first)] = pending()[..] else { panic!("asking twice is asking once") };
    ask(3);
    world.change(move |tx| Ok(clear_directive(tx, agent, id, first)?)).unwrap();
    let [(_, second)] = pending()[..] else { panic!("it was asked again since") };
    world.change(move |tx| Ok(clear_directive(tx, agent, id, second)?)).unwrap();
    assert_eq!(pending(), []);
}

#[test]
fn s_c06_owners_see_their_sets_and_administrators_all() {
    let world = World::new();
    let set = world.set("site/A", SetShape::Documents, SetOptions::default()).set.id;
    let seen = |account| world.read(|read| list(read, account, "acme", false, None, 10)).0.len();
    assert_eq!((seen(world.owner), seen(world.admin)), (1, 1));
    assert!(world.store.read(|read| managed(read, world.admin, set)).is_ok());
    let stranger = AccountId::from_uuid(uuid::Uuid::from_u128(77));
    for result in [world.store.read(|read| visible(read, stranger, set)), world.store.read(|read| managed(read, stranger, set))] {
        assert!(matches!(result, Err(Failure::Refused(Fault { kind: FaultKind::NotFound, .. }))));
    }
}

#[test]
fn a_set_is_created_once_however_often_it_is_asked_for() {
    let world = World::new();
    let new = NewSet {
        id: SetId::from_uuid(uuid::Uuid::from_u128(500)),
        agent: world.agent,
        target_path: "acme/site/A".to_owned(),
        create_folder: true,
        shape: SetShape::Documents,
        options: SetOptions::default(),
        name: crate::coordinator::testing::name("set"),
        source_path: String::new(),
    };
    let ask = |account| {
        let (gate, actor, new, id) = (world.gate.clone(), Actor::person(account, world.now), new.clone(), world.node_id());
        world.change(move |tx| create(tx, &gate, actor, &new, &mut || id))
    };
    let first = ask(world.owner).unwrap();
    assert_eq!(ask(world.owner).unwrap(), first);
    assert_eq!(ask(world.admin).unwrap_err().kind, FaultKind::AlreadyExists);
}

#[test]
fn a_journal_is_read_in_parts_and_not_from_where_it_cannot_be() {
    let world = World::new();
    let set = world.set("site/A", SetShape::Documents, SetOptions::default());
    for n in 0..5 {
        world.create(&set, document_state(None, &n.to_string(), "1"));
        world.admin().write("site", &n.to_string(), "1").unwrap();
    }
    let head = world.head();
    let read = |from| world.read(|read| journal::changes(read, &set, from, 2));
    let (mut from, mut sequences) = (Cursor { sequence: Sequence::ZERO, ..head }, Vec::new());
    loop {
        let part = read(from).unwrap();
        sequences.extend(part.entries.iter().map(|entry| entry.sequence.get()));
        from = part.covered_to;
        if !part.more {
            break;
        }
    }
    assert_eq!((from, sequences), (head, vec![2, 4, 6, 8, 10]));
    assert_eq!(read(Cursor { epoch: Epoch::new(1), ..head }), Err(ReadError::OtherEpoch));
    assert_eq!(read(Cursor { sequence: head.sequence.next(), ..head }), Err(ReadError::Ahead { head: head.sequence }));
}

#[test]
fn edge_x08_the_journal_is_compacted_no_further_than_all_agents_have_acknowledged() {
    let world = World::new();
    let one = world.set("site/A", SetShape::Documents, SetOptions::default());
    let two = world.set("site/B", SetShape::Documents, SetOptions::default());
    let node = world.create(&one, document_state(None, "a", "1"));
    world.done(&one, node, Push::Delete { through: world.head().sequence });
    let (head, network) = (world.head(), world.network);
    let acknowledge_to = |set: SetId, number| {
        let cursor = Cursor { sequence: Sequence::new(number), ..head };
        world.change(move |tx| Ok(acknowledge(tx, set, cursor, time(9))?)).unwrap();
    };
    let all = || world.read(|read| Ok(acknowledged_by_all(read, network)?));
    acknowledge_to(one.set.id, head.sequence.get());
    assert_eq!(all(), Some(Sequence::ZERO), "the other agent has acknowledged nothing");
    acknowledge_to(two.set.id, 3);
    acknowledge_to(two.set.id, 2);
    assert_eq!(all(), Some(Sequence::new(3)), "an older acknowledgement takes nothing back");

    let compact = |before| world.change(move |tx| journal::compact(tx, network, Sequence::new(3), before, 10)).unwrap();
    assert_eq!(compact(time(1_000)), 0, "too young");
    assert_eq!(compact(time(2_000)), 3);
    let read = |number| world.read(|read| journal::changes(read, &one, Cursor { sequence: Sequence::new(number), ..head }, 10));
    assert_eq!(read(2), Err(ReadError::Compacted { oldest: Sequence::new(4) }));
    assert_eq!(read(3).unwrap().entries.len(), 1);
    assert_eq!(world.read(|read| Ok(journal::lag(read, one.set.id, Sequence::ZERO, 10)?)), 1);
}

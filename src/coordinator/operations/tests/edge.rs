//! Cases that sync systems are known to fail at, by the ids of `tests/EDGE_CASES.md`.

use super::*;
use crate::coordinator::library::{list, list_trash};
use crate::store::Store;
use crate::store::testing::{Faults, faulty};

#[test]
fn edge_m21_content_reaches_its_document_though_a_folder_was_moved_meanwhile() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let (from, to) = (world.create(&set, folder_state(Some(top), "from")), world.create(&set, folder_state(Some(top), "to")));
    let node = world.create(&set, document_state(Some(from), "a", "1"));
    let new = world.node_id();
    let (write, create) = (world.writing(node, "2"), Push::Create(document_state(Some(from), "new", "3")));
    world.admin().mv("site/A/Plans/from", "site/A/Plans/to", "moved").unwrap();
    world.done(&set, node, write);
    world.done(&set, new, create);
    assert_eq!(world.node(node).path_in_library(), "A/Plans/to/moved/a");
    assert_eq!((world.node(node).node.content, world.node(new).path_in_library().as_str()), (Some(content("2")), "A/Plans/to/moved/new"));
    assert_eq!(world.set_of(to), Some(set.set.id));
}

#[test]
fn edge_c07_what_was_written_there_during_an_upload_is_not_overwritten() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    let late = world.writing(node, "ours");
    world.admin().write("site/A/Plans", "a", "theirs").unwrap();
    assert_eq!(world.refused(&set, node, late), Refusal::Stale);
    assert_eq!(world.node(node).node.content, Some(content("theirs")));
    // After it has seen that, it may replace it, and both are versions.
    world.done(&set, node, world.writing(node, "ours"));
    let versions = world.read(|read| crate::coordinator::library::list_versions(read, world.admin, &path("site/A/Plans/a"), None, 10));
    assert_eq!(versions.iter().map(|(_, version)| version.content).collect::<Vec<_>>(), ["ours", "theirs", "1"].map(content));
}

#[test]
fn edge_x13_a_delete_of_what_is_gone_already_changes_nothing() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    world.admin().rm("site/A/Plans/a").unwrap();
    let head = world.head();
    // The agent hears from the journal that it is gone, and forgets it.
    assert_eq!(world.refused(&set, node, through(&world)), Refusal::Missing);
    assert_eq!(world.refused(&set, world.node_id(), through(&world)), Refusal::Missing);
    assert_eq!(world.head(), head);
    assert!(world.node(node).in_trash);
}

#[test]
fn edge_x16_what_had_one_name_lies_in_the_trash_side_by_side() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let trashed = ["1", "2", "3"].map(|bytes| {
        let node = world.create(&set, document_state(Some(top), "a", bytes));
        world.done(&set, node, through(&world));
        node
    });
    world.admin().restore(trashed[0], None).unwrap();
    assert_eq!(world.admin().restore(trashed[1], None).unwrap_err().kind, FaultKind::AlreadyExists);
    world.admin().mv("site/A/Plans/a", "site/A/Plans", "b").unwrap();
    world.admin().restore(trashed[2], None).unwrap();
    assert_eq!(trashed.map(|node| world.node(node).in_trash), [false, true, false]);
    assert_eq!(world.node(trashed[2]).node.content, Some(content("3")));
}

#[test]
fn edge_k03_k04_a_sequence_names_one_change_whatever_becomes_of_its_commit() {
    for seed in 0..8 {
        let store = Store::memory();
        let mut world = World::on(&store, Faults::default());
        let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
        let from = world.head();
        world.store = faulty(&store, Faults { not_processed: 30, unknown: 40, repeated: 30, delayed: 30 }, seed);
        let mut done = Vec::new();
        for number in 0..30 {
            let state = document_state(Some(top), &number.to_string(), "1");
            let operation = world.operation(&set, world.node_id(), Push::Create(state));
            // An agent sends again what it heard no outcome of.
            let outcome = (0..100).find_map(|_| {
                let (gate, agent, now, operation) = (world.gate.clone(), world.agent, world.now, operation.clone());
                world.change(move |tx| apply_operation(tx, &Caller { agent, now, gate: &gate }, &operation)).ok()
            });
            let Some(Outcome::Done(sequence)) = outcome else { panic!("{outcome:?}") };
            done.push((sequence, Some(operation.op)));
        }
        let told: Vec<_> = world.told(&set, from).into_iter().map(|entry| (entry.sequence, entry.op)).collect();
        assert_eq!(told, done, "seed {seed}");
        let dense: Vec<_> = std::iter::successors(Some(from.sequence.next()), |last| Some(last.next())).take(told.len()).collect();
        assert_eq!(told.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), dense, "seed {seed}");
    }
}

#[test]
fn edge_w06_pages_of_nodes_with_long_properties_fit_into_messages() {
    const NODES: usize = 150;
    const MESSAGE: usize = 3 << 20;
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let mut state = document_state(Some(top), "a", "1");
    state.properties.set(Property::Author, Some(Value::Text("x".repeat(32 * 1024)))).unwrap();
    for number in 0..NODES {
        world
            .create(&set, crate::model::NodeState { place: Place { parent: Some(top), name: name(&number.to_string()) }, ..state.clone() });
    }
    let (mut listed, mut from) = (0, None);
    loop {
        let page = world.read(|read| sets::list_members(read, &set, None, from.take(), 1_000));
        assert!(page.members.iter().map(|member| member.state.properties.message_bytes()).sum::<usize>() < MESSAGE);
        listed += page.members.len();
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(listed, NODES + 1, "with the folder");

    let (mut listed, mut after) = (0, None);
    loop {
        let (page, next) = world.read(|read| list(read, world.admin, &path("site/A/Plans"), after.take(), 1_000));
        assert!(page.iter().map(|view| view.node.properties.message_bytes()).sum::<usize>() < MESSAGE);
        (listed, after) = (listed + page.len(), next);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, NODES);

    (0..NODES).for_each(|number| world.admin().rm(&format!("site/A/Plans/{number}")).unwrap());
    let (mut listed, mut before) = (0, None);
    loop {
        let (page, next) = world.read(|read| list_trash(read, world.admin, "acme", "site", before.take(), 1_000));
        assert!(page.iter().map(|trashed| trashed.view.node.properties.message_bytes()).sum::<usize>() < MESSAGE);
        (listed, before) = (listed + page.len(), next);
        if before.is_none() {
            break;
        }
    }
    assert_eq!(listed, NODES);
}

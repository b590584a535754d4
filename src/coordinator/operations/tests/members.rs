//! Members that are made, adopted, renamed and written.

use super::*;

#[test]
fn s_b01_direct_and_indirect_members_are_made_where_they_belong() {
    let world = World::new();
    let (set, top) = world.folder_set("site/Shared", "Plans", DEFAULTS);
    let document = world.create(&set, document_state(Some(top), "a.txt", "one"));
    assert_eq!(world.admin().get("site/Shared/Plans/a.txt").unwrap().id, document);
    assert_eq!(world.set_of(document), Some(set.set.id));
    assert_eq!(world.set_of(world.admin().id("site/Shared")), None);
    let told = world.told(&set, crate::model::Cursor { sequence: Sequence::ZERO, ..world.head() });
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|entry| entry.op.is_some()));
    let members = world.members(&set, None);
    assert_eq!(members.iter().map(|member| member.node).collect::<Vec<_>>(), [top, document]);
    assert_eq!(members[0].state.place.parent, None);
    assert_eq!(members[1].state.place.parent, Some(top));
}

#[test]
fn s_b13_edge_n19_a_name_is_refused_until_it_is_free() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let holder = world.create(&set, document_state(Some(top), "Größe", "1"));
    let node = world.create(&set, document_state(Some(top), "b", "2"));
    let push = world.placing(node, Some(top), "GRÖSSE");
    assert_eq!(world.refused(&set, node, push.clone()), Refusal::NameTaken { holder: Some(holder) });
    assert_eq!(
        world.refused(&set, world.node_id(), Push::Create(folder_state(Some(top), "grösse"))),
        Refusal::NameTaken { holder: Some(holder) }
    );
    world.admin().mv("site/A/Plans/größe", "site/A/Plans", "free").unwrap();
    world.done(&set, node, push);
    assert_eq!(world.admin().get("site/A/Plans/Grösse").unwrap().id, node);
}

#[test]
fn a_holder_that_the_agent_may_not_see_is_not_named() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let released = world.create(&set, document_state(Some(top), "a", "1"));
    world.done(&set, released, Push::Release { through: None });
    let clash = Push::Create(document_state(Some(top), "a", "2"));
    assert_eq!(world.refused(&set, world.node_id(), clash), Refusal::NameTaken { holder: None });
}

#[test]
fn s_a14_what_is_there_is_adopted_with_its_id() {
    let world = World::new();
    let folder = world.admin().mkdir("site/A", "Plans").unwrap();
    world.admin().write("site/A/Plans", "inside", "1").unwrap();
    let set = world.set("site/A", FOLDER, DEFAULTS);
    let offered = world.node_id();
    assert_eq!(world.refused(&set, offered, Push::Create(folder_state(None, "plans"))), Refusal::NameTaken { holder: Some(folder) });
    let from = world.head();
    world.done(&set, folder, Push::Pair { content: None });
    assert_eq!(world.told_briefly(&set, from), [(folder, Told::Entered { lists: true })]);
    assert_eq!(world.members(&set, None).len(), 2);

    let documents = world.set("site/B", SetShape::Documents, DEFAULTS);
    let document = world.admin().write("site/B", "a", "same").unwrap().id;
    world.done(&documents, document, Push::Pair { content: Some(content("same")) });
    assert_eq!(world.set_of(document), Some(documents.set.id));
    assert_eq!(world.node(document).node.version, 1);
}

#[test]
fn s_a06_a_target_folder_in_another_set_is_refused() {
    let world = World::new();
    let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
    let fault = world.try_set("site/A/Plans/sub", FOLDER, DEFAULTS).unwrap_err();
    assert_eq!((fault.kind, fault.reason), (FaultKind::Precondition, Some(Reason::AlreadySynced)));
    assert!(fault.message.contains(&set.set.id.to_string()));
    assert!(world.admin().get("site/A/Plans/sub").is_err(), "nothing is half-made");
    assert!(world.try_set("site/A", FOLDER, DEFAULTS).is_ok(), "several sets into one folder are normal");
}

#[test]
fn s_a03_s_a04_a_set_needs_a_network_that_offers_sync_and_options_that_agree() {
    let world = World::new();
    let bad = SetOptions { delete_on_cloud: false, delete_source: true, lock_source: false };
    assert!(matches!(world.try_set("site/A", FOLDER, bad).unwrap_err().kind, FaultKind::Invalid { .. }));
    world.limit(Limits { sync_enabled: Some(false), ..Limits::default() });
    assert_eq!(world.try_set("site/A", FOLDER, DEFAULTS).unwrap_err().kind, FaultKind::Precondition);
    assert!(world.admin().get("site/A").is_err(), "nothing is half-made");
}

#[test]
fn s_b07_facets_that_did_not_move_on_are_changed_together() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    let rename = world.placing(node, Some(top), "b");
    world.admin().write("site/A/Plans", "a", "2").unwrap();
    let title = PropertyChange { property: Property::Author, value: Some(Value::Text("Ada".to_owned())), base: Sequence::ZERO };
    world.done(&set, node, properties(vec![title]));
    world.done(&set, node, rename);
    let view = world.admin().get("site/A/Plans/b").unwrap();
    assert_eq!((view.node.content, view.node.version), (Some(content("2")), 2));
    assert_eq!(view.node.properties.get(Property::Author), Some(&Value::Text("Ada".to_owned())));
}

#[test]
fn s_b08_the_same_content_makes_no_version_but_is_told() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    let from = world.head();
    world.done(&set, node, world.writing(node, "1"));
    assert_eq!(world.told_briefly(&set, from), [(node, Told::Present)]);
    assert_eq!(world.node(node).node.version, 1);
}

#[test]
fn s_b10_an_update_by_a_sync_is_a_version_of_its_own() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    world.done(&set, node, world.writing(node, "2"));
    let versions = world.read(|read| crate::coordinator::library::list_versions(read, world.admin, &path("site/A/Plans/a"), None, 10));
    let brief: Vec<_> = versions.iter().map(|(number, version)| (*number, version.content, version.by_sync, version.made.by)).collect();
    assert_eq!(brief, [(2, content("2"), true, world.owner), (1, content("1"), true, world.owner)]);
}

#[test]
fn a_direct_member_shows_no_folder_and_is_renamed_where_it_is() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.admin().mv("site/A/Plans", "site", "Plans").unwrap();
    world.done(&set, top, world.placing(top, None, "Renamed"));
    assert_eq!(world.node(top).path_in_library(), "Renamed");
    let [member] = &world.members(&set, None)[..] else { panic!() };
    assert_eq!(member.state.place, Place { parent: None, name: name("Renamed") });
}

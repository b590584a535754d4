//! What moves tell the sets that are concerned.

use super::*;

#[test]
fn edge_n11_a_rename_that_changes_only_the_case_is_one_change() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "readme", "1"));
    world.done(&set, node, world.placing(node, Some(top), "README"));
    assert_eq!(world.admin().get("site/A/Plans/readme").unwrap().path, "acme/site/A/Plans/README");
}

#[test]
fn s_b14_a_move_in_the_set_is_one_entry_however_much_is_beneath() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let (from, to) = (world.create(&set, folder_state(Some(top), "from")), world.create(&set, folder_state(Some(top), "to")));
    let folder = world.create(&set, folder_state(Some(from), "folder"));
    let children: Vec<_> = (0..20).map(|n| world.create(&set, document_state(Some(folder), &format!("{n}"), "1"))).collect();
    let head = world.head();
    world.done(&set, folder, world.placing(folder, Some(to), "folder"));
    assert_eq!(world.told_briefly(&set, head), [(folder, Told::Present)]);
    assert!(children.iter().all(|child| world.set_of(*child) == Some(set.set.id)));
    assert_eq!(world.node(children[3]).path_in_library(), "A/Plans/to/folder/3");
}

#[test]
fn s_b15_a_direct_member_keeps_its_pairing_within_its_site_and_loses_it_outside() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.create(&set, document_state(Some(top), "a", "1"));
    let (other, elsewhere) = world.folder_set("site/B", "Other", DEFAULTS);
    let from = world.head();
    world.admin().mv("site/A/Plans", "site/B/Other", "Plans").unwrap();
    assert_eq!(world.set_of(top), Some(set.set.id));
    assert_eq!(world.told_briefly(&set, from), [(top, Told::Present)]);
    assert_eq!(world.told(&other, from), [], "the other set passes it over");
    assert!(world.members(&other, None).iter().all(|member| member.node == elsewhere));
    assert_eq!(world.members(&set, None).len(), 2);

    let from = world.head();
    world.admin().mv("site/B/Other/Plans", "other", "Plans").unwrap();
    assert_eq!(world.set_of(top), None);
    assert_eq!(world.told_briefly(&set, from), [(top, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.members(&set, None), []);
}

#[test]
fn s_b15_a_folder_that_leaves_its_site_ends_the_pairings_in_it() {
    let world = World::new();
    let (set, top) = world.folder_set("site/outer/middle", "Plans", DEFAULTS);
    let from = world.head();
    world.admin().mv("site/outer", "other", "outer").unwrap();
    assert_eq!(world.told_briefly(&set, from), [(top, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.set_of(top), None);
}

#[test]
fn s_b16_content_moved_in_enters_and_content_moved_out_leaves() {
    let world = World::new();
    let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
    let folder = world.admin().mkdir("site/elsewhere", "folder").unwrap();
    let inside = world.admin().write("site/elsewhere/folder", "a", "1").unwrap().id;
    let from = world.head();
    world.admin().mv("site/elsewhere/folder", "site/A/Plans", "folder").unwrap();
    assert_eq!(world.told_briefly(&set, from), [(folder, Told::Entered { lists: true })]);
    assert_eq!(world.members(&set, Some(folder)).iter().map(|member| member.node).collect::<Vec<_>>(), [folder, inside]);

    let from = world.head();
    world.admin().mv("site/A/Plans/folder", "site/elsewhere", "folder").unwrap();
    assert_eq!(world.told_briefly(&set, from), [(folder, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.set_of(inside), None);

    world.admin().mv("site/elsewhere/folder", "site/A/Plans", "again").unwrap();
    assert_eq!(world.set_of(inside), Some(set.set.id), "the same node, a member again");
}

#[test]
fn s_b16_a_released_member_that_is_moved_out_and_in_is_a_member_again() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.create(&set, folder_state(Some(top), "sub"));
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    world.done(&set, node, Push::Release { through: None });
    world.admin().mv("site/A/Plans/a", "site/A/Plans/sub", "a").unwrap();
    assert_eq!(world.set_of(node), None, "moved about within the set it stays released");
    world.admin().mv("site/A/Plans/sub/a", "site/A", "a").unwrap();
    world.admin().mv("site/A/a", "site/A/Plans", "a").unwrap();
    assert_eq!(world.set_of(node), Some(set.set.id));
}

#[test]
fn s_b17_from_set_to_set_is_one_move_told_to_both() {
    let world = World::new();
    let (one, top) = world.folder_set("site/A", "One", DEFAULTS);
    let (two, _) = world.folder_set("site/A", "Two", DEFAULTS);
    let folder = world.create(&one, folder_state(Some(top), "folder"));
    let document = world.create(&one, document_state(Some(folder), "a", "1"));
    let from = world.head();
    world.admin().mv("site/A/One/folder", "site/A/Two", "folder").unwrap();
    assert_eq!(world.told_briefly(&one, from), [(folder, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.told_briefly(&two, from), [(folder, Told::Entered { lists: true })]);
    assert_eq!(world.head().sequence, from.sequence.next(), "one journal entry");
    assert_eq!(world.node(document).node.version, 1);
    assert_eq!(world.set_of(document), Some(two.set.id));
}

#[test]
fn s_b17_an_agent_moves_from_one_of_its_sets_to_another_in_one_change() {
    let world = World::new();
    let (one, top) = world.folder_set("site/A", "One", DEFAULTS);
    let (two, into) = world.folder_set("site/A", "Two", DEFAULTS);
    let document = world.create(&one, document_state(Some(top), "a", "1"));
    let from = world.head();
    world.done(&one, document, world.placing(document, Some(into), "a"));
    assert_eq!(world.told_briefly(&one, from), [(document, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.told_briefly(&two, from), [(document, Told::Entered { lists: false })]);
    assert!(world.told(&one, from)[0].op.is_some() && world.told(&two, from)[0].op.is_none());

    let (revoked, away) = world.folder_set("site/A", "Three", DEFAULTS);
    let id = revoked.set.id;
    world.change(move |tx| sets::set_grant_revoked(tx, id, true)).unwrap();
    assert_eq!(world.refused(&two, document, world.placing(document, Some(away), "a")), Refusal::Missing);
}

#[test]
fn s_b17_an_agent_may_name_the_set_that_a_node_moved_into() {
    let world = World::new();
    let (one, top) = world.folder_set("site/A", "One", DEFAULTS);
    let (two, into) = world.folder_set("site/A", "Two", DEFAULTS);
    let document = world.create(&one, document_state(Some(top), "a", "1"));
    let from = world.head();
    assert_eq!(world.refused(&two, document, world.writing(document, "2")), Refusal::Missing, "it is not there yet");
    world.done(&two, document, world.placing(document, Some(into), "a"));
    assert_eq!(world.told_briefly(&one, from), [(document, Told::Left(Departure::MovedOut))]);
    assert_eq!(world.told_briefly(&two, from), [(document, Told::Entered { lists: false })]);
    assert!(world.told(&one, from)[0].op.is_none() && world.told(&two, from)[0].op.is_some());

    let id = two.set.id;
    world.change(move |tx| sets::set_grant_revoked(tx, id, true)).unwrap();
    assert_eq!(world.refused(&one, document, world.placing(document, Some(top), "a")), Refusal::Missing);
}

#[test]
fn s_b18_a_copy_is_a_member_only_where_it_lands_in_a_synced_folder() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.create(&set, document_state(Some(top), "a", "1"));
    assert!(world.admin().cp("site/A/Plans", "site", "copy").unwrap().membership.is_none());
    assert!(world.admin().get("site/copy/a").unwrap().membership.is_none());
    let inside = world.admin().cp("site/A/Plans/a", "site/A/Plans", "b").unwrap();
    assert!(inside.membership.is_some() && !inside.is_direct_member());
    world.admin().cp("site/A/Plans", "site/A/Plans", "itself").unwrap();
    assert!(world.admin().get("site/A/Plans/itself/b").is_ok());
    assert!(world.admin().get("site/A/Plans/itself/itself").is_err());
}

//! Deleting, restoring, releasing and unsyncing.

use super::*;

#[test]
fn s_d01_unsync_from_the_cloud_leaves_the_copies_and_tells_the_agent() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let inside = world.create(&set, document_state(Some(top), "a", "1"));
    world.by(world.owner).unsync(&set, None, false).unwrap();
    assert_eq!((world.set_of(top), world.set_of(inside)), (None, None));
    assert!(world.admin().get("site/A/Plans/a").is_ok());
    let pending = world.read(|read| Ok(sets::pending_directives(read, world.agent)?));
    assert_eq!(pending.iter().map(|(id, pending)| (*id, pending.directive)).collect::<Vec<_>>(), [(set.set.id, sets::Directive::Ended)]);
    assert_eq!(world.refused(&set, inside, Push::Release { through: None }), Refusal::Missing);
    world.by(world.owner).unsync(&set, None, false).unwrap();
    assert!(world.node(top).node.marker.is_none(), "the marker is gone, and another set can pair it");
}

#[test]
fn s_d01_unsync_with_remove_from_cloud_works_where_deleting_is_not_allowed() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", KEEP);
    world.by(world.owner).unsync(&set, None, true).unwrap();
    assert!(world.node(top).in_trash);

    let documents = world.set("site/B", SetShape::Documents, DEFAULTS);
    let theirs = world.admin().write("site/B", "a", "1").unwrap().id;
    world.done(&documents, theirs, Push::Pair { content: Some(content("1")) });
    world.set_role(Some(Role::Collaborator));
    assert_eq!(world.by(world.owner).unsync(&documents, None, true).unwrap_err().kind, FaultKind::Denied);
    assert_eq!(world.set_of(theirs), Some(documents.set.id), "refused, nothing has changed");
}

#[test]
fn s_c01_s_c02_only_direct_members_are_unsynced_alone() {
    let world = World::new();
    let documents = world.set("site/A", SetShape::Documents, DEFAULTS);
    let one = world.create(&documents, document_state(None, "one", "1"));
    let two = world.create(&documents, document_state(None, "two", "2"));
    let from = world.head();
    world.by(world.owner).unsync(&documents, Some(one), false).unwrap();
    assert_eq!(world.told_briefly(&documents, from), [(one, Told::Left(Departure::Released))]);
    assert_eq!((world.set_of(one), world.set_of(two)), (None, Some(documents.set.id)));

    world.admin().rm("site/A/two").unwrap();
    let from = world.head();
    world.by(world.owner).unsync(&documents, Some(two), false).unwrap();
    assert_eq!(world.told_briefly(&documents, from), [(two, Told::Left(Departure::Released))], "one in the trash, too");

    let (set, top) = world.folder_set("site/B", "Plans", DEFAULTS);
    let inside = world.create(&set, document_state(Some(top), "a", "1"));
    let fault = world.by(world.owner).unsync(&set, Some(inside), false).unwrap_err();
    assert!(fault.message.contains("Plans"), "{}", fault.message);
}

#[test]
fn s_c02_what_leaves_its_own_set_in_a_synced_folder_enters_that_ones() {
    let world = World::new();
    let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
    let documents = world.set("site/B", SetShape::Documents, DEFAULTS);
    let document = world.create(&documents, document_state(None, "a", "1"));
    world.admin().mv("site/B/a", "site/A/Plans", "a").unwrap();
    let from = world.head();
    world.by(world.owner).unsync(&documents, None, false).unwrap();
    assert_eq!(world.told_briefly(&set, from), [(document, Told::Entered { lists: false })]);
}

fn assert_protected(result: Result<(), Fault>) {
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Precondition);
    assert!(fault.message.contains("unsync it at the source"), "{}", fault.message);
}

#[test]
fn s_d02_s_b16_people_cannot_take_out_what_may_not_be_deleted_in_the_cloud() {
    let world = World::new();
    let (set, top) = world.folder_set("site/outer/A", "Plans", KEEP);
    world.create(&set, document_state(Some(top), "a", "1"));
    world.admin().mkdir("site", "free").unwrap();
    let admin = world.admin();
    assert_protected(admin.rm("site/outer/A/Plans/a"));
    assert_protected(admin.rm("site/outer/A/Plans"));
    assert_protected(admin.rm("site/outer"));
    assert_protected(admin.mv("site/outer/A/Plans/a", "site/free", "a").map(drop));
    assert_protected(admin.mv("site/outer", "other", "outer").map(drop));
    assert_protected(admin.mv("site/outer/A/Plans", "other", "Plans").map(drop));
    assert!(admin.mv("site/outer/A/Plans", "site/free", "Plans").is_ok(), "within the site it stays synced");
    assert!(admin.rm("site/outer").is_ok(), "and what it was in is free");
}

#[test]
fn s_d03_a_target_folder_that_is_deleted_takes_the_members_with_it() {
    let world = World::new();
    let (set, top) = world.folder_set("site/outer/A", "Plans", DEFAULTS);
    let documents = world.set("site/outer/B", SetShape::Documents, DEFAULTS);
    let document = world.create(&documents, document_state(None, "a", "1"));
    let from = world.head();
    world.admin().rm("site/outer").unwrap();
    assert_eq!(world.told_briefly(&set, from), [(top, Told::Left(Departure::Deleted))]);
    assert_eq!(world.told_briefly(&documents, from), [(document, Told::Left(Departure::Deleted))]);

    let outer = world.read(|read| crate::coordinator::library::list_trash(read, world.admin, "acme", "site", None, 10)).0[0].view.id;
    let from = world.head();
    world.admin().restore(outer, None).unwrap();
    assert_eq!(world.told_briefly(&set, from), [(top, Told::Entered { lists: false })]);
    assert_eq!(world.told_briefly(&documents, from), [(document, Told::Entered { lists: false })]);
}

#[test]
fn s_d04_a_new_direct_folder_takes_the_place_of_the_deleted_one() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.admin().rm("site/A/Plans").unwrap();
    let again = world.create(&set, folder_state(None, "Plans"));
    world.admin().mv("site/A/Plans", "site/A", "Renamed").unwrap();
    let from = world.head();
    world.admin().restore(top, None).unwrap();
    assert_eq!(world.told(&set, from), [], "its pairing has ended");
    assert_eq!((world.set_of(top), world.set_of(again)), (None, Some(set.set.id)));
}

#[test]
fn s_d06_a_delete_at_the_source_goes_to_the_trash_and_a_release_leaves_the_copy() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let folder = world.create(&set, folder_state(Some(top), "folder"));
    world.create(&set, document_state(Some(folder), "a", "1"));
    let from = world.head();
    world.done(&set, folder, through(&world));
    assert_eq!(world.told_briefly(&set, from), [(folder, Told::Left(Departure::Deleted))]);
    assert!(world.node(folder).in_trash);
    assert!(world.node(folder).node.trashed.unwrap().by_sync);

    let kept = world.create(&set, folder_state(Some(top), "kept"));
    let inside = world.create(&set, document_state(Some(kept), "b", "2"));
    let from = world.head();
    world.done(&set, kept, Push::Release { through: Some(from.sequence) });
    assert_eq!(world.told_briefly(&set, from), [(kept, Told::Left(Departure::Released))]);
    assert_eq!(world.set_of(inside), None);
    assert!(world.admin().get("site/A/Plans/kept/b").is_ok());
}

#[test]
fn s_d08_a_restored_member_has_its_id_and_history_and_syncs_again() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let node = world.create(&set, document_state(Some(top), "a", "1"));
    world.done(&set, node, world.writing(node, "2"));
    let existed = world.node(node).node.revisions.existence;
    world.done(&set, node, through(&world));
    let from = world.head();
    world.admin().restore(node, None).unwrap();
    assert_eq!(world.told_briefly(&set, from), [(node, Told::Entered { lists: false })]);
    let restored = world.node(node).node;
    assert_eq!((restored.version, restored.content), (2, Some(content("2"))));
    assert!(restored.revisions.existence > existed);
}

#[test]
fn s_d08_a_direct_member_restored_to_another_site_is_none() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.admin().rm("site/A/Plans").unwrap();
    world.admin().restore(top, Some("other")).unwrap();
    assert_eq!(world.set_of(top), None);
    assert_eq!(world.members(&set, None), []);
}

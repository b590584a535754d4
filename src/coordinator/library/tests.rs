//! What people do to a library: rights, names, versions, trash, quota; and what each change writes.

use super::*;
use crate::coordinator::failure::Failure;
use crate::coordinator::networks::Limits;
use crate::coordinator::testing::{World, content, document_state, folder_state, name, path, time};
use crate::model::{Fault, FaultKind, Kind, Property, Push, Reason, Role, SetOptions, SetShape, Value};
use crate::store::Table;

#[test]
fn s_e05_what_is_not_there_and_what_is_not_for_the_caller_look_the_same() {
    let world = World::new();
    world.admin().write("site/A", "a", "1").unwrap_err();
    world.admin().mkdir("site", "A").unwrap();
    world.admin().write("site/A", "a", "1").unwrap();
    world.set_role(None);
    let owner = world.by(world.owner);
    let kinds = ["site/A/a", "site", "nowhere", "site/A/b"].map(|at| owner.get(at).unwrap_err().kind);
    assert!(kinds.iter().all(|kind| *kind == FaultKind::NotFound), "{kinds:?}");
    let stranger = owner_of_nothing();
    assert_eq!(world.by(stranger).get("site").unwrap_err().kind, FaultKind::NotFound);
    let foreign = NodeRef::Id { network: "acme".to_owned(), node: world.admin().id("site/A/a") };
    let by_id = world.store.read(|read| get(read, world.owner, &foreign));
    assert!(matches!(by_id, Err(Failure::Refused(Fault { kind: FaultKind::NotFound, .. }))));
}

fn owner_of_nothing() -> crate::model::AccountId {
    crate::model::AccountId::from_uuid(uuid::Uuid::from_u128(77))
}

#[test]
fn roles_decide_what_people_may_change_and_delete() {
    let world = World::new();
    world.admin().mkdir("site", "A").unwrap();
    world.admin().write("site/A", "theirs", "1").unwrap();
    let owner = world.by(world.owner);
    let denied = |result: Result<(), Fault>| assert_eq!(result.unwrap_err().kind, FaultKind::Denied);

    world.set_role(Some(Role::Consumer));
    assert!(owner.get("site/A/theirs").is_ok());
    denied(owner.write("site/A", "mine", "1").map(drop));
    denied(owner.mkdir("site", "B").map(drop));

    world.set_role(Some(Role::Contributor));
    owner.write("site/A", "mine", "1").unwrap();
    owner.write("site/A", "mine", "2").unwrap();
    owner.rm("site/A/mine").unwrap();
    denied(owner.write("site/A", "theirs", "2").map(drop));
    denied(owner.mv("site/A/theirs", "site/A", "renamed").map(drop));

    world.set_role(Some(Role::Collaborator));
    owner.write("site/A", "theirs", "2").unwrap();
    denied(owner.rm("site/A/theirs"));
    owner.mkdir("site", "own").unwrap();
    world.admin().write("site/own", "theirs", "1").unwrap();
    denied(owner.rm("site/own"));

    world.set_role(Some(Role::Manager));
    owner.rm("site/own").unwrap();
}

#[test]
fn edge_n12_names_in_a_folder_differ_after_folding() {
    let world = World::new();
    world.admin().mkdir("site", "Größe").unwrap();
    let fault = world.admin().mkdir("site", "GRÖSSE").unwrap_err();
    assert_eq!((fault.kind, fault.reason), (FaultKind::AlreadyExists, Some(Reason::NameClash)));
    assert_eq!(world.admin().get("ACME".to_lowercase().replace("acme", "SITE").as_str()).unwrap().id, world.library);
    assert!(world.admin().get("site/grösse").is_ok());
    let target = WriteTarget::Named { parent: path("site"), name: name("grösse"), create_only: true };
    assert_eq!(world.admin().write_to(target, "1", None).unwrap_err().kind, FaultKind::AlreadyExists);
}

#[test]
fn edge_m13_a_folder_cannot_be_moved_into_itself() {
    let world = World::new();
    world.admin().mkdir("site/a/b", "c").unwrap();
    assert_eq!(world.admin().mv("site/a", "site/a/b/c", "a").unwrap_err().kind, FaultKind::Precondition);
    assert_eq!(world.admin().mv("site/a", "site/a", "a").unwrap_err().kind, FaultKind::Precondition);
}

#[test]
fn the_document_library_stays_as_and_where_it_is() {
    let world = World::new();
    let admin = world.admin();
    assert_eq!(admin.rm("site").unwrap_err().kind, FaultKind::Precondition);
    assert_eq!(admin.mv("site", "other", "site").unwrap_err().kind, FaultKind::Precondition);
    assert_eq!(admin.cp("site", "other", "site").unwrap_err().kind, FaultKind::Precondition);
    assert_eq!(admin.set_property("site", Property::Author, None).unwrap_err().kind, FaultKind::Precondition);
}

#[test]
fn edge_c07_an_etag_that_has_moved_on_is_stale() {
    let world = World::new();
    let seen = world.admin().write("site", "a", "1").unwrap();
    let target = WriteTarget::Node(path("site/a"));
    let etag = Some(seen.node.etag());
    let written = world.admin().write_to(target.clone(), "2", etag).unwrap();
    assert_eq!(world.admin().write_to(target.clone(), "3", etag).unwrap_err().kind, FaultKind::Stale);
    world.admin().write_to(target, "3", Some(written.node.etag())).unwrap();
}

#[test]
fn s_b10_a_restored_version_is_a_new_one_and_the_same_content_is_none() {
    let world = World::new();
    for bytes in ["1", "1", "2"] {
        world.admin().write("site", "a", bytes).unwrap();
    }
    let (gate, actor) = (world.gate.clone(), Actor::person(world.admin, world.now));
    let restore = move |version| {
        let gate = gate.clone();
        move |tx: &mut crate::store::Transaction<'_>| restore_version(tx, &gate, actor, &path("site/a"), version)
    };
    let view = world.change(restore(1)).unwrap();
    assert_eq!((view.node.version, view.node.content), (3, Some(content("1"))));
    assert_eq!(world.change(restore(9)).unwrap_err().kind, FaultKind::NotFound);
    let page = world.read(|read| list_versions(read, world.admin, &path("site/a"), None, 2));
    assert_eq!(page.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 2]);
    let rest = world.read(|read| list_versions(read, world.admin, &path("site/a"), Some(2), 2));
    assert_eq!(rest.iter().map(|(number, version)| (*number, version.content)).collect::<Vec<_>>(), [(1, content("1"))]);
    let (_, old) = world.read(|read| super::content(read, world.admin, &path("site/a"), Some(2)));
    assert_eq!(old, content("2"));
}

#[test]
fn listing_goes_on_where_the_page_before_ended() {
    let world = World::new();
    for text in ["b", "A", "c", "D"] {
        world.admin().write("site", text, "1").unwrap();
    }
    let page = |after| world.read(|read| list(read, world.admin, &path("site"), after, 3));
    let names = |views: &[View]| views.iter().map(|view| view.node.name.to_string()).collect::<Vec<_>>();
    let (first, next) = page(None);
    assert_eq!(names(&first), ["A", "b", "c"]);
    let (second, end) = page(next);
    assert_eq!((names(&second), end), (vec!["D".to_owned()], None));
    assert_eq!(first[0].path, "acme/site/A");
}

#[test]
fn s_d08_the_trash_shows_each_what_they_may_restore() {
    let mut world = World::new();
    world.set_role(Some(Role::Contributor));
    world.admin().write("site", "theirs", "1").unwrap();
    let owner = world.owner;
    world.by(owner).mkdir("site", "mine").unwrap();
    world.by(owner).write("site/mine", "inside", "1").unwrap();
    let (theirs, mine, inside) = (world.admin().id("site/theirs"), world.admin().id("site/mine"), world.admin().id("site/mine/inside"));
    world.admin().rm("site/theirs").unwrap();
    world.now = time(2_000);
    world.by(owner).rm("site/mine").unwrap();

    let trash = |account, before, limit| world.read(|read| list_trash(read, account, "acme", "site", before, limit));
    let ids = |views: &[TrashedView]| views.iter().map(|trashed| trashed.view.id).collect::<Vec<_>>();
    assert_eq!(ids(&trash(world.admin, None, 10).0), [mine, theirs]);
    let (first, next) = trash(world.admin, None, 1);
    assert_eq!((ids(&first), first[0].view.path.as_str()), (vec![mine], "acme/site/mine"));
    assert_eq!(ids(&trash(world.admin, next, 1).0), [theirs]);
    assert_eq!(ids(&trash(owner, None, 10).0), [mine]);

    assert_eq!(world.by(owner).restore(theirs, None).unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(world.admin().restore(inside, None).unwrap_err().kind, FaultKind::NotFound, "only the top of what was deleted");
    world.admin().write("site", "MINE", "1").unwrap();
    assert_eq!(world.by(owner).restore(mine, None).unwrap_err().kind, FaultKind::AlreadyExists);
    world.admin().rm("site/mine").unwrap();
    world.by(owner).restore(mine, None).unwrap();
    assert_eq!(world.admin().id("site/mine/inside"), inside);
}

#[test]
fn a_node_whose_folder_is_gone_is_restored_elsewhere() {
    let world = World::new();
    world.admin().mkdir("site/A", "B").unwrap();
    let node = world.admin().write("site/A/B", "a", "1").unwrap().id;
    world.admin().rm("site/A/B/a").unwrap();
    world.admin().rm("site/A").unwrap();
    let fault = world.admin().restore(node, None).unwrap_err();
    assert_eq!((fault.kind, fault.reason), (FaultKind::Precondition, Some(Reason::TargetFolderMissing)));
    assert_eq!(world.admin().restore(node, Some("site")).unwrap().path, "acme/site/a");
}

#[test]
fn quota_counts_versions_and_trash_and_limits_copies() {
    let world = World::new();
    world.limit(Limits { quota_bytes: Some(10), document_bytes_max: Some(5), ..Limits::default() });
    assert_eq!(world.admin().write("site", "large", "123456").unwrap_err().reason, Some(Reason::ContentLimitExceeded));
    world.admin().write("site", "a", "1234").unwrap();
    world.admin().write("site", "a", "12345").unwrap();
    let rows = world.rows();
    assert_eq!(world.admin().cp("site/a", "site", "b").unwrap_err().reason, Some(Reason::QuotaExceeded));
    assert_eq!(world.rows(), rows, "nothing is half-done");
    world.admin().write("site", "one", "1").unwrap();
    assert_eq!(world.admin().write("site", "two", "1").unwrap_err().reason, Some(Reason::QuotaExceeded));
}

#[test]
fn a_request_is_answered_again_with_what_it_made() {
    let world = World::new();
    let (account, at) = (world.admin, world.now);
    let node = world.admin().mkdir("site", "A").unwrap();
    let found = move |request: [u8; 16]| move |tx: &mut crate::store::Transaction<'_>| Ok(request::repeated(tx, account, request)?);
    assert_eq!(world.change(found([7; 16])).unwrap(), None);
    world.change(move |tx| Ok(request::remember(tx, account, [7; 16], node, at)?)).unwrap();
    assert_eq!(world.change(found([7; 16])).unwrap(), Some(node));
    world.change(move |tx| Ok(request::prune(tx, time(i64::MAX), None, 10)?)).unwrap();
    assert_eq!(world.change(found([7; 16])).unwrap(), None);
}

#[test]
fn properties_that_stay_the_same_are_no_change() {
    let world = World::new();
    world.admin().write("site", "a", "1").unwrap();
    let author = Some(Value::Text("Ada".to_owned()));
    let view = world.admin().set_property("site/a", Property::Author, author.clone()).unwrap();
    let rows = world.rows();
    assert_eq!(world.admin().set_property("site/a", Property::Author, author).unwrap().node, view.node);
    assert_eq!(world.rows(), rows);
    let removed = world.admin().set_property("site/a", Property::Author, None).unwrap().node;
    assert!(removed.properties.is_empty());
    assert_eq!(removed.revisions.property(Property::Author), removed.etag(), "a removed property keeps a revision");
}

/// The rows that a change wrote or deleted, by table, from the store before and after.
fn written<T>(world: &World, change: impl FnOnce() -> T) -> Vec<(u8, usize)> {
    let before = world.rows();
    change();
    let after = world.rows();
    let mut tables = std::collections::BTreeMap::new();
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key);
    for key in changed.chain(before.keys().filter(|key| !after.contains_key(*key))) {
        *tables.entry(key[0]).or_insert(0) += 1;
    }
    tables.into_iter().collect()
}

#[test]
fn the_rows_of_each_change_are_as_the_module_says() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", SetOptions::default());
    let (other, other_top) = world.folder_set("site/B", "Other", SetOptions::default());
    let folder = world.create(&set, folder_state(Some(top), "folder"));
    let document = world.node_id();
    let by_sync = |node, push: Push| written(&world, || world.done(&set, node, push));
    let rows = |tables: &[(Table, usize)]| tables.iter().map(|(table, count)| (table.byte(), *count)).collect::<Vec<_>>();
    let [network, node, child, version, trash] = [Table::Network, Table::Node, Table::Child, Table::Version, Table::Trash];
    let [journal, of_set, outcome] = [Table::Journal, Table::JournalOfSet, Table::Outcome];

    let expected = rows(&[(network, 1), (node, 1), (child, 1), (version, 1), (journal, 1), (of_set, 1), (outcome, 1)]);
    assert_eq!(by_sync(document, Push::Create(document_state(Some(folder), "a", "1"))), expected, "create a document");
    let expected = rows(&[(network, 1), (node, 1), (child, 1), (journal, 1), (of_set, 1), (outcome, 1)]);
    assert_eq!(by_sync(world.node_id(), Push::Create(folder_state(Some(folder), "b"))), expected, "create a folder");
    let expected = rows(&[(network, 1), (node, 1), (version, 1), (journal, 1), (of_set, 1), (outcome, 1)]);
    assert_eq!(by_sync(document, world.writing(document, "2")), expected, "new content");
    let expected = rows(&[(network, 1), (node, 1), (child, 2), (journal, 1), (of_set, 1), (outcome, 1)]);
    assert_eq!(by_sync(folder, world.placing(folder, Some(top), "renamed")), expected, "rename a folder");
    let author = Some(Value::Text("Ada".to_owned()));
    let expected = rows(&[(network, 1), (node, 1), (journal, 1), (of_set, 1)]);
    let set_author = || world.admin().set_property("site/A/Plans/renamed", Property::Author, author).unwrap();
    assert_eq!(written(&world, set_author), expected, "change properties");
    let expected = rows(&[(network, 1), (node, 1), (child, 2), (journal, 1), (of_set, 2)]);
    let cross = || world.admin().mv("site/A/Plans/renamed", "site/B/Other", "folder").unwrap();
    assert_eq!(written(&world, cross), expected, "move from set to set");
    let through = world.head().sequence;
    let expected = rows(&[(network, 1), (node, 1), (child, 1), (trash, 1), (journal, 1), (of_set, 1), (outcome, 1)]);
    let delete = || world.done(&other, folder, Push::Delete { through });
    assert_eq!(written(&world, delete), expected, "delete a folder");
    assert!(world.node(other_top).node.kind == Kind::Folder);
}

#[test]
fn a_direct_member_among_others_costs_one_edge_of_the_trail() {
    let world = World::new();
    let set = world.set("site/A/B/C", SetShape::Documents, SetOptions::default());
    world.create(&set, document_state(None, "first", "1"));
    let second = world.node_id();
    let rows = written(&world, || world.done(&set, second, Push::Create(document_state(None, "second", "2"))));
    let count = |table: Table| rows.iter().find(|(byte, _)| *byte == table.byte()).map_or(0, |(_, count)| *count);
    assert_eq!((count(Table::Trail), count(Table::DirectMember)), (1, 1));
}

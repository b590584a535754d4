//! What is refused, for which reason.

use super::*;

/// A case of [`operations_are_refused_with_their_reason`].
struct Case {
    what: &'static str,
    expected: Refusal,
    arrange: fn(&mut World) -> (sets::Definition, NodeId, Push),
}

fn because(reason: Reason) -> Refusal {
    Refusal::Because(reason, String::new())
}

fn fresh(world: &World, target: &str, state: fn(Option<NodeId>) -> crate::model::NodeState) -> (sets::Definition, NodeId, Push) {
    let (set, top) = world.folder_set(target, "Plans", DEFAULTS);
    (set, world.node_id(), Push::Create(state(Some(top))))
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn operations_are_refused_with_their_reason() {
    let table = [
        Case {
            what: "s_e01 the grant was revoked",
            expected: because(Reason::AuthenticationFailed),
            arrange: |world| {
                let (set, node, push) = fresh(world, "site/A", |parent| folder_state(parent, "x"));
                let id = set.set.id;
                world.change(move |tx| sets::set_grant_revoked(tx, id, true)).unwrap();
                (set, node, push)
            },
        },
        Case {
            what: "s_e02 the owner's account was ended",
            expected: because(Reason::OwnerNotFound),
            arrange: |world| {
                let case = fresh(world, "site/A", |parent| folder_state(parent, "x"));
                world.gate.ended.insert(world.owner);
                case
            },
        },
        Case {
            what: "s_e02 the owner lost the role",
            expected: because(Reason::TargetAccessDenied),
            arrange: |world| {
                let case = fresh(world, "site/A", |parent| folder_state(parent, "x"));
                world.set_role(None);
                case
            },
        },
        Case {
            what: "s_e01 the owner may only read",
            expected: because(Reason::TargetAccessDenied),
            arrange: |world| {
                let case = fresh(world, "site/A", |parent| folder_state(parent, "x"));
                world.set_role(Some(Role::Consumer));
                case
            },
        },
        Case {
            what: "a contributor changes what another made",
            expected: because(Reason::TargetAccessDenied),
            arrange: |world| {
                let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.admin().write("site/A/Plans", "theirs", "1").unwrap().id;
                world.set_role(Some(Role::Contributor));
                let push = world.writing(node, "2");
                (set, node, push)
            },
        },
        Case {
            what: "a collaborator deletes a folder that holds what another made",
            expected: because(Reason::TargetAccessDenied),
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let folder = world.create(&set, folder_state(Some(top), "folder"));
                world.admin().write("site/A/Plans/folder", "theirs", "1").unwrap();
                world.set_role(Some(Role::Collaborator));
                let push = through(world);
                (set, folder, push)
            },
        },
        Case {
            what: "the parent is in no set",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
                let parent = world.admin().mkdir("site", "elsewhere").unwrap();
                (set, world.node_id(), Push::Create(folder_state(Some(parent), "x")))
            },
        },
        Case {
            what: "the parent is in another set",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
                let (_, other) = world.folder_set("site/B", "Plans", DEFAULTS);
                (set, world.node_id(), Push::Create(folder_state(Some(other), "x")))
            },
        },
        Case {
            what: "the parent is a document",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let parent = world.create(&set, document_state(Some(top), "a", "1"));
                (set, world.node_id(), Push::Create(folder_state(Some(parent), "x")))
            },
        },
        Case {
            what: "the node is in the trash",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let push = world.writing(node, "2");
                world.admin().rm("site/A/Plans/a").unwrap();
                (set, node, push)
            },
        },
        Case {
            what: "s_b01 a subfolder of a set without subfolders",
            expected: Refusal::Missing,
            arrange: |world| {
                let set = world.set("site/A", FLAT, DEFAULTS);
                let top = world.create(&set, folder_state(None, "Plans"));
                (set, world.node_id(), Push::Create(folder_state(Some(top), "sub")))
            },
        },
        Case {
            what: "the target folder was deleted",
            expected: because(Reason::TargetFolderMissing),
            arrange: |world| {
                let set = world.set("site/A", FOLDER, DEFAULTS);
                world.admin().rm("site/A").unwrap();
                (set, world.node_id(), Push::Create(folder_state(None, "x")))
            },
        },
        Case {
            what: "a document as a direct member of a set of one folder",
            expected: because(Reason::UnsupportedType),
            arrange: |world| (world.set("site/A", FOLDER, DEFAULTS), world.node_id(), Push::Create(document_state(None, "x", "1"))),
        },
        Case {
            what: "a second folder in a set of one folder",
            expected: because(Reason::AlreadySynced),
            arrange: |world| {
                let (set, _) = world.folder_set("site/A", "Plans", DEFAULTS);
                (set, world.node_id(), Push::Create(folder_state(None, "More")))
            },
        },
        Case {
            what: "the id is in use in another set",
            expected: Refusal::IdInUse,
            arrange: |world| {
                let (_, theirs) = world.folder_set("site/B", "Plans", DEFAULTS);
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                (set, theirs, Push::Create(folder_state(Some(top), "x")))
            },
        },
        Case {
            what: "the id is that of something in the trash",
            expected: Refusal::IdInUse,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                world.admin().rm("site/A/Plans/a").unwrap();
                (set, node, Push::Create(document_state(Some(top), "a", "1")))
            },
        },
        Case {
            what: "s_e03 larger than the limit",
            expected: because(Reason::ContentLimitExceeded),
            arrange: |world| {
                world.limit(Limits { document_bytes_max: Some(3), ..Limits::default() });
                fresh(world, "site/A", |parent| document_state(parent, "x", "four"))
            },
        },
        Case {
            what: "s_e03 over the quota",
            expected: because(Reason::QuotaExceeded),
            arrange: |world| {
                world.limit(Limits { quota_bytes: Some(3), ..Limits::default() });
                fresh(world, "site/A", |parent| document_state(parent, "x", "four"))
            },
        },
        Case {
            what: "the content was not sent",
            expected: Refusal::ContentMissing,
            arrange: |world| {
                world.gate.missing.insert(*content("absent").root.as_bytes());
                fresh(world, "site/A", |parent| document_state(parent, "x", "absent"))
            },
        },
        Case {
            what: "the content moved on",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let push = world.writing(node, "2");
                world.admin().write("site/A/Plans", "a", "3").unwrap();
                (set, node, push)
            },
        },
        Case {
            what: "the place moved on",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let push = world.placing(node, Some(top), "b");
                world.admin().mv("site/A/Plans/a", "site/A/Plans", "c").unwrap();
                (set, node, push)
            },
        },
        Case {
            what: "a property moved on",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let author = Some(Value::Text("Ada".to_owned()));
                world.admin().set_property("site/A/Plans/a", Property::Author, author.clone()).unwrap();
                let change = PropertyChange { property: Property::Author, value: author, base: Sequence::ZERO };
                (set, node, properties(vec![change]))
            },
        },
        Case {
            what: "a folder into itself",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let outer = world.create(&set, folder_state(Some(top), "outer"));
                let inner = world.create(&set, folder_state(Some(outer), "inner"));
                let push = world.placing(outer, Some(inner), "outer");
                (set, outer, push)
            },
        },
        Case {
            what: "a member into a folder outside the set",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let elsewhere = world.admin().mkdir("site", "elsewhere").unwrap();
                let push = world.placing(node, Some(elsewhere), "a");
                (set, node, push)
            },
        },
        Case {
            what: "a direct member into a folder",
            expected: Refusal::Missing,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let inner = world.create(&set, folder_state(Some(top), "inner"));
                let push = world.placing(top, Some(inner), "Plans");
                (set, top, push)
            },
        },
        Case {
            what: "a delete of what has changed since",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let folder = world.create(&set, folder_state(Some(top), "folder"));
                let push = through(world);
                world.admin().write("site/A/Plans/folder", "new", "1").unwrap();
                (set, folder, push)
            },
        },
        Case {
            what: "s_d11 a release of a folder in which a member has changed since",
            expected: Refusal::Stale,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", KEEP);
                let folder = world.create(&set, folder_state(Some(top), "folder"));
                let push = Push::Release { through: Some(world.head().sequence) };
                world.admin().write("site/A/Plans/folder", "new", "1").unwrap();
                (set, folder, push)
            },
        },
        Case {
            what: "a delete of a folder that holds what was released",
            expected: Refusal::NotEmpty,
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
                let folder = world.create(&set, folder_state(Some(top), "folder"));
                let kept = world.create(&set, document_state(Some(folder), "kept", "1"));
                world.done(&set, kept, Push::Release { through: None });
                let push = through(world);
                (set, folder, push)
            },
        },
        Case {
            what: "s_d02 a delete in a set that does not allow it",
            expected: because(Reason::TargetAccessDenied),
            arrange: |world| {
                let (set, top) = world.folder_set("site/A", "Plans", KEEP);
                let node = world.create(&set, document_state(Some(top), "a", "1"));
                let push = through(world);
                (set, node, push)
            },
        },
        Case {
            what: "a14 pairing with other content",
            expected: Refusal::Stale,
            arrange: |world| {
                let set = world.set("site/A", SetShape::Documents, DEFAULTS);
                let node = world.admin().write("site/A", "a", "theirs").unwrap().id;
                (set, node, Push::Pair { content: Some(content("mine")) })
            },
        },
        Case {
            what: "a14 pairing with what is somewhere else",
            expected: Refusal::Missing,
            arrange: |world| {
                let set = world.set("site/A", FOLDER, DEFAULTS);
                let node = world.admin().mkdir("site/B", "Plans").unwrap();
                (set, node, Push::Pair { content: None })
            },
        },
        Case {
            what: "a06 pairing with a folder that holds a member of another set",
            expected: because(Reason::AlreadySynced),
            arrange: |world| {
                world.folder_set("site/A/outer/middle", "Plans", DEFAULTS);
                let set = world.set("site/A", FOLDER, DEFAULTS);
                let outer = world.admin().id("site/A/outer");
                (set, outer, Push::Pair { content: None })
            },
        },
        Case {
            what: "a06 pairing with a member of another set",
            expected: because(Reason::AlreadySynced),
            arrange: |world| {
                let (_, theirs) = world.folder_set("site/A", "Plans", DEFAULTS);
                let set = world.set("site/A", FOLDER, DEFAULTS);
                (set, theirs, Push::Pair { content: None })
            },
        },
        Case {
            what: "a14 a name that a member of another set has",
            expected: because(Reason::NameClash),
            arrange: |world| {
                world.folder_set("site/A", "Plans", DEFAULTS);
                let set = world.set("site/A", FOLDER, DEFAULTS);
                (set, world.node_id(), Push::Create(folder_state(None, "PLANS")))
            },
        },
    ];
    for Case { what, expected, arrange } in table {
        let mut world = World::new();
        let (set, node, push) = arrange(&mut world);
        let before = world.head();
        match (world.refused(&set, node, push), expected) {
            (Refusal::Because(found, detail), Refusal::Because(expected, _)) => {
                assert_eq!(found, expected, "{what}: {detail}");
            }
            (found, expected) => assert_eq!(found, expected, "{what}"),
        }
        assert_eq!(world.head(), before, "{what}: a refusal is no change");
    }
}

#[test]
fn s_e01_another_agent_learns_nothing() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let operation = world.operation(&set, top, Push::Release { through: None });
    let gate = world.gate.clone();
    let agent = AgentId::from_uuid(uuid::Uuid::from_u128(99));
    let outcome = world.change(move |tx| apply_operation(tx, &Caller { agent, now: time(1), gate: &gate }, &operation)).unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal::Missing));
}

#[test]
fn a_set_of_documents_takes_no_folder() {
    let world = World::new();
    let set = world.set("site/A", SetShape::Documents, DEFAULTS);
    let refusal = world.refused(&set, world.node_id(), Push::Create(folder_state(None, "x")));
    assert_eq!(reason(&refusal), Some(Reason::UnsupportedType));
    let no_content = crate::model::NodeState { content: None::<ContentRef>, ..document_state(None, "x", "1") };
    assert_eq!(reason(&world.refused(&set, world.node_id(), Push::Create(no_content))), Some(Reason::UnsupportedType));
}

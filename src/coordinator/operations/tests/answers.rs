//! Which answers are kept, and which operations may be sent again.

use super::*;

#[test]
fn s_e02_giving_back_heals_the_same_operation() {
    let mut world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let operation = world.operation(&set, world.node_id(), Push::Create(document_state(Some(top), "a", "12345")));
    let refused_as = |world: &World| match world.apply(&operation) {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(_) => panic!("done"),
    };
    world.gate.ended.insert(world.owner);
    assert_eq!(reason(&refused_as(&world)), Some(Reason::OwnerNotFound));
    world.gate.ended.clear();
    world.set_role(Some(Role::Consumer));
    assert_eq!(reason(&refused_as(&world)), Some(Reason::TargetAccessDenied));
    world.set_role(Some(Role::Contributor));
    world.limit(Limits { quota_bytes: Some(4), ..Limits::default() });
    assert_eq!(reason(&refused_as(&world)), Some(Reason::QuotaExceeded));
    world.limit(Limits { quota_bytes: Some(5), ..Limits::default() });
    world.gate.missing.insert(*content("12345").root.as_bytes());
    assert_eq!(refused_as(&world), Refusal::ContentMissing);
    world.gate.missing.clear();
    assert!(matches!(world.apply(&operation), Outcome::Done(_)));
}

#[test]
fn s_e03_edge_q04_smaller_documents_go_on_when_the_quota_is_full() {
    let world = World::new();
    world.limit(Limits { quota_bytes: Some(10), ..Limits::default() });
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    world.create(&set, document_state(Some(top), "six", "123456"));
    let large = world.refused(&set, world.node_id(), Push::Create(document_state(Some(top), "five", "12345")));
    assert_eq!(reason(&large), Some(Reason::QuotaExceeded));
    let four = world.create(&set, document_state(Some(top), "four", "1234"));
    world.done(&set, four, through(&world));
    let full = world.refused(&set, world.node_id(), Push::Create(document_state(Some(top), "one", "1")));
    assert_eq!(reason(&full), Some(Reason::QuotaExceeded), "the trash counts");
}

#[test]
fn an_answer_is_kept_where_the_same_operation_might_succeed_later() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let holder = world.create(&set, document_state(Some(top), "a", "1"));
    let operation = world.operation(&set, world.node_id(), Push::Create(document_state(Some(top), "a", "2")));
    let first = world.apply(&operation);
    world.done(&set, holder, through(&world));
    assert_eq!(world.apply(&operation), first, "the name is free, and still it gets the first answer");
    let next = world.change(|tx| Ok(prune_outcomes(tx, time(2_000), None, 100)?)).unwrap();
    assert_eq!(next, None);
    assert!(matches!(world.apply(&operation), Outcome::Done(_)), "forgotten");
}

#[test]
fn old_answers_are_pruned_page_by_page() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    for n in 0..5 {
        world.create(&set, document_state(Some(top), &format!("{n}"), "1"));
    }
    let (mut after, mut pages): (Option<(SetId, OpId)>, _) = (None, 0);
    loop {
        after = world.change(move |tx| Ok(prune_outcomes(tx, time(1), after, 2)?)).unwrap();
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, 4);
}

#[test]
fn revoking_all_grants_of_an_account_stops_its_sets_alone() {
    let world = World::new();
    let (set, top) = world.folder_set("site/A", "Plans", DEFAULTS);
    let owner = world.owner;
    let others: AccountId = world.admin;
    assert_eq!(world.change(move |tx| Ok(sets::revoke_grants_of(tx, others)?)).unwrap().len(), 0);
    assert_eq!(world.change(move |tx| Ok(sets::revoke_grants_of(tx, owner)?)).unwrap().len(), 1);
    assert_eq!(reason(&world.refused(&set, top, Push::Release { through: None })), Some(Reason::AuthenticationFailed));
}

//! Cases that sync systems are known to fail at, by the ids of `tests/EDGE_CASES.md`.

use std::collections::BTreeSet;

use super::Do;
use super::case::Case;
use super::facts::{document, folder, here as seen_here, id, member, settled, there as seen_there};
use super::found::{check, dir, file, here, there};
use super::world::{Act, Agent, Chance, Deed, Seed, Side, World};
use crate::engine::reconcile::{Apply, Step, reconcile};
use crate::engine::{Member, Source, Target};
use crate::model::{Departure, Kind, NAME_BYTES_MAX, Push, SetOptions};

fn step(members: &[Member]) -> Step {
    let Ok(step) = reconcile(&Agent::of(members.iter().cloned(), SetOptions::default()), &members[0]);
    step
}

fn make(folder: u8, name: u8, kind: Kind) -> Act {
    Act::Make { folder, name, kind, content: 5 }
}

fn case(seeds: &[Seed], deeds: &[Deed], options: SetOptions, forgets: bool) -> Case {
    Case { seeds: seeds.to_vec(), deeds: deeds.to_vec(), options, forgets, is_slow: false, ids: 0, order: 0 }
}

/// Runs a case to its end; returns the world before it and after it.
fn run(case: &Case) -> (World, World) {
    case.check();
    let before = case.world();
    let mut after = before.clone();
    after.run(&case.deeds);
    (before, after)
}

/// Checks what members say in the end, in sets that do not lock their source: those put back what is changed here.
fn check_reasons(seeds: &[Seed], deeds: &[Deed], expected: &[&str]) {
    for options in super::options().into_iter().filter(|options| !options.lock_source) {
        let reasons = case(seeds, deeds, options, false).check();
        assert_eq!(reasons, expected.iter().copied().collect::<BTreeSet<_>>(), "{options:?}");
    }
}

#[test]
fn edge_n15_n16_a_name_to_stand_aside_with_is_never_too_long_and_is_one_nodes_own() {
    let root = settled(id(9), &folder(None, "root"));
    let [a, b] = ["a", "b"].map(|text| document(Some(id(9)), &text.repeat(NAME_BYTES_MAX), 1));
    let first = member(id(1), Some(&a), seen_here(&b), seen_there(id(1), &a));
    let second = member(id(2), Some(&b), seen_here(&a), seen_there(id(2), &b));
    let Step::Push(Push::Update { place: Some((aside, _)), .. }) = step(&[first, second, root.clone()]) else {
        panic!("nobody steps aside")
    };
    assert!(aside.name.as_str().len() < NAME_BYTES_MAX);
    // A document of a person's that merely looks like that is a document.
    let theirs = document(Some(id(9)), aside.name.as_str(), 1);
    let made_here = member(id(3), None, seen_here(&theirs), Target::Never);
    assert_eq!(Do::of(&step(&[made_here, root.clone()])), Do::MakeThere);
    let made_there = member(id(3), None, Source::Absent, seen_there(id(3), &theirs));
    assert_eq!(step(&[made_there, root.clone()]), Step::Apply(Apply::Create(theirs.clone())));
    let renamed_there = member(id(3), Some(&a), seen_here(&a), seen_there(id(3), &theirs));
    let Step::Apply(Apply::Update { place, .. }) = step(&[renamed_there, root]) else { panic!("it is not renamed") };
    assert_eq!(place, Some(theirs.place));
}

#[test]
fn edge_m02_what_was_moved_and_edited_is_one_change_of_one_node() {
    let folders = [2, 3].map(|number| settled(id(number), &folder(None, &number.to_string())));
    let (was, now) = (document(Some(id(2)), "a", 1), document(Some(id(3)), "b", 2));
    let members = [vec![member(id(1), Some(&was), seen_here(&now), seen_there(id(1), &was))], folders.to_vec()].concat();
    let Step::Push(Push::Update { content: Some((content, _)), place: Some((place, _)), .. }) = step(&members) else {
        panic!("not both at once")
    };
    assert_eq!((Some(content), place), (now.content, now.place));
}

#[test]
fn edge_m06_a_name_that_went_to_and_fro_is_one_rename() {
    let deeds = [here(Act::Rename(1, 1)), here(Act::Rename(1, 2)), here(Act::Rename(1, 1))];
    let (before, after) = run(&case(&[file(0, 0)], &deeds, SetOptions::default(), false));
    assert_eq!(after.cloud.journal.len(), before.cloud.journal.len() + 1);
    // And back to where it was is none.
    let deeds = [here(Act::Rename(1, 1)), here(Act::Rename(1, 2)), here(Act::Rename(1, 0))];
    let (before, after) = run(&case(&[file(0, 0)], &deeds, SetOptions::default(), false));
    assert_eq!(after.cloud.journal, before.cloud.journal);
}

#[test]
fn edge_m11_deep_hierarchies_that_are_shuffled_on_both_sides_converge() {
    let deep: Vec<_> = (0..10).map(|depth| dir(depth, depth % 3)).chain([file(10, 0), file(3, 4)]).collect();
    for number in 0..60 {
        let mut chance = Chance(number);
        let mut shuffled = |_| {
            let [node, folder, name] = [13, 12, 5].map(|end| chance.below(end) as u8);
            let act = match chance.below(4) {
                0 => Act::Invert(node),
                1 => Act::Swap(node, folder),
                2 => Act::Move(node, folder),
                _ => Act::MoveAs(node, folder, name),
            };
            Deed { round: 0, side: if chance.below(2) == 0 { Side::Source } else { Side::Target }, act }
        };
        let deeds: Vec<_> = (0..8).map(&mut shuffled).collect();
        case(&deep, &deeds, SetOptions::default(), false).check();
    }
}

#[test]
fn edge_m14_m15_of_two_that_want_a_name_the_later_waits_and_both_survive() {
    let seeds = [file(0, 0), file(0, 1)];
    for other in [there(Act::Rename(2, 2)), there(make(0, 2, Kind::Document)), there(make(0, 2, Kind::Folder))] {
        let deeds = [here(Act::Rename(1, 2)), other];
        check_reasons(&seeds, &deeds, &["NAME_CLASH"]);
        let (before, after) = run(&case(&seeds, &deeds, SetOptions::default(), false));
        assert!(after.disk.items.len() >= before.disk.items.len() && after.cloud.docs.len() >= before.cloud.docs.len());
        assert_eq!(after.kept, before.kept, "nothing was replaced");
    }
}

#[test]
fn edge_x03_a_folder_deleted_here_in_which_something_was_deleted_there_is_no_conflict() {
    let seeds = [dir(0, 0), file(1, 0), file(1, 1)];
    for (whole, part) in [(here(Act::Delete(1)), there(Act::Delete(2))), (there(Act::Delete(1)), here(Act::Delete(2)))] {
        // Where the source does not follow the cloud's deletes, what is left here says so.
        let follows = |set: SetOptions| whole.side == Side::Source || set.delete_source;
        check(&seeds, &[whole, part], |set| set.delete_on_cloud && !set.lock_source && follows(set));
    }
    let (_, after) = run(&case(&seeds, &[here(Act::Delete(1)), there(Act::Delete(2))], SetOptions::default(), false));
    assert_eq!((after.disk.items.len(), after.agent.rows.len()), (1, 1), "only the folder of the set is left");
}

#[test]
fn edge_x04_x13_what_both_sides_deleted_is_forgotten() {
    let seeds = [file(0, 0), dir(0, 1), file(2, 0)];
    for number in [1, 2] {
        let deeds = [here(Act::Delete(number)), there(Act::Delete(number))];
        // In a set that locks its source what is deleted here is put back before the cloud's delete is heard of.
        check(&seeds, &deeds, |set| !set.lock_source);
        let (before, after) = run(&case(&seeds, &deeds, SetOptions::default(), false));
        assert_eq!(after.cloud.journal.len(), before.cloud.journal.len() + 1, "nothing is asked for that was done already");
        assert!(after.agent.rows.len() < before.agent.rows.len());
    }
    let was = document(None, "a", 1);
    for departure in [Departure::Deleted, Departure::MovedOut, Departure::Released] {
        assert_eq!(step(&[member(id(1), Some(&was), Source::Absent, Target::Absent(departure))]), Step::Forget);
    }
}

#[test]
fn edge_x09_what_is_made_and_deleted_at_once_leaves_nothing() {
    for kind in [Kind::Document, Kind::Folder] {
        // Before anything was sent, and while it is on its way.
        for round in 0..4 {
            let deeds = [here(make(0, 0, kind)), Deed { round, ..here(Act::Delete(1)) }];
            let (_, after) = run(&case(&[], &deeds, SetOptions::default(), false));
            assert_eq!((after.reasons(), after.agent.rows.len(), after.disk.items.len()), (BTreeSet::new(), 1, 1), "{kind:?} {round}");
            assert!(after.cloud.docs.values().skip(1).all(|doc| doc.trashed), "{kind:?} {round}");
        }
    }
}

#[test]
fn edge_x11_empty_folders_are_made_renamed_moved_and_deleted_like_others() {
    let nested = [dir(0, 0), dir(1, 0), dir(2, 0), dir(0, 4)];
    for side in [here, there] {
        for act in [make(3, 1, Kind::Folder), Act::Rename(2, 1), Act::Move(3, 4), Act::Delete(1)] {
            let deletes = matches!(act, Act::Delete(_)) && side(act).side == Side::Target;
            check(&nested, &[side(act)], |set| !deletes || set.delete_source || !set.delete_on_cloud);
        }
        let options = SetOptions { delete_source: true, ..SetOptions::default() };
        let (_, after) = run(&case(&nested, &[side(Act::Delete(1)), side(make(0, 1, Kind::Folder))], options, false));
        let is_member = |(node, _): &(_, _)| after.cloud.is_member(*node);
        assert_eq!((after.disk.items.len(), after.cloud.docs.iter().map(|(node, doc)| (*node, doc)).filter(is_member).count()), (3, 3));
    }
}

#[test]
fn edge_k07_an_agent_that_lost_its_state_pairs_what_is_equal_and_deletes_nothing() {
    let seeds = [dir(0, 0), file(1, 0), dir(1, 1), file(0, 2)];
    for options in super::options() {
        let (before, after) = run(&case(&seeds, &[], options, true));
        assert_eq!((after.paths(), after.reasons()), (before.paths(), BTreeSet::new()), "{options:?}");
        assert_eq!(after.cloud.journal, before.cloud.journal, "{options:?}: nothing is sent");
        assert_eq!(after.kept, before.kept, "{options:?}: nothing is replaced");
        // What only one side has is taken for new by the other.
        let deeds = [here(Act::Delete(2)), there(Act::Delete(4))];
        let (_, after) = run(&case(&seeds, &deeds, options, true));
        let trashed = after.cloud.docs.values().filter(|doc| doc.trashed).count();
        assert_eq!((trashed, after.disk.items.len()), (usize::from(options.delete_on_cloud), 5), "{options:?}");
    }
}

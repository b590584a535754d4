//! Cases that broke the planner, made as small as they could be.
//!
//! | what broke | kept by |
//! | --- | --- |
//! | two folders changed roles, the inner one to the outer one's name: each waited for the other | `edge_m10_…same_name` |
//! | a folder was moved into a new one that took its name: each waited for the other | `edge_m17_…` |
//! | a folder was deleted here while the cloud moved something into it: each waited for the other | `s_d11_…moved_into…` |
//! | a folder that may not be deleted in the cloud was released with what had changed in it | `s_d11_…released…` |
//! | a folder that changes roles in the cloud is renamed here: it wanted a name that nobody saw it want | `edge_m10_…renamed_here` |
//! | a file took the name of its folder, which was deleted: each waited for the other | `s_b19_a_file_takes_…` |
//! | one of two that swapped names could not be read: the other kept a name of ours in the cloud | `s_b19_…cannot_be_read` |
//! | what came into a locked set from another one waited for a folder of that one | `edge_m19_…locked_set` |
//! | a folder that came from another set and a file moved into it waited for each other | `edge_m19_…takes_the_name…` |
//! | what was new in a folder that could not be made yet was held without a word of why | `s_c03_…` |
//! | a folder that the source is to lose as well was left when the last of what was in it was moved out | `s_d05_…moved_out…` |
//! | the cloud only renamed a folder on the way, and a change of roles here was taken back, or not, as it came | `edge_m10_…renamed_there` |
//! | a move that lost to the cloud's was taken back onto a name that somebody else has by now | `s_b20_…name_is_taken` |
//! | of two moves into each other's depth the cloud's was waited for at the wrong place, and for ever | `edge_m13_…` |
//! | what was moved into a folder that is gone here was deleted: a folder above it still wanted to come back | `s_d11_…again_there` |
//! | a folder was moved into one that the cloud had moved within it: that was taken back, or not, as it came | `edge_m13_…within_it` |

use super::case::Case;
use super::world::{Act, Deed, Seed, Side};
use crate::model::{Kind, SetOptions};

pub(super) const fn dir(folder: u8, name: u8) -> Seed {
    Seed { folder, name, kind: Kind::Folder }
}

pub(super) const fn file(folder: u8, name: u8) -> Seed {
    Seed { folder, name, kind: Kind::Document }
}

pub(super) const fn here(act: Act) -> Deed {
    Deed { round: 0, side: Side::Source, act }
}

pub(super) const fn there(act: Act) -> Deed {
    Deed { round: 0, side: Side::Target, act }
}

const fn folder(folder: u8, name: u8) -> Act {
    Act::Make { folder, name, kind: Kind::Folder, content: 0 }
}

/// Runs it in every kind of set, in several orders. Nothing may be left to say, if `agrees`.
pub(super) fn check(seeds: &[Seed], deeds: &[Deed], agrees: impl Fn(SetOptions) -> bool) {
    for options in super::options() {
        for order in 0..8 {
            let is_slow = options.delete_on_cloud && order % 2 == 1;
            let case = Case { seeds: seeds.to_vec(), deeds: deeds.to_vec(), options, forgets: false, is_slow, ids: order, order };
            let reasons = case.check();
            assert!(reasons.is_empty() || !agrees(options), "{reasons:?} in {options:?}");
        }
    }
}

#[test]
fn edge_m10_two_folders_change_roles_and_the_outer_one_has_the_same_name() {
    for side in [here, there] {
        check(&[dir(0, 3), dir(1, 0)], &[side(Act::Invert(2))], |_| true);
    }
}

#[test]
fn edge_m10_two_folders_change_roles_in_the_cloud_and_the_inner_one_is_renamed_here_to_the_name_of_the_outer() {
    check(&[dir(0, 2), dir(1, 3)], &[there(Act::Invert(2)), here(Act::Rename(2, 2))], |_| true);
}

#[test]
fn edge_m17_a_folder_is_moved_into_a_new_one_of_its_name() {
    for side in [here, there] {
        let make = Act::Make { folder: 0, name: 0, kind: Kind::Folder, content: 0 };
        // In a locked set the old folder is put back to where it was, and the new one has its name.
        let agrees = |set: SetOptions| !set.lock_source || side(make).side == Side::Target;
        check(&[dir(0, 0), dir(0, 1)], &[side(Act::Rename(1, 2)), side(make), side(Act::MoveAs(1, 3, 0))], agrees);
    }
}

#[test]
fn s_d11_a_folder_deleted_here_is_made_again_for_what_the_cloud_moved_into_it() {
    let deeds = [here(Act::Delete(1)), there(Act::Move(2, 1))];
    check(&[dir(0, 1), file(0, 0)], &deeds, |_| true);
    check(&[dir(0, 1), file(0, 0), dir(1, 1)], &[here(Act::Delete(1)), there(Act::Move(2, 2))], |_| true);
}

#[test]
fn s_d11_what_changed_in_a_folder_that_is_released_comes_back() {
    check(&[dir(0, 1), file(1, 0)], &[here(Act::Delete(1)), there(Act::Edit(2, 5))], |_| true);
}

#[test]
fn s_b19_edge_m04_swaps_and_rotations_come_out_right_on_either_side() {
    for side in [here, there] {
        check(&[file(0, 0), file(0, 1), file(0, 2)], &[side(Act::Swap(1, 2))], |_| true);
        check(&[file(0, 0), file(0, 1), file(0, 2)], &[side(Act::Swap(1, 2)), side(Act::Swap(2, 3))], |_| true);
        check(&[dir(0, 0), dir(0, 1), file(1, 0)], &[side(Act::Swap(1, 2))], |_| true);
    }
}

#[test]
fn s_b19_a_file_takes_the_name_of_its_folder_that_is_deleted() {
    check(&[dir(0, 3), file(1, 0)], &[here(Act::Move(2, 0)), here(Act::Delete(1))], |set| set.delete_on_cloud && !set.lock_source);
    check(&[dir(0, 0), file(1, 3)], &[there(Act::Rename(1, 1)), there(Act::MoveAs(2, 0, 0)), there(Act::Delete(1))], |set| {
        set.delete_source || !set.delete_on_cloud
    });
}

#[test]
fn s_b19_one_of_two_that_swap_names_cannot_be_read() {
    check(&[file(0, 0), file(0, 1)], &[here(Act::Swap(1, 2)), here(Act::Trouble(1, 0))], |_| false);
}

#[test]
fn edge_t01_a_file_becomes_a_folder_and_a_folder_a_file() {
    for side in [here, there] {
        let follows = |options: SetOptions| side(Act::Request).side == Side::Source && options.delete_on_cloud && !options.lock_source;
        check(&[file(0, 0), dir(0, 1)], &[side(Act::Retype(1)), side(Act::Retype(2))], follows);
    }
}

#[test]
fn edge_m19_what_comes_from_another_set_is_added_to_a_locked_set() {
    for kind in [Kind::Document, Kind::Folder] {
        check(&[], &[here(Act::Arrive { folder: 0, name: 0, kind })], |_| true);
    }
}

#[test]
fn edge_m19_a_folder_from_another_set_takes_the_name_of_a_file_that_is_moved_into_it() {
    let arrives = Act::Arrive { folder: 0, name: 0, kind: Kind::Folder };
    check(&[file(0, 3)], &[here(arrives), here(Act::MoveAs(1, 1, 0))], |set| !set.lock_source);
    check(&[file(0, 0), file(0, 6)], &[here(Act::Arrive { folder: 0, name: 5, kind: Kind::Folder }), here(Act::MoveAs(2, 1, 0))], |set| {
        !set.lock_source
    });
}

#[test]
fn s_c03_what_is_new_in_a_folder_that_cannot_be_made_says_why() {
    let arrives = here(Act::Arrive { folder: 0, name: 3, kind: Kind::Folder });
    check(&[dir(0, 1)], &[here(folder(0, 0)), arrives, here(folder(3, 0))], |_| false);
    check(&[file(0, 0), file(0, 1)], &[here(Act::Retype(1)), here(folder(1, 0))], |set| set.delete_on_cloud && !set.lock_source);
}

#[test]
fn s_d05_a_folder_goes_once_the_last_of_what_is_in_it_is_moved_out() {
    let later = Deed { round: 1, ..here(Act::Move(2, 0)) };
    check(&[dir(0, 0), file(1, 1)], &[later, there(Act::Again(1))], |_| false);
}

#[test]
fn edge_m10_two_folders_change_roles_here_and_are_renamed_there() {
    let deeds = [here(Act::Invert(3)), here(Act::Rename(0, 0)), there(Act::Rename(2, 2)), there(Act::Rename(3, 1))];
    check(&[file(0, 0), dir(0, 1), dir(1, 3)], &deeds, |_| true);
}

#[test]
fn s_b20_a_move_is_taken_back_whose_name_is_taken() {
    let deeds = [there(Act::MoveAs(4, 1, 0)), here(Act::MoveAs(3, 2, 0)), here(Act::Rename(1, 2))];
    check(&[file(0, 0), file(0, 1), dir(0, 2), dir(0, 4)], &deeds, |_| false);
}

#[test]
fn edge_m13_two_folders_are_moved_into_what_lies_deep_in_the_other() {
    check(&[dir(0, 0), dir(0, 1), dir(1, 0), dir(2, 0)], &[there(Act::Move(2, 3)), here(Act::Move(1, 4))], |_| true);
    let deeds = [there(Act::Swap(1, 2)), there(Act::MoveAs(2, 1, 0)), here(Act::MoveAs(1, 2, 0))];
    check(&[dir(0, 0), dir(0, 1)], &deeds, |_| false);
    check(&[file(0, 1), dir(0, 3), dir(1, 0), dir(1, 1)], &[there(Act::MoveAs(3, 3, 0)), here(Act::Invert(3))], |_| false);
    let deeds = [there(Act::MoveAs(1, 2, 0)), here(Act::Swap(3, 2)), here(Act::Swap(1, 2))];
    check(&[dir(0, 0), file(1, 0), dir(0, 1)], &deeds, |_| false);
    let deeds = [there(Act::Move(2, 2)), here(Act::MoveAs(3, 1, 0)), here(Act::Rename(2, 0))];
    check(&[file(0, 1), dir(0, 2), dir(0, 0)], &deeds, |_| false);
    let deeds = [here(Act::Swap(1, 4)), there(Act::Move(3, 2)), here(Act::Invert(2))];
    check(&[dir(0, 0), dir(1, 1), dir(0, 1), file(3, 0)], &deeds, |_| false);
}

#[test]
fn s_d11_what_was_moved_into_a_folder_deleted_here_is_deleted_again_there() {
    let later = Deed { round: 1, ..there(Act::Delete(4)) };
    let deeds = [here(Act::Retype(2)), there(Act::Move(4, 2)), later];
    check(&[file(0, 2), dir(0, 4), file(0, 0), file(0, 1), dir(1, 0)], &deeds, |_| false);
}

#[test]
fn edge_m13_a_folder_is_moved_into_one_that_the_cloud_moved_within_it() {
    let deeds = [here(Act::Rename(1, 1)), there(Act::Invert(4)), here(Act::Move(2, 0)), here(Act::Swap(1, 4))];
    let (seeds, options) = (vec![dir(0, 0), dir(1, 0), dir(2, 0), dir(3, 2)], SetOptions::default());
    let order = 1_831_845_933_883_856_255;
    let case = Case { seeds, deeds: deeds.to_vec(), options, forgets: false, is_slow: false, ids: 0, order };
    assert!(case.check().is_empty());
}
